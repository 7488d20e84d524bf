"""
The promises of ISpool that listings, figures and explanations rely on.
"""

from __future__ import annotations

from typing import Any

import attrs

from empath.mail.arrival import Arrival
from empath.mail.envelope import Envelope, Recipient
from empath.mail.history import MOST, PastAttempt
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.stored import Destination, Listed, head_of
from empath.policy.selection import Selection
from tests.spool.contract import INLINE, SpoolContract, written
from tests.spool.support import an_address, in_file

ARRIVAL = Arrival("01S", "192.0.2.7", 4000, "tcp:25", "Grüße.example", "ESMTPS", "TLSv1.3", "AES", "ann")


def past(number: int) -> PastAttempt:
    """
    Tell of an attempt of the past.
    """
    return PastAttempt(
        number,
        float(number),
        number + 0.5,
        number + 1.0,
        0.0,
        number + 2.0,
        "mx.example",
        "192.0.2.1",
        25,
        "",
        "",
        "",
        False,
        "retry",
        'said "ü" \\ {no}',
    )


class SurveyContract(SpoolContract):
    """
    As `SpoolContract`, and what is told of all mail.
    """

    def history_of(self: Any, queue_id: str) -> dict[str, tuple[PastAttempt, ...]]:
        """
        Tell what is remembered of a message's attempts.
        """
        page = self.get(self.spool.select(Selection(queue_id=queue_id), ("", ""), 100))
        return {each.domain: each.history for each in page.deliveries}

    def large(self: Any) -> Message:
        """
        Store a message whose content lies in a file.
        """
        writer = self.spool.begin(self.post.new_id())
        self.get(written(writer.write(b"\r\n" + b"x" * 2 * INLINE)))
        message = in_file(self.post.message("l@large.example", queue_id=writer.body_file), writer.body_file)
        message = attrs.evolve(message, size=len(message.header) + writer.size)
        self.get(writer.commit(message, deliveries_of(message)))
        return message

    def kept(self: Any, status: Status) -> Delivery:
        """
        Store a message that has come to an end and is kept.
        """
        _, (delivery,) = self.stored("k@kept.example")
        settled: Delivery = self.settled(delivery, status=status, keep_until=9e9)
        return settled

    def test_how_it_came(self: Any) -> None:
        """
        Is kept with a message.
        """
        message = attrs.evolve(self.post.message(), arrival=ARRIVAL)
        self.get(self.spool.store(message, deliveries_of(message)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)

    def test_attempts_are_remembered(self: Any) -> None:
        """
        Each settlement adds its last one; beyond so many, the first and the last ones stay. Only who selects one
        message by its id is told.
        """
        message, (a, _) = self.stored("a@a.example", "b@b.example")
        for number in range(1, MOST + 3):
            a = self.settled(a, status=Status.RETRY, attempts=number, next_attempt=9.0, history=(past(number),))
        numbers = [each.number for each in self.history_of(message.queue_id)["a.example"]]
        self.assertEqual(numbers, [1, *range(4, MOST + 3)])
        self.assertEqual(self.history_of(message.queue_id)["a.example"][0], past(1))
        self.assertEqual(self.history_of(message.queue_id)["b.example"], ())
        self.assertEqual({each.history for each in self.all_due()}, {()})
        for selection in (Selection(domain="a.example"), Selection(queue_id=message.queue_id, domain="a.example")):
            (found,) = self.get(self.spool.select(selection, ("", ""), 9)).deliveries
            self.assertEqual(found.history, ())

    def test_a_settlement_without_an_attempt_forgets_none(self: Any) -> None:
        """
        Nor does what an operator changes.
        """
        message, (a,) = self.stored("a@a.example")
        a = self.settled(a, status=Status.RETRY, attempts=1, next_attempt=9.0, history=(past(1),))
        a = self.settled(a, next_attempt=10.0, history=())
        self.settled(a, status=Status.FAILED, attempts=2, history=(past(2),), keep_until=9e9)
        self.assertEqual(self.history_of(message.queue_id), {"a.example": (past(1), past(2))})

    def test_destinations(self: Any) -> None:
        """
        Those with the most deliveries come first, with their counts; all are counted.
        """
        for number in range(3):
            self.stored("x@a.example", f"y@b{number}.example")
        self.kept(Status.FAILED)
        self.kept(Status.COMPLETED)
        found = self.get(self.spool.destinations(2))
        a = Destination("a.example", {Status.PENDING: 3})
        kept = Destination("kept.example", {Status.FAILED: 1, Status.COMPLETED: 1})
        self.assertEqual((found.most, found.number), ((a, kept), 5))
        self.assertEqual(self.get(self.spool.destinations(0)).most, ())
        self.assertEqual(self.get(self.spool.destinations(0)).number, 5)

    def test_no_destinations(self: Any) -> None:
        """
        An empty spool has none.
        """
        found = self.get(self.spool.destinations(5))
        self.assertEqual((found.most, found.number), ((), 0))

    def test_heads(self: Any) -> None:
        """
        Tell sender, size and recipients; what is gone is left out.
        """
        message, _ = self.stored("a@a.example", "b@b.example")
        null = attrs.evolve(self.post.message(), envelope=Envelope(None, (Recipient(an_address("a@b.example")),)))
        self.get(self.spool.store(null, deliveries_of(null)))
        found = self.get(self.spool.heads([message.queue_id, null.queue_id, "GONE", "'"]))
        self.assertEqual(found, {each.queue_id: head_of(each) for each in (message, null)})
        self.assertEqual((found[message.queue_id].sender, found[null.queue_id].sender), ("alice@example.org", ""))
        self.assertEqual(self.get(self.spool.heads([])), {})

    def test_listing(self: Any) -> None:
        """
        All messages, page by page, in the order of their ids, with how their deliveries stand.
        """
        messages = [self.stored("a@a.example", "b@b.example")[0] for _ in range(4)]
        large = self.large()
        _, (a, _) = self.stored("a@a.example", "b@b.example")
        self.settled(a, status=Status.RETRY, attempts=1, next_attempt=9.0)
        for limit in (1, 2, 3, 100):
            found: list[Listed] = []
            after: str | None = ""
            while after is not None:
                page = self.get(self.spool.listing(after, limit))
                self.assertLessEqual(len(page.messages), limit)
                found += page.messages
                after = page.after
            heads = [each.head for each in found]
            self.assertEqual(heads[:5], [head_of(each) for each in (*messages, large)])
            self.assertEqual(found[0].deliveries, {"a.example": Status.PENDING, "b.example": Status.PENDING})
            self.assertEqual(found[5].deliveries, {"a.example": Status.RETRY, "b.example": Status.PENDING})
            self.assertEqual((len(found), heads[4].body_file), (6, large.queue_id))

    def test_figures(self: Any) -> None:
        """
        Messages, files and their sizes.
        """
        self.stored()
        large = self.large()
        figures = self.get(self.spool.figures())
        self.assertEqual((figures.messages, figures.files), (2, 1))
        self.assertEqual(figures.file_octets, large.size - len(large.header))
        self.assertGreaterEqual(figures.octets, large.size)
        self.assertGreater(figures.free, 0)
        self.assertEqual(figures.cleanup_waiting, 0)

    def test_verifying_what_is_whole(self: Any) -> None:
        """
        Finds no fault, and tells how far it is.
        """
        self.stored("a@a.example", "b@b.example")
        self.large()
        self.kept(Status.FAILED)
        told: list[tuple[int, int]] = []
        check = self.get(self.spool.verify(lambda done, total: told.append((done, total))))
        self.assertEqual((check.messages, check.deliveries, check.files, check.faults), (3, 4, 1, ()))
        self.assertEqual(told, sorted(told))
        self.assertTrue(all(done <= total for done, total in told))

    def test_cleaning_up_what_was_completed(self: Any) -> None:
        """
        Deletes that and nothing else, with its messages.
        """
        for _ in range(450):
            self.kept(Status.COMPLETED)
        failed = self.kept(Status.FAILED)
        told: list[int] = []
        self.assertEqual(self.get(self.spool.clean_completed(lambda done, total: told.append(done))), 450)
        self.assertEqual(told, sorted(told))
        page = self.get(self.spool.listing("", 9))
        self.assertEqual([each.head.queue_id for each in page.messages], [failed.queue_id])
        self.assertEqual(self.get(self.spool.clean_completed(lambda done, total: None)), 0)
