"""
The promises of ISpool that operators rely on: what is selected, and what becomes of it.
"""

from __future__ import annotations

from typing import Any

import attrs

from empath.errors import MessageUnknown, SpoolError
from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Status, deliveries_of
from empath.mail.origin import TRUSTED, Origin, Source
from empath.mail.settlement import Change
from empath.policy.selection import Selection
from empath.spool import selecting
from tests.spool.contract import INLINE, SpoolContract, written
from tests.spool.support import in_file


class ManagingContract(SpoolContract):
    """
    As `SpoolContract`, and what operators do.
    """

    def selected(self: Any, selection: Selection, limit: int = 100) -> list[tuple[str, str]]:
        """
        Page through all that is selected.
        """
        found: list[Delivery] = []
        after = ("", "")
        while True:
            page = self.get(self.spool.select(selection, after, limit))
            self.assertLessEqual(len(page.deliveries), limit)
            found += page.deliveries
            if page.after is None:
                break
            self.assertGreater(page.after, after)
            after = page.after
        return [(each.queue_id, each.domain) for each in found]

    def test_selecting(self: Any) -> None:
        """
        All that fits is found, page by page, in the order of the keys, and nothing else.
        """
        first, (a, b) = self.stored("Bob@a.example", "bob@b.example")
        second = attrs.evolve(
            self.post.message("c@b.example", received=2_000_000.0),
            envelope=Envelope(None, (Recipient(Address("c", "b.example", "c@b.example")),)),
            origin=Origin(Source.LOGIN, "ann"),
        )
        (c,) = deliveries_of(second)
        self.get(
            self.spool.store(
                second, (attrs.evolve(c, status=Status.HELD, next_attempt=None, last_error="why", held_since=7.0),)
            )
        )
        third = attrs.evolve(self.post.message("d@a.example"), origin=TRUSTED)
        (d,) = deliveries_of(third)
        self.get(self.spool.store(third, (d,)))
        keys = [(each.queue_id, each.domain) for each in (a, b, c, d)]
        for selection, wanted in (
            (Selection(everything=True), (0, 1, 2, 3)),
            (Selection(site="told by others"), (0, 1, 2, 3)),
            (Selection(queue_id=first.queue_id), (0, 1)),
            (Selection(queue_id=first.queue_id, domain="B.example"), (1,)),
            (Selection(domain="b.example"), (1, 2)),
            (Selection(status=Status.HELD), (2,)),
            (Selection(recipient="BOB@a.example"), (0,)),
            (Selection(sender="Alice@EXAMPLE.org"), (0, 1, 3)),
            (Selection(sender="<>"), (2,)),
            (Selection(login="ann"), (2,)),
            (Selection(login="ann", queue_id=first.queue_id), ()),
            (Selection(login="ann", queue_id=second.queue_id), (2,)),
            (Selection(login="an"), ()),
            (Selection(vouched=True), (2, 3)),
            (Selection(vouched=True, sender="alice@example.org"), (3,)),
            (Selection(source=Source.TRUSTED), (3,)),
            (Selection(source=Source.LOGIN), (2,)),
            (Selection(source=Source.OUTSIDE), (0, 1)),
            (Selection(source=Source.OWN), ()),
            (Selection(held_for="why"), (2,)),
            (Selection(held_for="wh"), ()),
            (Selection(held_for=""), ()),
            (Selection(held_from=7.0), (2,)),
            (Selection(held_from=7.5), ()),
            (Selection(received_before=2_000_000.0, domain="b.example"), (1,)),
            (Selection(queue_id="nonsense"), ()),
        ):
            for limit in (1, 2, 100):
                self.assertEqual(self.selected(selection, limit), [keys[each] for each in wanted], selection)

    def test_selecting_much(self: Any) -> None:
        """
        Pages may be short, but lead to the last one, however few there are among many.
        """
        for number in range(30):
            self.stored(f"x@{'rare' if number in (7, 28) else 'usual'}.example")
        self.patch(selecting, "SCANNED", 4)
        self.assertEqual(len(self.selected(Selection(domain="rare.example"))), 2)
        self.assertEqual(len(self.selected(Selection(sender="alice@example.org"), 3)), 30)

    def test_many_of_one_login(self: Any) -> None:
        """
        The pages of a login's mail lead on in the middle of a message.
        """
        self.patch(selecting, "SCANNED", 2)
        for login in ("ann", "bob", "ann", "ann"):
            message = self.post.message("a@a.example", "b@b.example", "c@c.example")
            message = attrs.evolve(message, origin=Origin(Source.LOGIN, login))
            self.get(self.spool.store(message, deliveries_of(message)))
        for limit in (1, 2, 3, 5, 100):
            self.assertEqual(len(set(self.selected(Selection(login="ann"), limit))), 9)

    def test_managing(self: Any) -> None:
        """
        A change is stored as it is, and is not kept for a set time any more; others of the message stay.
        """
        _, (a, b) = self.stored("a@a.example", "b@b.example")
        self.settled(a, status=Status.FAILED, attempts=3, keep_until=5000.0)
        failed = self.get(self.spool.select(Selection(domain="a.example"), ("", ""), 9)).deliveries[0]
        states = (attrs.evolve(failed.recipients[0], doubtful=True),)
        held = attrs.evolve(failed, status=Status.HELD, held_since=70.0, received=60.0, attempts=0, recipients=states)
        self.assertEqual(self.get(self.spool.manage([Change(failed, held)])), [True])
        self.assertEqual(self.get(self.spool.expire_kept(9e9)), 0)
        self.assertEqual(self.get(self.spool.select(Selection(domain="a.example"), ("", ""), 9)).deliveries, (held,))
        self.assertEqual(self.get(self.spool.due(1e9, 9, ())), [b])
        free = attrs.evolve(held, status=Status.PENDING, next_attempt=3.0, held_since=None)
        self.assertEqual(self.get(self.spool.manage([Change(held, free)])), [True])
        self.assertEqual(self.get(self.spool.due(1e9, 9, ())), [free, b])

    def test_managing_what_changed_since(self: Any) -> None:
        """
        What is gone, or was attempted since, is left as it is and told; the others are done all the same.
        """
        _, (a, b) = self.stored("a@a.example", "b@b.example")
        _, (gone,) = self.stored("c@c.example")
        self.settled(a, status=Status.RETRY, attempts=1, next_attempt=50.0)
        self.settled(gone, status=Status.COMPLETED)
        changes = [Change(each, attrs.evolve(each, status=Status.HELD)) for each in (a, gone, b)]
        self.assertEqual(self.get(self.spool.manage(changes)), [False, False, True])
        self.assertEqual(self.get(self.spool.manage([Change(a, None), Change(gone, None)])), [False, False])
        self.assertEqual(self.get(self.spool.manage([])), [])

    def test_deleting(self: Any) -> None:
        """
        The message goes with its last delivery, and its content with it.
        """
        writer = self.spool.begin(self.post.new_id())
        self.get(written(writer.write(b"\r\n" + b"x" * 2 * INLINE)))
        message = in_file(self.post.message("a@a.example", "b@b.example"), writer.body_file)
        message = attrs.evolve(message, size=len(message.header) + writer.size)
        a, b = deliveries_of(message)
        self.get(writer.commit(message, (a, b)))
        self.assertEqual(self.get(self.spool.manage([Change(a, None)])), [True])
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        self.assertEqual(self.get(self.spool.manage([Change(a, None), Change(b, None)])), [False, True])
        self.refused(self.spool.load(message.queue_id), MessageUnknown)
        self.refused(self.spool.open_body(message).read(), SpoolError)
        self.assertEqual(self.selected(Selection(everything=True)), [])

    def test_what_cannot_be_stored_is_no_change(self: Any) -> None:
        """
        It is a SpoolError, and nothing is changed.
        """
        _, (a, b) = self.stored("a@a.example", "b@b.example")
        odd = attrs.evolve(a, recipients=(attrs.evolve(a.recipients[0], host="\ud800"),))
        self.refused(self.spool.manage([Change(b, None), Change(a, odd)]), SpoolError)
        self.assertEqual(len(self.selected(Selection(everything=True))), 2)
