"""
What is asked about the queue, and done to it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail

from empath.control.serving import Call
from empath.control.terms.managing import (
    Bounce,
    Count,
    CountQueue,
    Delete,
    Freeze,
    GetQueueStats,
    Hold,
    ProcessNow,
    Release,
    Retry,
    Tally,
    Unfreeze,
)
from empath.control.terms.queue import Filter, Item, ListQueue, ViewMessage
from empath.errors import SpoolError, StorageError
from empath.mail.life_safety import DeliveryManaged
from empath.service.control.queue import Telling
from empath.testing import MockSmtpServer
from tests.service.control.asking import CALLER, CONFIG, AskingCase

ALL = Filter(all=True)
GREYLISTING = MockSmtpServer().with_rcpt_to_response(450, "4.2.0 come back later")
REFUSING = MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown")


class QueueCase(AskingCase):
    """
    A queue with mail in many states.
    """

    def setUp(self) -> None:
        super().setUp()
        self.asked.peer("sender.example")
        self.asked.peer("late.example", GREYLISTING)
        self.asked.peer("refused.example", REFUSING)
        self.asked.peer("slow.example", MockSmtpServer().with_silence("EHLO"))

    def items(self, *, limit: int = 50, **fields: Any) -> list[Item]:
        """
        Walk through all pages.
        """
        found: list[Item] = []
        page = self.ask(ListQueue(Filter(**fields), limit))
        found += page.items
        while page.after:
            page = self.ask(ListQueue(Filter(**fields), limit, page.after))
            found += page.items
        return found

    def domains(self, **fields: Any) -> list[str]:
        return [item.domain.removesuffix(".example") for item in self.items(**fields)]


class ListingTests(QueueCase):
    """
    Listings.
    """

    def test_each_state(self) -> None:
        """
        The words are the contract's, and a filter finds what it names.
        """
        self.ask(Freeze("frozen.example"))
        first = self.send("a@late.example", "b@late.example", "c@refused.example", "d@slow.example", "e@frozen.example")
        for status, wanted in (
            ("retry", ["late"]),
            ("failed", ["refused"]),
            ("in-progress", ["slow"]),
            ("pending", ["frozen"]),
            ("held", []),
            ("completed", []),
        ):
            self.assertEqual(self.domains(status=status), wanted, status)
            self.assertEqual({item.status for item in self.items(status=status)}, {status} if wanted else set())
        for fields, wanted in (
            ({"queue_id": first.lower()}, ["frozen", "late", "refused", "slow"]),
            ({"sender": "ANN@sender.example", "domain": "late.example."}, ["late"]),
            ({"recipient": "b@late.example"}, ["late"]),
            ({"login": "nobody"}, []),
            ({"older_than": 60.0}, []),
        ):
            self.assertEqual(self.domains(**fields), wanted, str(fields))
        self.asked.advance(120)
        self.assertEqual(len(self.items(older_than=60.0, queue_id=first)), 4)

    def test_an_item(self) -> None:
        """
        What is told of a delivery.
        """
        queue_id = self.send(*[f"{number}@late.example" for number in range(30)])
        [item] = self.items(all=True)
        self.assertEqual((item.queue_id, item.sender, item.attempts), (queue_id, "ann@sender.example", 1))
        self.assertEqual(len(item.recipients), 20)
        self.assertEqual(item.more_recipients, 10)
        self.assertGreater(item.size, 30)
        self.assertIn("450 4.2.0", item.last_error)
        self.assertEqual(item.why, "its next attempt is not due yet")
        self.assertIsNotNone(item.next_attempt)

    def test_pages(self) -> None:
        """
        Every delivery is on one page, whatever their size.
        """
        for number in range(7):
            self.send(f"{number}@late.example", f"{number}@refused.example")
        whole = [(item.queue_id, item.domain) for item in self.items(all=True, limit=1000)]
        self.assertGreaterEqual(len(whole), 14)
        for limit in (1, 3, 7):
            self.assertEqual([(item.queue_id, item.domain) for item in self.items(all=True, limit=limit)], whole)

    def test_what_cannot_be_asked(self) -> None:
        """
        The answer says what is wrong.
        """
        for request, wanted in (
            (ListQueue(Filter()), "nothing is selected"),
            (ListQueue(Filter(status="odd")), "allowed are pending"),
            (ListQueue(Filter(older_than=-1.0)), "older_than"),
            (ListQueue(Filter(older_than=1e300)), "older_than"),
            (ListQueue(ALL, 0), "1 to 1000"),
            (ListQueue(ALL, 1001), "1 to 1000"),
            (ListQueue(ALL, 5, "nonsense"), "cursor"),
            (ListQueue(ALL, 5, "W10"), "cursor"),
            (ListQueue(ALL, 5, "WyJhIiwgM10"), "cursor"),
            (ListQueue(ALL, 5, "x" * 5000), "cursor"),
            (CountQueue(ALL, 0), "most"),
            (GetQueueStats(-1), "destinations"),
        ):
            self.assertIn(wanted, self.refusal(request), request)

    def test_count(self) -> None:
        """
        It is counted as far as anybody wants to know.
        """
        self.send("a@late.example", "b@refused.example")
        self.assertEqual(self.ask(CountQueue(Filter(status="retry"))), Count(1, False))
        self.assertEqual(self.ask(CountQueue(ALL, 1)), Count(1, True))

    def test_stats(self) -> None:
        """
        What is being attempted is counted as such, in all and by destination.
        """
        self.send("a@late.example", "b@refused.example", "c@slow.example")
        self.send("d@late.example")
        stats = self.ask(GetQueueStats(3))
        self.assertEqual((stats.counts["retry"], stats.counts["in-progress"], stats.counts["pending"]), (2, 1, 0))
        self.assertEqual(stats.due, 0)
        self.assertEqual(stats.destinations[0].domain, "late.example")
        self.assertEqual(stats.destinations[0].counts["retry"], 2)
        [slow] = [each for each in stats.destinations if each.domain == "slow.example"]
        self.assertEqual((slow.counts["in-progress"], slow.counts["pending"]), (1, 0))
        self.assertIsNotNone(stats.oldest)
        self.assertEqual(self.ask(GetQueueStats(0)).destinations, ())


class ViewTests(QueueCase):
    """
    One message.
    """

    def test_a_message(self) -> None:
        """
        Its envelope, how it came, where it goes, and its beginning as text.
        """
        content = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nGrüße\r\n".encode()
        queue_id = self.send("a@late.example", "b@slow.example", content=content)
        view = self.ask(ViewMessage(queue_id.lower()))
        self.assertEqual((view.queue_id, view.sender, view.body), (queue_id, "ann@sender.example", "Grüße\n"))
        self.assertIn(("Subject", "Grüße"), view.headers)
        self.assertEqual(view.arrival.peer, "192.0.2.7")
        self.assertEqual(view.arrival.origin, "trusted")
        self.assertEqual([each.status for each in view.deliveries], ["retry", "in-progress"])
        [late, _] = view.deliveries
        self.assertEqual(late.recipients[0].reply, "450 4.2.0 come back later")
        [attempt] = late.history
        self.assertEqual((attempt.number, attempt.result), (1, "retry"))
        self.assertIn("transaction", attempt.seconds)

    def test_binary(self) -> None:
        """
        Its beginning is not shown.
        """
        queue_id = self.send("a@late.example", content=b"Subject: x\r\n\r\n\xff\xfe\r\n")
        self.assertEqual(self.ask(ViewMessage(queue_id)).body, "[binary]")

    def test_what_lies_in_a_file(self) -> None:
        """
        Only its beginning is read.
        """
        queue_id = self.send("a@late.example", content=b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 100_000)
        self.assertEqual(len(self.ask(ViewMessage(queue_id)).body), 1024)

    def test_what_is_not_there(self) -> None:
        """
        The answer says so.
        """
        self.assertIn("is not in the queue", self.missing(ViewMessage("01ARZ3NDEKTSV4RRFFQ69G5FAV")))
        self.assertIn("no queue id", self.missing(ViewMessage("' OR 1=1")))

    def test_very_many_recipients(self) -> None:
        """
        The first are told, and how many there are beyond.
        """
        queue_id = self.send(*[f"{number}@{number}.late.example" for number in range(600)])
        view = self.ask(ViewMessage(queue_id))
        self.assertEqual((len(view.deliveries), view.more_deliveries), (500, 100))


class VerbTests(QueueCase):
    """
    What is changed.
    """

    def test_each_verb(self) -> None:
        """
        It is done to what the filter finds, tells how far it came, and says who wanted it.
        """
        queue_id = self.send("a@late.example")
        one = Filter(queue_id=queue_id)
        for request, status in (
            (Hold(one, "odd"), "held"),
            (Release(one), "retry"),
            (Retry(one, force=True), "retry"),
            (Bounce(one), "failed"),
            (Delete(one), None),
        ):
            self.told.clear()
            self.assertEqual(self.ask(request), Tally(1, 0, 0), request)
            self.assertEqual(self.told, [Tally(1, 0, 0)])
            self.asked.advance(1)
            self.assertEqual([item.status for item in self.items(queue_id=queue_id)], [status] if status else [])
        managed = [event for event in self.asked.events if isinstance(event, DeliveryManaged)]
        self.assertEqual([event.why for event in managed][:2], ["root, uid 0: odd", "root, uid 0"])

    def test_what_is_attempted(self) -> None:
        """
        It follows when the attempt has ended.
        """
        self.send("a@slow.example")
        self.assertEqual(self.ask(Delete(Filter(status="in-progress"))), Tally(0, 1, 0))
        self.asked.advance(minutes=10)
        self.assertEqual(self.items(all=True), [])

    def test_nothing_is_found(self) -> None:
        """
        An id that is unknown is not found; a filter finds nothing.
        """
        self.assertIn("is not in the queue", self.missing(Retry(Filter(queue_id="01ARZ3NDEKTSV4RRFFQ69G5FAV"))))
        self.assertEqual(self.ask(Retry(Filter(domain="x.example"))), Tally())
        self.assertIn("nothing is selected", self.refusal(Delete(Filter())))

    def test_a_spool_that_fails(self) -> None:
        """
        The answer says what was done so far.
        """
        self.send("a@late.example")
        assert self.asked.spool is not None
        self.asked.spool.manage = lambda changes: fail(SpoolError("the disk is gone"))  # type: ignore[method-assign]  # as told
        self.assertIn("what was done so far stands: 0", self.refusal(Hold(ALL)))

    def test_a_client_that_hangs_up(self) -> None:
        """
        What it began ends, and nothing is left behind.
        """
        self.send("a@late.example")
        waiting: Deferred[Any] = Deferred()
        assert self.asked.spool is not None
        select = self.asked.spool.select
        self.asked.spool.select = lambda *asked: waiting  # type: ignore[method-assign]  # a slow one
        asked = self.begin(Delete(ALL))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.asked.spool.select = select  # type: ignore[method-assign]  # as before
        waiting.errback(SpoolError("too late"))
        self.assertEqual(len(self.items(all=True)), 1)

    def test_freeze(self) -> None:
        """
        What is frozen is told, with what changed.
        """
        frozen = self.ask(Freeze("Late.example"))
        self.assertEqual(([each.domain for each in frozen.frozen], frozen.changed), (["late.example"], True))
        self.assertFalse(self.ask(Freeze("late.example")).changed)
        self.assertEqual([each.domain for each in self.ask(Freeze()).frozen], ["", "late.example"])
        self.send("a@late.example")
        [item] = self.items(all=True)
        self.assertIn("was frozen", item.why)
        self.assertTrue(self.ask(Unfreeze("late.example")).changed)
        self.assertTrue(self.ask(Unfreeze()).changed)
        self.assertIn("domain", self.refusal(Freeze("x" * 300)))

    def test_what_is_no_destination(self) -> None:
        """
        Is not frozen, and changes nothing; U-labels are read.
        """
        for name in ("bad domain!", "bad.domain!", "a..b", "*.example.org", "x" * 300, "\u202eexample.org"):
            self.assertIn("is neither a domain nor the name of a route", self.refusal(Freeze(name)))
        self.assertEqual(
            [each.domain for each in self.ask(Freeze(" München.example. ")).frozen], ["xn--mnchen-3ya.example"]
        )
        self.assertEqual(self.ask(Unfreeze("münchen.example")).frozen, ())

    def test_ids_as_they_are_copied(self) -> None:
        """
        In any case, with blanks or a colon.
        """
        queue_id = self.send("a@late.example")
        for text in (queue_id.lower(), f" {queue_id} ", f"{queue_id}:", f"{queue_id}\n"):
            self.assertEqual(self.ask(ViewMessage(text)).queue_id, queue_id)
            self.assertEqual(self.ask(CountQueue(Filter(queue_id=text))).count, 1)

    def test_a_freeze_that_cannot_be_stored(self) -> None:
        """
        It holds, and the answer says that a restart might undo it.
        """
        flush = self.asked.service.queue._notes.flush
        self.asked.service.queue._notes.flush = lambda: fail(StorageError("full"))  # type: ignore[method-assign,assignment,return-value]  # as told
        self.assertIn("a restart might undo it", self.refusal(Freeze("late.example")))
        self.asked.service.queue._notes.flush = flush  # type: ignore[method-assign]  # as before
        self.assertFalse(self.ask(Freeze("late.example")).changed)

    def test_process_now(self) -> None:
        """
        What is due is counted.
        """
        self.assertEqual(self.ask(ProcessNow()).due, 0)


class TellingTests(AskingCase):
    """
    Progress.
    """

    config = CONFIG

    def test_a_peer_that_is_behind(self) -> None:
        """
        It hears the latest once it has caught up, and not all in between.
        """
        heard: list[object] = []
        behind: Deferred[None] = Deferred()

        def tell(piece: object) -> Deferred[None]:
            heard.append(piece)
            return behind

        telling = Telling(Call(CALLER, tell))
        for number in range(3):
            telling.tell(number)
        behind.callback(None)
        telling.tell(3)
        self.assertEqual(heard, [0, 3])
