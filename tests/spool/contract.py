"""
The promises of ISpool, IContentWriter and IBodyReader, for every backend to keep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter, ISpool
from empath.mail.address import Address
from empath.mail.decision import Decision
from empath.mail.envelope import Envelope, Recipient
from empath.mail.idempotency import MOST_MESSAGES, Accepted, Claim
from empath.mail.life import GroupCommitted, LifeEvent
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.reply import Reply
from empath.mail.settlement import Settlement
from tests.spool.support import Post, in_file

T = TypeVar("T")

INLINE = 1000


class SpoolContract:
    """
    Mix this into a SynchronousTestCase that makes the spool, with an inline limit of INLINE bytes.
    """

    def make_spool(self) -> Any:
        """
        Make a spool and open it; life events go to `self.events.append`.
        """
        raise NotImplementedError

    def fill(self) -> None:
        """
        Leave no room for new mail.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Begin with an empty, open spool.
        """
        self.events: list[LifeEvent] = []
        self.post = Post()
        self.spool = self.make_spool()

    def get(self: Any, waiting: Awaitable[T]) -> T:
        """
        Tell what an Awaitable has fired with.
        """
        coroutine = waiting if isinstance(waiting, (Deferred, Coroutine)) else _wait(waiting)
        result: T = self.successResultOf(coroutine)
        return result

    def refused(self: Any, waiting: Awaitable[object], kind: type[SpoolError]) -> None:
        """
        Expect that it failed with exactly this.
        """
        failure = self.failureResultOf(waiting, SpoolError)
        self.assertIs(failure.type, kind)

    def stored(self: Any, *recipients: str, **how: Any) -> tuple[Message, tuple[Delivery, ...]]:
        """
        Store a new message.
        """
        message, deliveries = self.post.with_deliveries(*recipients, **how)
        self.get(self.spool.store(message, deliveries))
        return message, deliveries

    def settled(self: Any, delivery: Delivery, **how: Any) -> Delivery:
        """
        Settle a delivery, changed this way.
        """
        keep_until = how.pop("keep_until", None)
        changed = attrs.evolve(delivery, **how)
        self.get(self.spool.settle(Settlement(changed, keep_until=keep_until)))
        return changed

    def all_due(self: Any, now: float = 1e10) -> list[Delivery]:
        """
        Tell everything that is scheduled.
        """
        found: list[Delivery] = self.get(self.spool.due(now, 1000, ()))
        return found

    def read_all(self: Any, message: Message) -> bytes:
        """
        Read a body to its end.
        """
        reader = self.spool.open_body(message)
        pieces = []
        while piece := self.get(reader.read()):
            pieces.append(piece)
        reader.close()
        return b"".join(pieces)

    def written(self: Any, body: bytes, queue_id: str = "") -> tuple[Any, Message]:
        """
        Write a body through a writer, piece by piece, and make its message.
        """
        message = self.post.message(body=body, queue_id=queue_id)
        writer = self.spool.begin(message.queue_id)
        for i in range(0, len(body), 300):
            if (waiting := writer.write(body[i : i + 300])) is not None:
                self.get(waiting)
        return writer, attrs.evolve(message, body=writer.body, body_file=writer.body_file)

    # -- the interfaces

    def test_provides_the_interfaces(self: Any) -> None:
        """
        The spool, its writers and its readers provide what they say.
        """
        verifyObject(ISpool, self.spool)
        writer = self.spool.begin(self.post.new_id())
        verifyObject(IContentWriter, writer)
        writer.abort()
        for body in (b"small", b"large" * INLINE):
            writer, message = self.written(body)
            self.get(writer.commit(message, deliveries_of(message)))
            verifyObject(IBodyReader, self.spool.open_body(message))
        verifyObject(IBodyReader, self.spool.open_body(in_file(message, None)))

    # -- storing

    def test_a_stored_message_is_read_back_whole(self: Any) -> None:
        """
        Envelope, parameters, metadata, trace, priority, header and body come back as they were.
        """
        message, _ = self.stored("bob@example.net", "eve@example.com", body=b"\r\n" + bytes(range(1, 256)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)

    def test_decisions_are_kept(self: Any) -> None:
        """
        What modules decided on the way in comes back with the message.
        """
        decisions = (
            Decision("mail_from", "access", "accept", why="grün"),
            Decision("data", "spam", "refuse", "550 5.7.1 no", "score 9", shadow=True),
        )
        message = attrs.evolve(self.post.message(), decisions=decisions)
        self.get(self.spool.store(message, deliveries_of(message)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)

    def test_what_cannot_be_written_down_harms_only_itself(self: Any) -> None:
        """
        A message with texts that are none, or cannot be encoded, is a SpoolError; others are stored.
        """
        whole = self.post.message()
        lone, (delivery,) = self.post.with_deliveries()
        address = Address("a", "b.example", "a\ud800@b.example")
        for message in (
            attrs.evolve(lone, metadata={"a": "\ud800"}),
            attrs.evolve(lone, metadata={"\udfff": "a"}),
            attrs.evolve(lone, metadata={"a": 1}),
            attrs.evolve(lone, metadata={1: "a"}),
            attrs.evolve(lone, metadata={"a": object()}),
            attrs.evolve(lone, envelope=attrs.evolve(lone.envelope, parameters={"SIZE": 5})),
            attrs.evolve(lone, envelope=Envelope(None, (Recipient(address, {"A": 1}),))),  # type: ignore[dict-item]  # that is the garbage
            attrs.evolve(lone, envelope=attrs.evolve(lone.envelope, reverse_path=address)),
            attrs.evolve(lone, envelope=attrs.evolve(lone.envelope, recipients=(Recipient(address),))),
        ):
            self.refused(self.spool.store(message, (delivery,)), SpoolError)
        states = (attrs.evolve(delivery.recipients[0], recipient=Recipient(address)),)
        self.refused(self.spool.store(lone, (attrs.evolve(delivery, recipients=states),)), SpoolError)
        self.get(self.spool.store(whole, deliveries_of(whole)))
        self.assertEqual([each.queue_id for each in self.all_due()], [whole.queue_id])

    def test_the_null_reverse_path_is_kept(self: Any) -> None:
        """
        None stays None; no metadata stays no metadata.
        """
        message = self.post.message()
        message = attrs.evolve(message, metadata={}, envelope=attrs.evolve(message.envelope, reverse_path=None))
        self.get(self.spool.store(message, deliveries_of(message)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)

    def test_an_empty_body(self: Any) -> None:
        """
        A message of headers only has a body of no bytes.
        """
        writer, message = self.written(b"")
        self.get(writer.commit(message, deliveries_of(message)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)).body, b"")
        self.assertEqual(self.read_all(message), b"")

    def test_a_queue_id_is_never_overwritten(self: Any) -> None:
        """
        The second message of one queue id is refused, the first stays.
        """
        first, _ = self.stored()
        second, deliveries = self.post.with_deliveries(body=b"other", queue_id=first.queue_id)
        self.refused(self.spool.store(second, deliveries), QueueIdTaken)
        self.assertEqual(self.get(self.spool.load(first.queue_id)), first)
        self.assertEqual(len(self.all_due()), 1)

    def test_what_cannot_be_stored_is_refused(self: Any) -> None:
        """
        A message needs a body in memory and at least one delivery.
        """
        message, deliveries = self.post.with_deliveries()
        self.refused(self.spool.store(attrs.evolve(message, body=None), deliveries), SpoolError)
        self.refused(self.spool.store(message, ()), SpoolError)
        self.refused(self.spool.load(message.queue_id), MessageUnknown)

    def test_no_room(self: Any) -> None:
        """
        Without room new mail is refused with SpoolFull; what is stored can be settled.
        """
        message, (delivery,) = self.stored()
        self.assertTrue(self.spool.has_room(1))
        self.fill()
        self.assertFalse(self.spool.has_room(1))
        self.refused(self.spool.store(*self.post.with_deliveries()), SpoolFull)
        self.settled(delivery, status=Status.COMPLETED)
        self.refused(self.spool.load(message.queue_id), MessageUnknown)

    def test_space_is_told_at_once(self: Any) -> None:
        """
        With less of it after mail has come, and none of it below zero.
        """
        before = self.spool.space()
        self.assertGreaterEqual(min(before.free, before.min_free, before.database, before.reusable, before.memory), 0)
        self.assertTrue(self.spool.has_room(1))
        self.fill()
        self.assertLess(self.spool.space().free, before.free)

    def test_no_room_while_streaming(self: Any) -> None:
        """
        Content that finds no room ends its writer with SpoolFull.
        """
        self.fill()
        writer = self.spool.begin(self.post.new_id())
        self.assertRaises(SpoolFull, writer.write, b"x" * (INLINE + 1))
        self.assertRaises(SpoolError, writer.write, b"x")
        message = self.post.message()
        failure = self.failureResultOf(writer.commit(message, deliveries_of(message)))
        self.assertTrue(failure.check(SpoolError))
        writer.abort()

    # -- content

    def test_small_content_stays_in_memory(self: Any) -> None:
        """
        Up to the inline limit `body` tells all that was written.
        """
        writer, message = self.written(b"x" * INLINE)
        self.assertEqual((writer.size, writer.body, writer.body_file), (INLINE, b"x" * INLINE, None))
        self.get(writer.commit(message, deliveries_of(message)))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        self.assertEqual(self.read_all(message), b"x" * INLINE)

    def test_large_content_goes_to_a_file(self: Any) -> None:
        """
        Beyond it `body` is None, `body_file` names the file, and a reader gives it back byte for byte.
        """
        body = bytes(range(256)) * 1000
        writer, message = self.written(body)
        self.assertEqual((writer.size, writer.body), (len(body), None))
        self.assertIsNotNone(writer.body_file)
        self.get(writer.commit(message, deliveries_of(message)))
        loaded = self.get(self.spool.load(message.queue_id))
        self.assertEqual(loaded, message)
        self.assertEqual(self.read_all(loaded), body)

    def test_pieces_of_a_body_are_small(self: Any) -> None:
        """
        A reader gives at most 64 KiB at a time, from memory too.
        """
        message = self.post.message(body=b"x" * 100_000)
        reader = self.spool.open_body(message)
        self.assertEqual([len(self.get(reader.read())) for _ in range(3)], [65536, 100_000 - 65536, 0])
        reader.close()
        reader.close()

    def test_a_lost_body(self: Any) -> None:
        """
        What cannot be read is a SpoolError at the first read.
        """
        message = self.post.message()
        for body_file in (None, self.post.new_id(), "../../etc/passwd"):
            reader = self.spool.open_body(in_file(message, body_file))
            self.refused(reader.read(), SpoolError)
            reader.close()

    def test_aborted_content_is_gone(self: Any) -> None:
        """
        After abort nothing is stored or held in memory, and the writer takes no more.
        """
        for size in (10, INLINE * 300):
            writer, message = self.written(b"x" * size)
            writer.abort()
            writer.abort()
            self.assertRaises(SpoolError, writer.write, b"x")
            self.refused(writer.commit(message, deliveries_of(message)), SpoolError)
            self.refused(self.spool.load(message.queue_id), MessageUnknown)
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_abort_after_the_commit_is_harmless(self: Any) -> None:
        """
        A message that is stored stays.
        """
        for size in (10, INLINE * 300):
            writer, message = self.written(b"x" * size)
            self.get(writer.commit(message, deliveries_of(message)))
            writer.abort()
            self.refused(writer.commit(message, deliveries_of(message)), SpoolError)
            self.assertEqual(self.read_all(self.get(self.spool.load(message.queue_id))), b"x" * size)
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_content_of_a_taken_queue_id(self: Any) -> None:
        """
        Neither a small nor a large second message harms the first, small or large.
        """
        for first_size, second_size in ((10, INLINE * 3), (INLINE * 3, 10)):
            writer, first = self.written(b"1" * first_size)
            self.get(writer.commit(first, deliveries_of(first)))
            writer, second = self.written(b"2" * second_size, first.queue_id)
            self.refused(writer.commit(second, deliveries_of(second)), QueueIdTaken)
            self.assertEqual(self.read_all(self.get(self.spool.load(first.queue_id))), b"1" * first_size)

    # -- content that is read and changed before it is committed

    def read_back(self: Any, writer: Any) -> bytes:
        """
        Read what a writer was given so far.
        """
        reader = writer.open()
        verifyObject(IBodyReader, reader)
        pieces = []
        while piece := self.get(reader.read()):
            self.assertLessEqual(len(piece), 65536)
            pieces.append(piece)
        reader.close()
        return b"".join(pieces)

    def test_what_was_written_can_be_read(self: Any) -> None:
        """
        Before the commit, small or large, again and again; and more can be written after it.
        """
        for size in (0, 10, INLINE, INLINE + 1, INLINE * 300):
            body = (bytes(range(256)) * (size // 256 + 1))[:size]
            writer, message = self.written(body)
            self.assertEqual(self.read_back(writer), body)
            self.get(written(writer.write(b"more")))
            self.assertEqual(self.read_back(writer), body + b"more")
            message = attrs.evolve(
                message, body=writer.body, body_file=writer.body_file, size=len(message.header) + size + 4
            )
            self.get(writer.commit(message, deliveries_of(message)))
            self.assertEqual(self.read_all(self.get(self.spool.load(message.queue_id))), body + b"more")
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_content_that_is_replaced(self: Any) -> None:
        """
        Nothing is left of what was written before, wherever it was.
        """
        for old in (0, 10, INLINE + 1, INLINE * 300):
            for new in (0, 20, INLINE * 2, INLINE * 300):
                writer, message = self.written(b"o" * old)
                self.get(written(writer.clear()))
                self.assertEqual((writer.size, self.read_back(writer)), (0, b""))
                self.get(written(writer.write(b"n" * new)))
                self.assertEqual((writer.size, self.read_back(writer)), (new, b"n" * new))
                message = attrs.evolve(
                    message, body=writer.body, body_file=writer.body_file, size=len(message.header) + new
                )
                self.get(writer.commit(message, deliveries_of(message)))
                loaded = self.get(self.spool.load(message.queue_id))
                self.assertEqual((loaded, self.read_all(loaded)), (message, b"n" * new))
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_content_that_has_ended_is_not_read_or_changed(self: Any) -> None:
        """
        After a commit or abort reading and clearing are SpoolErrors; a reader that is open is harmless.
        """
        for size in (10, INLINE * 300):
            writer, message = self.written(b"x" * size)
            reader = writer.open()
            writer.abort()
            self.assertRaises(SpoolError, writer.clear)
            self.refused(writer.open().read(), SpoolError)
            reader.close()
            writer, message = self.written(b"x" * size)
            self.get(writer.commit(message, deliveries_of(message)))
            self.assertRaises(SpoolError, writer.clear)
            self.refused(writer.open().read(), SpoolError)

    # -- settling

    def test_a_retry_is_rescheduled(self: Any) -> None:
        """
        Status, attempts, next attempt, last error and the recipients' replies are recorded.
        """
        _, (delivery,) = self.stored("a@example.net", "b@example.net")
        reply = Reply.of("451 4.3.0 later")
        states = tuple(attrs.evolve(each, status=Status.RETRY, reply=reply, host="mx") for each in delivery.recipients)
        changed = self.settled(
            delivery, status=Status.RETRY, attempts=1, next_attempt=2000.0, last_error="451", recipients=states
        )
        self.assertEqual(self.all_due(1999.0), [])
        self.assertEqual(self.all_due(2000.0), [changed])

    def test_a_message_goes_with_its_last_delivery(self: Any) -> None:
        """
        The first of two completed deliveries leaves the message, the second takes it along.
        """
        message, (one, two) = self.stored("a@example.net", "b@example.com")
        self.settled(one, status=Status.COMPLETED)
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        self.assertEqual(self.all_due(), [two])
        self.settled(two, status=Status.COMPLETED)
        self.refused(self.spool.load(message.queue_id), MessageUnknown)

    def test_content_goes_with_the_message(self: Any) -> None:
        """
        A content file is deleted after its message.
        """
        writer, message = self.written(b"x" * INLINE * 3)
        deliveries = deliveries_of(message)
        self.get(writer.commit(message, deliveries))
        self.settled(deliveries[0], status=Status.FAILED)
        self.refused(self.spool.open_body(message).read(), SpoolError)

    def test_a_report_is_stored_with_the_settlement(self: Any) -> None:
        """
        Both or neither: a report that cannot be stored leaves the delivery as it was.
        """
        message, (delivery,) = self.stored()
        failed = attrs.evolve(delivery, status=Status.FAILED, next_attempt=None)
        report, about = self.post.with_deliveries(queue_id=message.queue_id)
        self.refused(self.spool.settle(Settlement(failed, report, about)), QueueIdTaken)
        self.assertEqual(self.all_due(), [delivery])
        report, about = self.post.with_deliveries("alice@example.org")
        self.get(self.spool.settle(Settlement(failed, report, about)))
        self.assertEqual(self.all_due(), list(about))
        self.assertEqual(self.get(self.spool.load(report.queue_id)), report)
        self.refused(self.spool.load(message.queue_id), MessageUnknown)

    def test_settling_what_is_not_there(self: Any) -> None:
        """
        A delivery that is not stored (any more) is MessageUnknown, and its report is not stored.
        """
        _, (delivery,) = self.stored()
        self.settled(delivery, status=Status.COMPLETED)
        report, about = self.post.with_deliveries()
        for status in (Status.COMPLETED, Status.RETRY):
            changed = attrs.evolve(delivery, status=status)
            self.refused(self.spool.settle(Settlement(changed, report, about)), MessageUnknown)
        self.refused(self.spool.load(report.queue_id), MessageUnknown)

    def test_kept_mail_expires(self: Any) -> None:
        """
        What is kept is not scheduled, keeps its message, and goes when it is past `keep_until`.
        """
        message, (one, two) = self.stored("a@example.net", "b@example.com")
        self.settled(one, status=Status.FAILED, keep_until=3000.0)
        self.settled(two, status=Status.EXPIRED, keep_until=4000.0)
        self.assertEqual(self.all_due(), [])
        self.assertEqual(self.get(self.spool.expire_kept(2999.0)), 0)
        self.assertEqual(self.get(self.spool.expire_kept(3000.0)), 1)
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        self.assertEqual(self.get(self.spool.expire_kept(4000.0)), 1)
        self.refused(self.spool.load(message.queue_id), MessageUnknown)

    def test_kept_mail_can_be_retried(self: Any) -> None:
        """
        A kept delivery that is made pending again is scheduled and does not expire.
        """
        _, (delivery,) = self.stored()
        self.settled(delivery, status=Status.FAILED, keep_until=3000.0)
        self.settled(delivery, status=Status.PENDING, next_attempt=5.0, attempts=1)
        self.assertEqual(self.get(self.spool.expire_kept(9999.0)), 0)
        self.assertEqual([each.attempts for each in self.all_due()], [1])

    def test_in_progress_is_never_stored(self: Any) -> None:
        """
        An attempt that is under way is pending to whoever reads.
        """
        _, (delivery,) = self.stored()
        states = (attrs.evolve(delivery.recipients[0], status=Status.IN_PROGRESS),)
        self.settled(delivery, status=Status.IN_PROGRESS, recipients=states)
        (found,) = self.all_due()
        self.assertEqual((found.status, found.recipients[0].status), (Status.PENDING, Status.PENDING))

    # -- finding

    def test_due_is_ordered_bounded_and_skips(self: Any) -> None:
        """
        Longest due first, no more than `limit`, none to the domains in `skip`, none that is later.
        """
        for number, when in enumerate((30.0, 10.0, 40.0, 20.0)):
            self.stored(f"x@d{number}.example", received=when)
        due = self.get(self.spool.due(35.0, 10, ()))
        self.assertEqual([each.domain for each in due], ["d1.example", "d3.example", "d0.example"])
        due = self.get(self.spool.due(35.0, 1, {"d1.example"}))
        self.assertEqual([each.domain for each in due], ["d3.example"])
        self.assertEqual(self.get(self.spool.due_count(35.0)), 3)
        self.assertEqual(self.get(self.spool.due_count(35.0, {"d1.example", "x.example"})), 2)

    def test_next_due(self: Any) -> None:
        """
        The earliest moment after the one given, None if there is none.
        """
        self.assertIsNone(self.get(self.spool.next_due(0.0)))
        self.stored(received=10.0)
        self.stored(received=20.0)
        self.assertEqual(self.get(self.spool.next_due(0.0)), 10.0)
        self.assertEqual(self.get(self.spool.next_due(10.0)), 20.0)
        self.assertIsNone(self.get(self.spool.next_due(20.0)))

    def test_held_mail_is_not_due(self: Any) -> None:
        """
        What has no next attempt is not scheduled.
        """
        _, (delivery,) = self.stored()
        self.settled(delivery, status=Status.HELD, next_attempt=None)
        self.assertEqual(self.all_due(), [])
        self.assertIsNone(self.get(self.spool.next_due(0.0)))

    def test_mail_that_is_held_from_the_beginning(self: Any) -> None:
        """
        It is stored and counted, and neither due, nor hastened, nor old, nor expired, until it is released.
        """
        message = self.post.message("x@a.example", received=1000.0)
        (delivery,) = deliveries_of(message, held="a virus?")
        self.get(self.spool.store(message, (delivery,)))
        self.assertEqual((self.all_due(), self.get(self.spool.due_count(1e10))), ([], 0))
        self.assertIsNone(self.get(self.spool.next_due(0.0)))
        self.assertIsNone(self.get(self.spool.oldest(1e10)))
        self.assertEqual(self.get(self.spool.hasten(("a.example",), 2000.0)), 0)
        self.assertEqual(self.get(self.spool.expire_kept(1e10)), 0)
        counts = self.get(self.spool.counts())
        self.assertEqual((counts[Status.HELD], sum(counts.values())), (1, 1))
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        released = self.settled(delivery, status=Status.PENDING, next_attempt=3000.0)
        self.assertEqual(self.all_due(), [released])
        self.assertEqual(released.last_error, "a virus?")

    def test_hasten(self: Any) -> None:
        """
        What waits for a retry to the domain becomes due, nothing else moves.
        """
        for domain, status, when in (
            ("a.example", Status.RETRY, 900.0),
            ("a.example", Status.RETRY, 800.0),
            ("a.example", Status.RETRY, 40.0),
            ("a.example", Status.PENDING, 900.0),
            ("b.example", Status.RETRY, 900.0),
        ):
            _, (delivery,) = self.stored(f"x@{domain}")
            self.settled(delivery, status=status, next_attempt=when)
        self.assertEqual(self.get(self.spool.hasten(("a.example",), 50.0)), 2)
        self.assertEqual([each.next_attempt for each in self.all_due(50.0)], [40.0, 50.0, 50.0])
        self.assertEqual(self.get(self.spool.hasten(("a.example",), 50.0)), 0)

    def test_hasten_several(self: Any) -> None:
        """
        All destinations that are named, in one call.
        """
        for domain in ("a.example", "b.example", "c.example"):
            _, (delivery,) = self.stored(f"x@{domain}")
            self.settled(delivery, status=Status.RETRY, next_attempt=900.0)
        self.assertEqual(self.get(self.spool.hasten(("a.example", "c.example", "d.example"), 50.0)), 2)
        self.assertEqual({each.domain for each in self.all_due(50.0)}, {"a.example", "c.example"})

    def overdue(self: Any, *args: Any) -> list[str]:
        return [each.queue_id for each in self.get(self.spool.overdue(*args))]

    def test_overdue(self: Any) -> None:
        """
        What was received no later than a moment and is due, to the destinations that are named, the oldest first.
        """
        then = 1e6  # queue ids are made from then on
        first, second, third = (self.stored("x@a.example", received=then + when)[0].queue_id for when in (1, 2, 3))
        fourth = self.stored("x@b.example", received=then + 1)[0].queue_id
        self.assertEqual(self.overdue(then + 2, then + 3, ("a.example",), 10), [first, second])
        self.assertEqual(self.overdue(then + 2, then + 3, ("a.example",), 1), [first])
        self.assertEqual(self.overdue(then + 2, then + 1.5, ("a.example",), 10), [first])
        both = ("a.example", "b.example")
        self.assertEqual(self.overdue(then + 5, then + 3, both, 10), [first, second, third, fourth])
        self.assertEqual(self.overdue(then + 5, then + 3, (), 10), [])

    def test_what_is_released_late_is_not_overdue_early(self: Any) -> None:
        """
        Its clock begins at the release.
        """
        then = 1e6
        message = self.post.message("x@a.example", received=then)
        self.get(self.spool.store(message, deliveries_of(message, release=then + 5000)))
        self.assertEqual(self.overdue(then + 4999, then + 9000, ("a.example",), 10), [])
        self.assertEqual(self.overdue(then + 5000, then + 9000, ("a.example",), 10), [message.queue_id])

    def test_overdue_by_the_time_to_deliver_by(self: Any) -> None:
        """
        RFC 2852: it counts from reception in both modes, until the sender was told; one that was over before does not.
        """
        for by in ("100;R", "100;N", "200;R", "-5;N", "x"):
            message = self.post.message("x@a.example", received=1000.0)
            envelope = attrs.evolve(message.envelope, parameters={"BY": by})
            message = attrs.evolve(message, envelope=envelope)
            self.get(self.spool.store(message, deliveries_of(message)))
            if by == "100;N":
                told = message
        self.assertEqual(self.overdue(0.0, 1099.0, ("a.example",), 10), [])
        self.assertEqual(len(self.overdue(0.0, 1100.0, ("a.example",), 10)), 2)
        self.assertEqual(len(self.overdue(0.0, 1200.0, ("a.example",), 10)), 3)
        (delivery,) = deliveries_of(told)
        states = tuple(attrs.evolve(state, late=True) for state in delivery.recipients)
        self.settled(delivery, recipients=states, status=Status.RETRY, next_attempt=1100.0)
        self.assertEqual(len(self.overdue(0.0, 1100.0, ("a.example",), 10)), 1)

    def test_what_is_released_later_is_not_due_before(self: Any) -> None:
        """
        RFC 4865: it is stored at once, and due, counted and found from its release on; no recovery hastens it.
        """
        message = self.post.message("x@a.example", received=1000.0)
        (delivery,) = deliveries_of(message, release=5000.0)
        self.get(self.spool.store(message, (delivery,)))
        self.assertEqual((self.all_due(4999.0), self.get(self.spool.due_count(4999.0))), ([], 0))
        self.assertEqual(self.get(self.spool.hasten(("a.example",), 2000.0)), 0)
        self.assertEqual(self.get(self.spool.next_due(1000.0)), 5000.0)
        self.assertEqual(self.get(self.spool.counts())[Status.PENDING], 1)
        self.assertEqual((self.all_due(5000.0), self.get(self.spool.due_count(5000.0))), ([delivery], 1))

    def test_the_oldest(self: Any) -> None:
        """
        When the oldest scheduled message came; one that is to be released later has no age yet.
        """
        self.assertIsNone(self.get(self.spool.oldest(9999.0)))
        message = self.post.message(received=1000.0)
        self.get(self.spool.store(message, deliveries_of(message, release=5000.0)))
        self.assertIsNone(self.get(self.spool.oldest(4999.0)))
        _, (delivery,) = self.stored(received=2000.0)
        self.assertEqual(self.get(self.spool.oldest(4999.0)), 2000.0)
        self.assertEqual(self.get(self.spool.oldest(9999.0)), 2000.0)
        self.settled(delivery, status=Status.HELD, next_attempt=None)
        self.assertEqual(self.get(self.spool.oldest(9999.0)), 5000.0)

    def test_what_was_told_is_not_forgotten(self: Any) -> None:
        """
        That a recipient is late comes back with it, as does the priority.
        """
        _, (delivery,) = self.stored()
        states = (attrs.evolve(delivery.recipients[0], status=Status.RETRY, late=True),)
        self.settled(delivery, status=Status.RETRY, next_attempt=5.0, recipients=states)
        (found,) = self.all_due()
        self.assertEqual((found.recipients, found.priority), (states, 1))

    # -- what was accepted under a key

    def test_a_claim_is_kept_with_its_message(self: Any) -> None:
        """
        It is found as long as it is to last, in the order of the messages, even if those are gone.
        """
        made = []
        for recipients, until in ((b"r" * 16, 100.0), (b"s" * 32, 200.0)):
            writer, message = self.written(b"body")
            claim = Claim(b"c" * 32, recipients, until)
            self.get(writer.commit(message, deliveries_of(message), claim))
            made.append(Accepted(message.queue_id, recipients))
        for delivery in self.all_due():
            self.settled(delivery, status=Status.COMPLETED)
        self.assertEqual(self.get(self.spool.accepted(b"c" * 32, 99.0)), made)
        self.assertEqual(self.get(self.spool.accepted(b"c" * 32, 100.0)), made[1:])
        self.assertEqual(self.get(self.spool.accepted(b"d" * 32, 99.0)), [])

    def test_claims_are_forgotten(self: Any) -> None:
        """
        Those whose time is over, with what was kept too long.
        """
        for until in (100.0, 101.0, 102.0):
            writer, message = self.written(b"body")
            self.get(writer.commit(message, deliveries_of(message), Claim(b"c" * 32, b"r" * 16, until)))
        self.assertEqual(self.get(self.spool.expire_kept(101.0)), 2)
        self.assertEqual(self.get(self.spool.expire_kept(101.0)), 0)
        self.assertEqual(len(self.get(self.spool.accepted(b"c" * 32, 0.0))), 1)

    def test_many_claims_are_forgotten(self: Any) -> None:
        """
        All of them, however many are forgotten at a time.
        """
        stored = []
        for number in range(250):
            writer, message = self.written(b"body")
            stored.append(writer.commit(message, deliveries_of(message), Claim(b"%032d" % number, b"r" * 16, 100.0)))
        for each in stored:
            self.get(each)
        self.assertEqual(self.get(self.spool.expire_kept(101.0)), 250)
        self.assertEqual(self.get(self.spool.expire_kept(101.0)), 0)

    def test_a_refused_message_claims_nothing(self: Any) -> None:
        """
        Large or small, whatever it was refused for.
        """
        for body in (b"small", b"large" * INLINE):
            message, _ = self.stored()
            writer, again = self.written(body, message.queue_id)
            waiting = writer.commit(again, deliveries_of(again), Claim(b"c" * 32, b"r" * 16, 100.0))
            self.refused(waiting, QueueIdTaken)
        self.assertEqual(self.get(self.spool.accepted(b"c" * 32, 0.0)), [])

    def test_few_messages_of_a_claim_are_told(self: Any) -> None:
        """
        Whoever has a new recipient for each has a bound.
        """
        for _ in range(MOST_MESSAGES + 1):
            writer, message = self.written(b"")
            self.get(writer.commit(message, deliveries_of(message), Claim(b"c" * 32, b"r" * 16, 100.0)))
        self.assertEqual(len(self.get(self.spool.accepted(b"c" * 32, 0.0))), MOST_MESSAGES)

    def test_counts(self: Any) -> None:
        """
        Deliveries are counted by status, each status has its number.
        """
        for status, keep_until in (
            (Status.PENDING, None),
            (Status.RETRY, None),
            (Status.RETRY, None),
            (Status.HELD, None),
            (Status.FAILED, 9e9),
            (Status.COMPLETED, 9e9),
            (Status.COMPLETED, None),
        ):
            _, (delivery,) = self.stored()
            following = 5.0 if status in (Status.PENDING, Status.RETRY) else None
            self.settled(delivery, status=status, next_attempt=following, keep_until=keep_until)
        counts = self.get(self.spool.counts())
        self.assertEqual(set(counts), set(Status))
        self.assertEqual(
            {status: number for status, number in counts.items() if number},
            {Status.PENDING: 1, Status.RETRY: 2, Status.HELD: 1, Status.FAILED: 1, Status.COMPLETED: 1},
        )

    # -- life

    def test_probe_and_cleanup(self: Any) -> None:
        """
        A spool that works says so; nothing is left to be cleaned up.
        """
        self.get(self.spool.probe())
        self.assertEqual(self.get(self.spool.retry_cleanup(0.0)), 0)

    def test_each_group_is_told(self: Any) -> None:
        """
        A GroupCommitted event for each group, without an error where all went well.
        """
        self.stored()
        (event,) = self.events
        assert isinstance(event, GroupCommitted)
        self.assertEqual((event.size, event.error), (1, ""))

    def test_a_closed_spool_refuses(self: Any) -> None:
        """
        After close every call fails with a SpoolError.
        """
        message, (delivery,) = self.stored()
        self.get(self.spool.close())
        for call in (
            self.spool.store(*self.post.with_deliveries()),
            self.spool.settle(Settlement(delivery)),
            self.spool.load(message.queue_id),
            self.spool.due(1e9, 1, ()),
            self.spool.counts(),
            self.spool.probe(),
            self.spool.hasten(("a.example",), 1.0),
        ):
            self.assertTrue(self.failureResultOf(call).check(SpoolError))


async def written(waiting: Awaitable[None] | None) -> None:
    """
    Wait for a writer.
    """
    if waiting is not None:
        await waiting


async def _wait(waiting: Awaitable[T]) -> T:
    return await waiting
