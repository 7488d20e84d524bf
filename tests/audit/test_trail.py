"""
The trail on the reactor's side: nothing waits for the disk but who asked for it, and nothing is lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.audit import trail as trails
from empath.audit.making import Capture
from empath.audit.trail import GATHER, RETRY, SYNC_EVERY, Trail
from empath.audit.writing import TrailFile, Written
from tests.audit.trails import happened


class File(TrailFile):
    """
    Remembers what it was to write; `trouble` is why it does not.
    """

    def __init__(self) -> None:
        self.path = Path("/trail")
        self.batches: list[tuple[int, bool]] = []
        self.actions: list[str] = []
        self.trouble = ""
        self.closed = False
        self.lines: list[bytes] = []

    def write(self, batch: Any, sync: bool) -> Written:
        self.batches.append((len(batch), sync))
        if self.trouble:
            return Written(trouble=self.trouble)
        self.actions += [capture[2] for capture in batch]
        return Written(len(batch), len(batch), lines=self.lines)

    def close(self, now: float) -> None:
        self.closed = True


class TrailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.file = File()
        self.held: list[tuple[Callable[[], Any], Deferred[Any]]] | None = None
        self.told: list[list[bytes]] = []
        self.trail = Trail(self.file, self.clock, self.in_thread, self.told.append)

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        if self.held is None:
            return succeed(call())
        done: Deferred[Any] = Deferred()
        self.held.append((call, done))
        return done

    def let_go(self) -> None:
        held, self.held = self.held or [], []
        for call, done in held:
            done.callback(call())

    def take(self, count: int) -> list[Capture]:
        captures = [happened(number) for number in range(count)]
        for capture in captures:
            self.trail.take(capture)
        return captures

    def test_records_wait_for_others_to_be_written_with(self) -> None:
        self.take(3)
        self.assertEqual(self.file.batches, [])
        self.clock.advance(GATHER)
        self.assertEqual(self.file.batches, [(3, True)])
        self.take(2)
        self.clock.advance(GATHER)
        self.assertEqual(self.file.batches[1:], [(2, False)])

    def test_all_is_on_the_disk_soon_though_nothing_more_comes(self) -> None:
        self.take(1)
        self.clock.advance(GATHER)
        self.take(1)
        self.clock.advance(GATHER)
        self.clock.advance(SYNC_EVERY)
        self.assertEqual(self.file.batches, [(1, True), (1, False), (0, True)])
        self.clock.advance(100)
        self.assertEqual(len(self.file.batches), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_waits_for_a_record_waits_for_the_disk_only(self) -> None:
        self.held = []
        first, second = self.trail.recorded(happened(1)), self.trail.recorded(happened(2))
        self.clock.advance(0)
        third = self.trail.recorded(happened(3))
        self.assertNoResult(first)
        self.let_go()
        self.assertEqual(self.file.batches, [(2, True)])
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertNoResult(third)
        self.clock.advance(0)
        self.let_go()
        self.successResultOf(third)

    def test_trouble_is_tried_again_and_loses_nothing(self) -> None:
        self.file.trouble = "no space"
        self.take(2)
        self.clock.advance(GATHER)
        self.assertEqual((self.trail.waiting, self.trail.figures.trouble), (2, "no space"))
        self.take(1)
        self.clock.advance(RETRY)
        self.file.trouble = ""
        self.clock.advance(RETRY)
        self.assertEqual(self.file.actions, ["step-0", "step-1", "step-0"])
        self.assertEqual((self.trail.waiting, self.trail.figures.trouble, self.trail.figures.lost), (0, "", 0))
        self.assertEqual(self.trail.figures.failures, 2)

    def test_nobody_waits_for_a_disk_that_is_full(self) -> None:
        self.file.trouble = "no space"
        waiting = self.trail.recorded(happened(1))
        self.clock.advance(0)
        self.successResultOf(waiting)
        self.successResultOf(self.trail.recorded(happened(2)))
        self.file.trouble = ""
        self.clock.advance(RETRY)
        self.assertEqual(self.file.actions, ["step-1", "step-2"])

    def test_who_reads_waits_until_all_is_written(self) -> None:
        """
        What waits is written at once; what is being written is waited for.
        """
        self.assertFalse(self.trail.behind)
        self.trail.take(happened(1))
        self.assertTrue(self.trail.behind)
        waiting = self.trail.caught_up()
        self.clock.advance(0)
        self.successResultOf(waiting)
        self.assertEqual((self.file.actions, self.trail.behind), ([happened(1)[2]], False))

    def test_who_reads_does_not_wait_for_what_cannot_be_written(self) -> None:
        """
        It sees what there is.
        """
        self.file.trouble = "disk full"
        self.trail.take(happened(1))
        self.clock.advance(GATHER)
        self.successResultOf(self.trail.caught_up())

    def test_mail_is_refused_meanwhile_only_if_that_is_wanted(self) -> None:
        self.assertTrue(self.trail.has_room())
        self.file.trouble = "no space"
        self.take(1)
        self.clock.advance(GATHER)
        self.assertTrue(self.trail.has_room())
        self.trail.stops = True
        self.assertFalse(self.trail.has_room())
        self.file.trouble = ""
        self.clock.advance(RETRY)
        self.assertTrue(self.trail.has_room())

    def test_what_memory_does_not_hold_is_counted_and_told_in_the_trail(self) -> None:
        self.patch(trails, "MOST_WAITING", 5)
        self.file.trouble = "no space"
        self.take(8)
        self.clock.advance(GATHER)
        self.assertEqual((self.trail.waiting, self.trail.figures.lost), (5, 3))
        self.file.trouble = ""
        self.clock.advance(RETRY)
        self.clock.advance(GATHER)
        self.take(1)
        self.clock.advance(GATHER)
        self.assertIn("records-lost", self.file.actions)
        self.assertEqual(self.trail.figures.lost, 3)

    def test_a_flood_is_written_in_pieces(self) -> None:
        self.patch(trails, "MOST_AT_ONCE", 10)
        self.take(25)
        for _ in range(4):
            self.clock.advance(GATHER)
        self.assertEqual([count for count, _ in self.file.batches], [10, 10, 5])

    def test_stopping_writes_all_and_ends_the_trail(self) -> None:
        self.held = []
        self.take(1)
        self.clock.advance(GATHER)
        self.take(2)
        stopped = Deferred.fromCoroutine(self.trail.stop())
        for _ in range(3):
            self.let_go()
        self.successResultOf(stopped)
        self.assertEqual(len(self.file.actions), 3)
        self.assertTrue(self.file.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_does_not_wait_for_a_full_disk(self) -> None:
        self.file.trouble = "no space"
        self.take(2)
        self.clock.advance(GATHER)
        self.successResultOf(Deferred.fromCoroutine(self.trail.stop()))
        self.assertTrue(self.file.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_fault_of_our_own_is_told_and_does_not_end_the_trail(self) -> None:
        def broken(batch: Any, sync: bool) -> Written:
            raise ZeroDivisionError

        real = self.file.write
        self.patch(self.file, "write", broken)
        self.held = []
        self.take(1)
        self.clock.advance(GATHER)
        [(_, done)] = self.held
        self.held = None
        try:
            broken([], False)
        except ZeroDivisionError:
            done.errback()
        self.assertEqual(self.trail.figures.lost, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.file, "write", real)
        self.clock.advance(RETRY)
        self.assertEqual(self.trail.figures.trouble, "")
        self.take(1)
        self.clock.advance(GATHER)
        self.clock.advance(GATHER)
        self.assertEqual(self.file.actions[-2:], ["step-0", "records-lost"])

    def test_what_was_written_goes_to_the_other_places(self) -> None:
        self.file.lines = [b"x\n"]
        self.take(1)
        self.clock.advance(GATHER)
        self.assertEqual(self.told, [[b"x\n"]])

    def test_what_waits_is_bounded_by_what_it_keeps_alive(self) -> None:
        self.file.trouble = "no space left on device"
        self.trail.stops = True
        self.patch(trails, "MOST_WEIGHT", 10_000)
        for number in range(3):
            self.trail.take(happened(number), 4_000)
        self.assertFalse(self.trail.has_room())
        self.clock.advance(GATHER)
        self.trail.take(happened(3), 1)
        self.assertEqual((self.trail.waiting, self.trail.figures.lost), (3, 1))
        self.file.trouble = ""
        self.clock.advance(RETRY)
        self.assertEqual((self.trail.waiting, self.trail._weight, self.trail._weights), (0, 0, []))
        self.clock.advance(GATHER)
        self.assertTrue(self.trail.has_room())
        self.trail.take(happened(4), 4_000)
        self.clock.advance(GATHER)
        self.assertIn("records-lost", self.file.actions)
        self.assertEqual(self.trail._weight, 0)
