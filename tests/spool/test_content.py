"""
Content: back-pressure, room, orphans, and deletions that fail.
"""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.errors import QueueIdTaken, SpoolError, SpoolFull
from empath.mail.life import CleanupGivenUp, LifeEvent
from empath.mail.message import Status, deliveries_of
from empath.mail.settlement import Settlement
from empath.spool import content_writer, files
from empath.spool.room import LOG, PLENTY
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import HeldThread, Post, at_once

KIB = 1024


class ContentTests(SynchronousTestCase):
    """
    Each test has a spool whose file threads work when they are told to.
    """

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        self.events: list[LifeEvent] = []
        self.post = Post()
        self.clock = Clock()
        self.free = 10**9
        self.counting = False  # the size of the database, against `free`
        self.threads = HeldThread()
        self.threads.held = False
        self.spool = self.open_spool()

    def open_spool(self) -> SqliteSpool:
        spool = SqliteSpool(
            Spool(path=Folder(self.root), inline_limit=Size(64 * KIB), min_free=Size(0)),
            clock=self.clock,
            in_writer=at_once,
            in_reader=at_once,
            in_thread=self.threads,
            emit=self.events.append,
            ballast=4096,
            free=lambda path: self.free - (self.database_size() if self.counting else 0),
        )
        spool.open()
        self.addCleanup(self.close, spool)
        return spool

    def close(self, spool: SqliteSpool) -> None:
        self.threads.release()
        self.successResultOf(Deferred.fromCoroutine(spool.close()))

    def database_size(self) -> int:
        return os.stat(os.path.join(self.root, "spool.sqlite")).st_size

    def content_files(self) -> list[str]:
        return [name for _, _, names in os.walk(os.path.join(self.root, "content")) for name in names]

    def commit(self, writer: Any, queue_id: str) -> Deferred[None]:
        message = self.post.message(queue_id=queue_id)
        message = attrs.evolve(message, body=writer.body, body_file=writer.body_file)
        done: Deferred[None] = writer.commit(message, deliveries_of(message))
        return done

    def store_large(self) -> tuple[str, Settlement]:
        """
        Store a message with a content file, and tell how to end it.
        """
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        self.successResultOf(self.commit(writer, queue_id))
        (delivery,) = [d for d in self.successResultOf(self.spool.due(1e9, 99, ())) if d.queue_id == queue_id]
        return queue_id, Settlement(attrs.evolve(delivery, status=Status.COMPLETED))

    def break_deletion(self, queue_id: str) -> None:
        """
        Put a folder in the place of a content file: it cannot be unlinked.
        """
        path = self.path_of(queue_id)
        os.unlink(path)
        os.mkdir(path)

    def path_of(self, queue_id: str) -> str:
        return os.path.join(self.root, "content", queue_id[-2:], queue_id)

    # -- streaming

    def test_back_pressure(self) -> None:
        """
        Beyond 512 KiB that are not on their way yet the writer is told to wait, until half of them are written.
        """
        self.threads.held = True
        writer = self.spool.begin(self.post.new_id())
        for _ in range(8):
            self.assertIsNone(writer.write(b"x" * 64 * KIB))
        waiting: Any = writer.write(b"x" * 64 * KIB)
        self.assertNoResult(waiting)
        self.assertEqual(self.spool.pending_bytes, 576 * KIB)
        self.assertEqual(len(self.threads.calls), 1)
        self.threads.run()
        self.assertNoResult(waiting)
        self.threads.run()
        self.successResultOf(waiting)
        self.assertEqual(self.spool.pending_bytes, 0)
        writer.abort()

    def test_small_pieces_are_gathered(self) -> None:
        """
        A thread is asked for 64 KiB at least, whatever the size of the pieces.
        """
        self.threads.held = True
        writer = self.spool.begin(self.post.new_id())
        writer.write(b"x" * 64 * KIB)
        writer.write(b"x")
        self.threads.run()
        for _ in range(63):
            writer.write(b"x" * KIB)
        self.assertEqual(self.threads.calls, [])
        writer.write(b"x" * KIB)
        self.assertEqual(len(self.threads.calls), 1)
        writer.abort()

    def test_memory_is_bounded_in_all(self) -> None:
        """
        While all writers together hold too much even a small message goes to a file, and its writer waits.
        """
        self.patch(content_writer, "HELD", 100 * KIB)
        one, two = self.spool.begin(self.post.new_id()), self.spool.begin(self.post.new_id())
        self.assertIsNone(one.write(b"x" * 60 * KIB))
        self.threads.held = True
        waiting: Any = two.write(b"x" * 60 * KIB)
        self.assertIsNone(two.body)
        self.assertNoResult(waiting)
        self.threads.run()
        self.successResultOf(waiting)
        one.abort()
        two.abort()

    def test_a_failing_write_is_told_to_who_waits(self) -> None:
        """
        The Awaitable of back-pressure fails, later calls too, and the file is gone.
        """
        self.threads.held = True
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        waiting: Any = writer.write(b"x" * 600 * KIB)
        self.threads.calls.pop(0)[1].errback(SpoolFull("no room"))
        self.failureResultOf(waiting, SpoolFull)
        self.assertRaises(SpoolFull, writer.write, b"x")
        self.failureResultOf(self.commit(writer, queue_id), SpoolFull)
        self.threads.release()
        self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    def test_abort_while_a_thread_writes(self) -> None:
        """
        The file goes once the thread is done with it; who waited goes on, and hears no more than that.
        """
        self.threads.held = True
        writer = self.spool.begin(self.post.new_id())
        waiting: Any = writer.write(b"x" * 600 * KIB)
        writer.abort()
        self.successResultOf(waiting)
        self.threads.release()
        self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    # -- reading and clearing what is being written

    def test_reading_flushes(self) -> None:
        """
        A reader waits until all that was written is in the file, whatever a thread is doing; what comes later follows.
        """
        self.threads.held = True
        writer = self.spool.begin(self.post.new_id())
        writer.write(b"a" * 100 * KIB)
        writer.write(b"b")
        reader = writer.open()
        reading: Any = reader.read()
        self.assertNoResult(reading)
        self.assertEqual(len(self.threads.calls), 1)
        self.threads.run()
        self.assertNoResult(reading)
        self.threads.run()
        self.threads.run()
        self.assertEqual(len(self.successResultOf(reading)), 64 * KIB)
        self.threads.held = False
        rest: Any = Deferred.fromCoroutine(self.rest_of(reader))
        self.assertEqual(self.successResultOf(rest), b"a" * 36 * KIB + b"b")
        reader.close()
        writer.abort()
        self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    async def rest_of(self, reader: Any) -> bytes:
        pieces = []
        while piece := await reader.read():
            pieces.append(piece)
        return b"".join(pieces)

    def test_clearing_while_a_thread_writes(self) -> None:
        """
        What is under way is written first, then dropped; what waited in memory is never written.
        """
        self.threads.held = True
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        waiting: Any = writer.write(b"a" * 100 * KIB)
        self.assertIsNone(waiting)
        writer.write(b"b" * 100 * KIB)
        writer.clear()
        self.assertEqual((writer.size, self.spool.pending_bytes), (0, 100 * KIB))
        writer.write(b"new")
        done = self.commit(writer, queue_id)
        self.threads.release()
        self.successResultOf(done)
        with open(self.path_of(queue_id), "rb") as file:
            self.assertEqual(file.read(), b"new")
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_who_waits_for_room_goes_on_after_clearing(self) -> None:
        """
        Back-pressure ends when the thread is done with what it has.
        """
        self.threads.held = True
        writer = self.spool.begin(self.post.new_id())
        writer.write(b"x" * 100 * KIB)
        waiting: Any = writer.write(b"x" * 600 * KIB)
        self.assertNoResult(waiting)
        writer.clear()
        self.threads.run()
        self.successResultOf(waiting)
        writer.abort()

    def test_a_reader_sees_what_was_there_when_it_was_opened(self) -> None:
        """
        Who reads and adds at the same time comes to an end, wherever the body lies; a reader that is closed says so.
        """
        for size in (100, 100 * KIB):
            writer = self.spool.begin(self.post.new_id())
            writer.write(b"a" * size)
            readers = [writer.open(), writer.open()]
            reading: Any = readers[1].read()
            first: bytes = self.successResultOf(reading)
            writer.write(b"b" * 70 * KIB)
            rest = self.successResultOf(Deferred.fromCoroutine(self.rest_of(readers[1])))
            whole = self.successResultOf(Deferred.fromCoroutine(self.rest_of(readers[0])))
            self.assertEqual((whole, first + rest), (b"a" * size, b"a" * size))
            for reader in (*readers, writer.open()):
                reader.close()
                reading = reader.read()
                self.failureResultOf(reading, SpoolError)
            writer.abort()

    def test_what_nobody_foresaw_ends_the_commit(self) -> None:
        """
        Of content in a file, too: who waits hears it, and nothing stays.
        """
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        message: Any = self.post.message(queue_id=queue_id)
        deliveries: Any = (None,)
        failed = writer.commit(attrs.evolve(message, body=None, body_file=writer.body_file, header=None), deliveries)
        self.failureResultOf(failed, SpoolError)
        self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    def test_a_file_that_cannot_be_written_cannot_be_read(self) -> None:
        """
        Who reads, or has opened, hears the same as who writes.
        """
        for fail_first in (False, True):
            self.threads.held = True
            writer = self.spool.begin(self.post.new_id())
            writer.write(b"x" * 100 * KIB)
            reader = writer.open()
            if fail_first:
                self.threads.calls.pop(0)[1].errback(SpoolFull("no room"))
                self.failureResultOf(reader.read(), SpoolFull)
            else:
                reading: Any = reader.read()
                self.threads.calls.pop(0)[1].errback(SpoolFull("no room"))
                self.failureResultOf(reading, SpoolFull)
            self.assertRaises(SpoolFull, writer.clear)
            self.failureResultOf(writer.open().read(), SpoolError)
            reader.close()
            self.threads.release()
            self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    def test_a_file_that_cannot_be_cleared(self) -> None:
        """
        Fails its message, and nothing of it stays.
        """
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        self.threads.held = True
        writer.clear()
        self.threads.calls.pop(0)[1].errback(OSError("input/output error"))
        self.failureResultOf(self.commit(writer, queue_id), SpoolError)
        self.threads.release()
        self.assertEqual((self.content_files(), self.spool.pending_bytes), ([], 0))

    def test_a_reader_that_is_not_waited_for(self) -> None:
        """
        A read that is cancelled while the file is flushed leaves the writer as it was.
        """
        self.threads.held = True
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        reading: Any = writer.open().read()
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        done = self.commit(writer, queue_id)
        self.threads.release()
        self.successResultOf(done)
        self.assertEqual(os.stat(self.path_of(queue_id)).st_size, 100 * KIB)

    def test_a_file_is_never_overwritten(self) -> None:
        """
        A content file of the same queue id ends the writer with QueueIdTaken and stays.
        """
        queue_id, _ = self.store_large()
        writer = self.spool.begin(queue_id)
        self.assertRaises(QueueIdTaken, writer.write, b"y" * 100 * KIB)
        writer.abort()
        with open(self.path_of(queue_id), "rb") as file:
            self.assertEqual(file.read(), b"x" * 100 * KIB)

    def test_a_new_folder_is_on_disk_before_anything_in_it(self) -> None:
        """
        Whoever uses a folder that somebody else has made does not trust that it reached the disk.
        """
        synced: list[str] = []
        trouble = [OSError("input/output error")]

        def sync_folder(path: str) -> None:
            if trouble:
                raise trouble.pop()
            synced.append(path)

        self.patch(files, "sync_folder", sync_folder)
        folder = os.path.join(self.root, "content", "ZZ")
        self.assertRaises(SpoolError, self.spool.begin(f"{0:024}ZZ").write, b"x" * 100 * KIB)
        for number, expected in enumerate(([os.path.dirname(folder), folder], [folder])):
            queue_id = f"{number:024}ZZ"
            writer = self.spool.begin(queue_id)
            writer.write(b"x" * 100 * KIB)
            self.successResultOf(self.commit(writer, queue_id))
            self.assertEqual(synced, expected)
            synced.clear()

    def test_a_name_that_is_no_queue_id(self) -> None:
        """
        Content goes under queue ids only.
        """
        writer = self.spool.begin("../../evil")
        self.assertRaises(SpoolError, writer.write, b"y" * 100 * KIB)
        self.assertEqual(self.spool.pending_bytes, 0)

    def test_content_that_lost_its_end_is_not_read_to_it(self) -> None:
        """
        A content file shorter than its message is trouble, not the end of the body: half a message is never sent.
        """
        queue_id = self.post.new_id()
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        message = self.post.message(queue_id=queue_id)
        size = len(message.header) + 100 * KIB
        message = attrs.evolve(message, body=None, body_file=writer.body_file, size=size)
        self.successResultOf(writer.commit(message, deliveries_of(message)))
        os.truncate(self.path_of(queue_id), 65 * KIB)
        reader: Any = self.spool.open_body(message)
        self.assertEqual(len(self.successResultOf(reader.read())), 64 * KIB)
        self.assertEqual(len(self.successResultOf(reader.read())), KIB)
        self.failureResultOf(reader.read(), SpoolError)

    def test_a_reader_is_closed_while_a_thread_reads(self) -> None:
        """
        The file is let go when the thread is done; what it read counts for nothing, it may be of another body by then.
        """
        queue_id, _ = self.store_large()
        reader = self.spool.open_body(self.successResultOf(self.spool.load(queue_id)))
        self.threads.held = True
        reading: Any = reader.read()
        self.failureResultOf(reader.read(), SpoolError)
        reader.close()
        self.threads.release()
        self.failureResultOf(reading, SpoolError)
        self.failureResultOf(reader.read(), SpoolError)

    # -- room

    def test_room_is_asked_once_a_second_and_reckoned_on(self) -> None:
        """
        What came since the disk was asked, and what is still in memory, is not free any more.
        """
        self.free = LOG + PLENTY + 300 * KIB
        self.clock.advance(1)
        self.assertTrue(self.spool.has_room(PLENTY + 300 * KIB))
        self.assertFalse(self.spool.has_room(PLENTY + 300 * KIB + 1))
        writer = self.spool.begin(self.post.new_id())
        writer.write(b"x" * 50 * KIB)
        self.assertFalse(self.spool.has_room(PLENTY + 251 * KIB))
        writer.write(b"x" * 50 * KIB)
        self.assertEqual(self.spool.pending_bytes, 0)
        self.assertFalse(self.spool.has_room(PLENTY + 201 * KIB))
        self.assertTrue(self.spool.has_room(PLENTY + 200 * KIB))
        self.clock.advance(1)
        self.assertTrue(self.spool.has_room(PLENTY + 300 * KIB))
        self.spool.reconfigure(Spool(min_free=Size(100 * KIB)))
        self.assertFalse(self.spool.has_room(PLENTY + 201 * KIB))
        writer.abort()

    def test_little_room_is_asked_for_each_time(self) -> None:
        """
        Near the limit the disk is asked anew, and the log's copy into the database is reckoned with.
        """
        self.free = LOG + 300 * KIB
        self.clock.advance(1)
        self.assertTrue(self.spool.has_room(300 * KIB))
        message, deliveries = self.post.with_deliveries(body=b"x" * 60 * KIB)
        self.successResultOf(self.spool.store(message, deliveries))
        self.free = LOG + 100 * KIB
        self.assertFalse(self.spool.has_room(101 * KIB))
        self.assertTrue(self.spool.has_room(100 * KIB))

    def test_what_lies_free_in_the_database_is_room(self) -> None:
        """
        After deletions new mail finds room though the file is as large as before; and it is made smaller, so that
        content files find it too.
        """
        stored = []
        for _ in range(40):
            message, deliveries = self.post.with_deliveries(body=b"x" * 60 * KIB)
            self.successResultOf(self.spool.store(message, deliveries))
            stored.append(deliveries[0])
        self.spool._writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        self.free, self.counting = self.database_size() + LOG, True
        self.clock.advance(1)
        self.assertFalse(self.spool.has_room(1))
        for delivery in stored:
            self.successResultOf(self.spool.settle(Settlement(attrs.evolve(delivery, status=Status.COMPLETED))))
        self.assertTrue(self.spool.has_room(2000 * KIB))
        self.assertLess(self.database_size(), 200 * KIB)

    def test_a_disk_that_does_not_answer_has_no_room(self) -> None:
        """
        Trouble in asking is an answer.
        """

        def broken(path: str) -> int:
            raise OSError("gone")

        self.spool._room._ask = lambda: broken("")
        self.clock.advance(1)
        self.assertFalse(self.spool.has_room(0 + 1))

    # -- cleanup

    def test_failed_deletions_are_repeated(self) -> None:
        """
        After 2, 4 and 8 seconds; then CRITICAL, an event, and no more.
        """
        queue_id, settlement = self.store_large()
        self.break_deletion(queue_id)
        self.successResultOf(self.spool.settle(settlement))
        left = []
        for now in (1.9, 2.0, 5.9, 6.0, 13.9, 14.0):
            left.append((self.successResultOf(self.spool.retry_cleanup(now)), self.spool.deletion_failures))
        self.assertEqual(left, [(1, 1), (1, 2), (1, 2), (1, 3), (1, 3), (0, 4)])
        (event,) = [event for event in self.events if isinstance(event, CleanupGivenUp)]
        self.assertEqual((event.name, event.attempts, event.first_failure), (queue_id, 3, 0.0))

    def test_failed_deletions_are_repeated_by_themselves(self) -> None:
        """
        After 2, 4 and 8 seconds, however seldom the cleanup comes round.
        """
        queue_id, settlement = self.store_large()
        self.break_deletion(queue_id)
        self.successResultOf(self.spool.settle(settlement))
        failures = []
        for seconds in (1.9, 0.1, 3.9, 0.1, 7.9, 0.1, 1000.0):
            self.clock.advance(seconds)
            failures.append(self.spool.deletion_failures)
        self.assertEqual(failures, [1, 2, 2, 3, 3, 4, 4])
        (event,) = [event for event in self.events if isinstance(event, CleanupGivenUp)]
        self.assertEqual((event.name, event.attempts, event.first_failure), (queue_id, 3, 0.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_failure_is_not_kept_waiting_by_older_ones(self) -> None:
        """
        Each has its own time: one that fails later is not repeated with those that wait for longer already.
        """
        pairs = [self.store_large() for _ in range(2)]
        for queue_id, _ in pairs:
            self.break_deletion(queue_id)
        self.successResultOf(self.spool.settle(pairs[0][1]))
        self.clock.pump([2.0, 4.0])
        self.successResultOf(self.spool.settle(pairs[1][1]))
        failures = []
        for seconds in (1.9, 0.1):
            self.clock.advance(seconds)
            failures.append(self.spool.deletion_failures)
        self.assertEqual(failures, [4, 5])

    def test_a_closed_spool_repeats_no_deletion(self) -> None:
        """
        It leaves no timer behind, and ends what is being repeated.
        """
        pairs = [self.store_large() for _ in range(2)]
        for queue_id, settlement in pairs:
            self.break_deletion(queue_id)
            self.successResultOf(self.spool.settle(settlement))
        self.threads.held = True
        self.clock.advance(2.0)
        closing = Deferred.fromCoroutine(self.spool.close())
        self.assertNoResult(closing)
        self.threads.release()
        self.successResultOf(closing)
        self.assertEqual((self.spool.deletion_failures, self.clock.getDelayedCalls()), (3, []))
        self.spool = self.open_spool()

    def test_a_repeated_deletion_succeeds(self) -> None:
        """
        Then nothing is left to be done.
        """
        queue_id, settlement = self.store_large()
        self.break_deletion(queue_id)
        self.successResultOf(self.spool.settle(settlement))
        os.rmdir(self.path_of(queue_id))
        self.assertEqual(self.successResultOf(self.spool.retry_cleanup(2.0)), 0)
        self.assertEqual([event for event in self.events if isinstance(event, CleanupGivenUp)], [])

    # -- orphans

    def orphan(self) -> str:
        queue_id = self.post.new_id()
        os.makedirs(os.path.dirname(self.path_of(queue_id)), exist_ok=True)
        with open(self.path_of(queue_id), "wb") as file:
            file.write(b"left over")
        return queue_id

    def test_orphans_are_swept_at_open(self) -> None:
        """
        Files without a row go, files of messages stay, and so does what is not ours.
        """
        queue_id, _ = self.store_large()
        self.close(self.spool)
        self.orphan()
        foreign = os.path.join(self.root, "content", "notes.txt")
        with open(foreign, "w") as file:
            file.write("not ours")
        spool = self.open_spool()
        self.assertEqual(sorted(self.content_files()), sorted([queue_id, "notes.txt"]))
        self.assertEqual(spool.orphans, 1)

    def test_what_is_received_during_the_sweep_is_no_orphan(self) -> None:
        """
        The file of a message that is not committed yet stays, whenever the sweep looks.
        """
        self.close(self.spool)
        orphan = self.orphan()
        self.threads.held = True
        self.spool = self.open_spool()
        queue_id = self.post.new_id()[:-2] + orphan[-2:]
        writer = self.spool.begin(queue_id)
        writer.write(b"x" * 100 * KIB)
        self.threads.run()
        self.threads.release()
        self.assertEqual(self.content_files(), [queue_id])
        self.successResultOf(self.commit(writer, queue_id))
        self.assertEqual(self.spool.orphans, 1)

    def test_closing_ends_the_sweep(self) -> None:
        """
        The rest is left to the next start.
        """
        self.close(self.spool)
        orphan = self.orphan()
        self.threads.held = True
        spool = self.open_spool()
        self.successResultOf(Deferred.fromCoroutine(spool.close()))
        self.threads.release()
        self.assertEqual(self.content_files(), [orphan])
