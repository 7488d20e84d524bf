"""
Group commit: who is written with whom, who hears what, and when.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.mail.idempotency import Claim
from empath.mail.life import GroupCommitted, LifeEvent
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.settlement import Settlement
from empath.spool.commit import LONGEST_REST
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import HeldThread, Post, at_once


class CommitTests(SynchronousTestCase):
    """
    Each test has a spool whose writer works when it is told to.
    """

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        self.events: list[LifeEvent] = []
        self.post = Post()
        self.writer = HeldThread()
        self.threads = HeldThread()
        self.threads.held = False
        self.clock = Clock()
        self.spool = SqliteSpool(
            Spool(path=Folder(self.root), inline_limit=Size(1000), min_free=Size(0)),
            clock=self.clock,
            in_writer=self.writer,
            in_reader=at_once,
            in_thread=self.threads,
            emit=self.events.append,
            ballast=4096,
        )
        self.spool.open()
        self.addCleanup(self.close)

    def close(self) -> None:
        self.threads.release()
        self.writer.release()
        self.successResultOf(Deferred.fromCoroutine(self.spool.close()))

    def store(self, **how: Any) -> Deferred[None]:
        return self.spool.store(*self.post.with_deliveries(**how))

    def stored(self, *recipients: str) -> tuple[Message, tuple[Delivery, ...]]:
        message, deliveries = self.post.with_deliveries(*recipients)
        done = self.spool.store(message, deliveries)
        self.writer.run()
        self.successResultOf(done)
        return message, deliveries

    def limit_pages(self, more: int) -> None:
        """
        Let the database grow by this many pages only: beyond them it is SQLITE_FULL.
        """
        connection: sqlite3.Connection = self.spool._writer._connection  # type: ignore[assignment]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + more}").fetchall()

    def content_files(self) -> list[str]:
        return [name for _, _, names in os.walk(os.path.join(self.root, "content")) for name in names]

    def due(self) -> list[Delivery]:
        return self.successResultOf(self.spool.due(1e9, 1000, ()))

    def hasten(self) -> Deferred[int]:
        """
        Begin what is done in slices.
        """
        return self.spool.hasten(("a.example",), 1.0)

    def shared_slice(self) -> None:
        """
        Do a slice of half a second, during which others wait.
        """
        done, other = self.hasten(), self.store()
        self.clock.advance(0.5)
        self.writer.run()
        self.writer.run()
        self.successResultOf(done)
        self.successResultOf(other)

    def test_slices_alone_do_not_wait(self) -> None:
        """
        One follows the other where nobody else commits.
        """
        for _ in range(2):
            done = self.hasten()
            self.clock.advance(0.5)
            self.writer.run()
            self.successResultOf(done)

    def test_slices_leave_time_to_others(self) -> None:
        """
        While others commit one waits, for no longer than is bounded; theirs go at once.
        """
        self.shared_slice()
        done, other = self.hasten(), self.store()
        self.writer.run()
        self.successResultOf(other)
        self.assertEqual(self.writer.calls, [])
        self.clock.advance(LONGEST_REST)
        self.writer.run()
        self.successResultOf(done)

    def test_slices_that_wait_when_the_spool_is_closed(self) -> None:
        """
        Are not done, and leave no timer behind.
        """
        self.shared_slice()
        done = self.hasten()
        self.close()
        self.failureResultOf(done, SpoolError)
        self.assertEqual([each for each in self.clock.getDelayedCalls() if each.active()], [])

    def test_what_waits_is_one_group(self) -> None:
        """
        The first goes at once; all that come meanwhile go together, in one call of the thread.
        """
        waiting = [self.store() for _ in range(5)]
        self.assertEqual(len(self.writer.calls), 1)
        self.writer.run()
        self.successResultOf(waiting[0])
        for each in waiting[1:]:
            self.assertNoResult(each)
        self.assertEqual(len(self.writer.calls), 1)
        self.clock.advance(2.0)
        self.writer.run()
        for each in waiting[1:]:
            self.successResultOf(each)
        sizes = [(event.size, event.seconds) for event in self.events if isinstance(event, GroupCommitted)]
        self.assertEqual(sizes, [(1, 0.0), (4, 2.0)])
        self.assertEqual(self.writer.calls, [])

    def test_one_bad_message_fails_alone(self) -> None:
        """
        What SQLite cannot bind does not take the others of its group with it.
        """
        blocking = self.store()
        good, deliveries = self.post.with_deliveries()
        bad, others = self.post.with_deliveries()
        strange, (delivery,) = self.post.with_deliveries()
        waiting = [
            self.spool.store(attrs.evolve(bad, priority=2**70), others),
            self.spool.store(attrs.evolve(bad, trace="\ud800"), others),
            self.spool.store(strange, (attrs.evolve(delivery, last_error="\ud800"),)),
        ]
        done = self.spool.store(good, deliveries)
        self.writer.release()
        self.successResultOf(blocking)
        for each in waiting:
            self.failureResultOf(each, SpoolError)
        self.successResultOf(done)
        self.assertEqual(len(self.due()), 2)

    def test_deferreds_fire_in_the_order_of_submission(self) -> None:
        """
        Failed ones too, and never before an earlier group's, even if a callback asks for more.
        """
        told: list[str] = []
        first = self.store()
        first.addCallback(lambda _: self.store().addCallback(lambda _: told.append("again")))
        message, deliveries = self.post.with_deliveries()
        for name in ("one", "two", "three"):
            done = self.spool.store(message, deliveries)
            done.addBoth(lambda _, told_name: told.append(told_name), name)
        self.writer.release()
        self.assertEqual(told, ["one", "two", "three", "again"])

    def test_a_failure_leaves_the_neighbours_alone(self) -> None:
        """
        One queue id taken, one delivery unknown: both fail, all others of the group are stored.
        """
        message, deliveries = self.stored()
        _, (delivery,) = self.post.with_deliveries()
        blocker = self.store()
        good = [self.store() for _ in range(3)]
        taken = self.spool.store(message, deliveries)
        unknown = self.spool.settle(Settlement(delivery))
        settled = self.spool.settle(Settlement(attrs.evolve(deliveries[0], status=Status.COMPLETED)))
        self.writer.release()
        for each in (blocker, *good, settled):
            self.successResultOf(each)
        self.failureResultOf(taken, QueueIdTaken)
        self.failureResultOf(unknown, MessageUnknown)
        self.assertEqual(len(self.due()), 4)

    def test_text_that_cannot_be_stored_fails_alone(self) -> None:
        """
        A lone surrogate, which neither JSON nor SQLite takes, costs only the operation it is in.
        """
        message, deliveries = self.post.with_deliveries()
        blocker = self.store()
        good = self.store()
        bad = [
            self.spool.store(attrs.evolve(message, metadata={"x": "\udc80"}), deliveries),
            self.spool.store(attrs.evolve(message, trace="\udc80"), deliveries),
        ]
        self.writer.release()
        for each in bad:
            self.failureResultOf(each, SpoolError)
        for each in (blocker, good):
            self.successResultOf(each)
        self.assertEqual(len(self.due()), 2)

    def test_pending_bytes_come_and_go(self) -> None:
        """
        What waits in memory is told, and forgotten when it is committed or withdrawn.
        """
        message = self.post.message()
        waiting = [self.spool.store(message, deliveries_of(message)), self.store(), self.store()]
        self.assertEqual(self.spool.pending_bytes, 3 * message.size)
        waiting[2].cancel()
        self.failureResultOf(waiting[2], CancelledError)
        self.assertEqual(self.spool.pending_bytes, 2 * message.size)
        self.writer.release()
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_cancelling_before_the_hand_over(self) -> None:
        """
        The message leaves the group that waits, as if it had never been there.
        """
        first = self.store()
        second = self.store()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.writer.release()
        self.successResultOf(first)
        self.assertEqual((len(self.due()), self.spool._commits.operations), (1, 1))

    def test_cancelling_under_way(self) -> None:
        """
        The caller hears it at once; the row is deleted by the next group and not due in between.
        """
        message, deliveries = self.post.with_deliveries("a@example.net", "b@example.com")
        done = self.spool.store(message, deliveries)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.run()
        self.assertEqual(self.due(), [])
        self.successResultOf(self.spool.load(message.queue_id))
        self.writer.run()
        self.failureResultOf(self.spool.load(message.queue_id), MessageUnknown)
        self.assertEqual(self.due(), [])
        self.assertEqual(self.writer.calls, [])

    def claiming(self) -> Deferred[None]:
        message, deliveries = self.post.with_deliveries()
        writer = self.spool.begin(message.queue_id)
        writer.write(b"body")
        return writer.commit(message, deliveries, Claim(b"c" * 32, b"r" * 16, 100.0))

    def test_a_withdrawn_message_claims_nothing(self) -> None:
        """
        From the moment on at which it is withdrawn, and for good.
        """
        done = self.claiming()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.run()
        self.assertEqual(self.successResultOf(self.spool.accepted(b"c" * 32, 0.0)), [])
        self.writer.release()
        self.assertEqual(self.successResultOf(self.spool.accepted(b"c" * 32, 0.0)), [])

    def test_a_claim_that_is_read_before_it_goes_and_told_after(self) -> None:
        """
        The reader's thread may be that slow: nobody is to hear then that the message was accepted.
        """
        done = self.claiming()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.run()
        read: list[tuple[Deferred[Any], Any]] = []

        def slowly(question: Callable[[], Any]) -> Deferred[Any]:
            read.append((Deferred(), question()))
            return read[-1][0]

        self.patch(self.spool._reader, "_in_reader", slowly)
        asked = self.spool.accepted(b"c" * 32, 0.0)
        self.writer.release()
        ((told, found),) = read
        self.assertEqual(len(found), 1)
        told.callback(found)
        self.assertEqual(self.successResultOf(asked), [])

    def test_what_is_on_disk_but_not_told_is_not_due(self) -> None:
        """
        A message may still be withdrawn until who waits for its commit has heard of it: nobody is to send it before.
        """
        message, deliveries = self.post.with_deliveries()
        done = self.spool.store(message, deliveries)
        write, written = self.writer.calls.pop()
        outcome = write()
        self.successResultOf(self.spool.load(message.queue_id))
        self.assertEqual(self.due(), [])
        written.callback(outcome)
        self.successResultOf(done)
        self.assertEqual(self.due(), list(deliveries))

    def test_withdrawing_one_that_was_refused_harms_nobody(self) -> None:
        """
        The message that has the queue id stays.
        """
        message, deliveries = self.stored()
        done = self.spool.store(message, deliveries)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.release()
        self.assertEqual(self.successResultOf(self.spool.load(message.queue_id)), message)
        self.assertEqual(self.due(), list(deliveries))

    def test_a_withdrawal_that_fails_is_repeated(self) -> None:
        """
        `retry_cleanup` tries again, and counts what is still to be done.
        """
        message, deliveries = self.post.with_deliveries()
        done = self.spool.store(message, deliveries)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.run()
        self.writer.calls.pop(0)[1].errback(OSError("the thread is gone"))
        self.assertEqual(self.due(), [])
        self.writer.release()
        self.assertEqual(self.successResultOf(self.spool.retry_cleanup(0.0)), 0)
        self.failureResultOf(self.spool.load(message.queue_id), MessageUnknown)

    def test_a_settlement_stands(self) -> None:
        """
        Cancelling its Deferred does not undo what an attempt has brought about.
        """
        message, (delivery,) = self.stored()
        blocker = self.store()
        done = self.spool.settle(Settlement(attrs.evolve(delivery, status=Status.COMPLETED)))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.writer.release()
        self.successResultOf(blocker)
        self.failureResultOf(self.spool.load(message.queue_id), MessageUnknown)

    def test_a_full_disk(self) -> None:
        """
        New messages fail with SpoolFull, settlements of the same group are done.
        """
        kept = [self.stored() for _ in range(3)]
        self.limit_pages(2)
        blocker = self.store()
        new = [self.store(body=b"x" * 5000) for _ in range(5)]
        done = self.spool.settle(Settlement(attrs.evolve(kept[0][1][0], status=Status.COMPLETED)))
        self.writer.release()
        self.successResultOf(blocker)
        for each in new:
            self.failureResultOf(each, SpoolFull)
        self.successResultOf(done)
        self.assertEqual(len(self.due()), 3)
        self.assertIn("full", [e.error for e in self.events if isinstance(e, GroupCommitted)][-1])

    def test_the_ballast_is_for_settlements(self) -> None:
        """
        A settlement that finds no room drops the ballast; `retry_cleanup` makes it again.
        """
        self.stored()
        ballast = os.path.join(self.root, "ballast")
        self.assertTrue(os.path.exists(ballast))
        _, (delivery,) = self.stored()
        report, about = self.post.with_deliveries("alice@example.org", body=b"x" * 50_000)
        self.limit_pages(2)
        self.writer.release()
        settlement = Settlement(attrs.evolve(delivery, status=Status.FAILED), report, about)
        self.failureResultOf(self.spool.settle(settlement), SpoolFull)
        self.assertFalse(os.path.exists(ballast))
        self.limit_pages(1000)
        self.successResultOf(self.spool.settle(settlement))
        self.successResultOf(self.spool.retry_cleanup(0.0))
        self.assertEqual(os.stat(ballast).st_size, 4096)

    def test_trouble_with_the_disk_passes(self) -> None:
        """
        All that waited fail with SpoolError, nothing is changed; the next group finds a new connection.
        """
        self.stored()
        self.writer.release()
        os.rename(self.root, self.root + ".away")
        connection: sqlite3.Connection = self.spool._writer._connection  # type: ignore[assignment]
        connection.close()
        for _ in range(2):
            self.failureResultOf(self.store(), SpoolError)
            self.failureResultOf(self.spool.probe(), SpoolError)
        self.assertFalse(os.path.exists(self.root))
        os.rename(self.root + ".away", self.root)
        self.successResultOf(self.store())
        self.successResultOf(self.spool.probe())
        self.assertEqual(len(self.due()), 2)

    def test_trouble_with_reading_passes(self) -> None:
        """
        A reader that fails says SpoolError once and begins anew.
        """
        self.stored()
        self.due()
        connection: sqlite3.Connection = self.spool._reader._connection  # type: ignore[assignment]
        connection.close()
        self.failureResultOf(self.spool.due(1e9, 1, ()), SpoolError)
        self.assertEqual(len(self.due()), 1)

    def test_a_writer_that_is_gone(self) -> None:
        """
        A thread that cannot work fails what waited, and is asked again for the next group.
        """
        first, second = self.store(), self.store()
        self.writer.calls.pop(0)[1].errback(RuntimeError("the pool is stopped"))
        self.failureResultOf(first, SpoolError)
        self.writer.run()
        self.successResultOf(second)

    def test_close_waits_for_what_was_asked(self) -> None:
        """
        What waits is committed before the spool lets go.
        """
        waiting = [self.store() for _ in range(3)]
        closing = Deferred.fromCoroutine(self.spool.close())
        self.assertNoResult(closing)
        self.writer.release()
        self.successResultOf(closing)
        for each in waiting:
            self.successResultOf(each)
        self.failureResultOf(self.store(), SpoolError)

    def test_cancelling_large_content(self) -> None:
        """
        At every step of its commit, the file and the row go.
        """
        for steps in range(4):
            message = self.post.message(body=b"x" * 200_000)
            writer = self.spool.begin(message.queue_id)
            self.assertIsNone(writer.write(b"x" * 200_000))
            self.threads.held = self.writer.held = True
            blocker = self.store()
            message = attrs.evolve(message, body=None, body_file=writer.body_file)
            done = writer.commit(message, deliveries_of(message))
            if steps:
                self.threads.run()  # synced, and submitted
            for _ in range(steps - 1):
                self.writer.run()
            done.addErrback(lambda failure: failure.trap(CancelledError))
            done.cancel()
            self.threads.release()
            self.writer.release()
            self.successResultOf(blocker)
            self.successResultOf(done)
            if steps < 3:
                self.failureResultOf(self.spool.load(message.queue_id), MessageUnknown)
            self.assertEqual(self.content_files(), [message.queue_id] if steps == 3 else [])
            self.assertEqual(self.spool.pending_bytes, 0)

    def test_the_row_of_large_content_comes_last(self) -> None:
        """
        Nothing is handed to the writer before the file and its folder are synced.
        """
        message = self.post.message(body=b"x" * 2000)
        writer = self.spool.begin(message.queue_id)
        writer.write(b"x" * 2000)
        self.threads.held = True
        done = writer.commit(attrs.evolve(message, body=None, body_file=writer.body_file), deliveries_of(message))
        self.threads.run()
        self.assertEqual(self.writer.calls, [])
        self.threads.run()
        self.assertEqual(len(self.writer.calls), 1)
        self.writer.run()
        self.successResultOf(done)

    def test_a_failed_sync(self) -> None:
        """
        Content that does not reach the disk fails the commit with SpoolError and leaves nothing.
        """
        message = self.post.message(body=b"x" * 200_000)
        writer = self.spool.begin(message.queue_id)
        writer.write(b"x" * 200_000)
        self.threads.held = True
        done = writer.commit(attrs.evolve(message, body=None, body_file=writer.body_file), deliveries_of(message))
        self.threads.calls.pop(0)[1].errback(OSError("input/output error"))
        self.failureResultOf(done, SpoolError)
        self.threads.release()
        self.assertEqual(self.content_files(), [])
