"""
What watchers are told, and when.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import Status
from empath.observe.life import LifeEvents
from empath.observe.status.broadcast import Broadcast, event
from empath.observe.status.facts import DiskFacts, Facts, Health
from empath.observe.status.failures import Failures
from empath.observe.status.ring import Levels, Ring, Totals
from tests.observe.made import attempt_ended, state

HEALTH = Health(True, False, {"smtp": True}, ("smtp",))


def facts(time: float) -> Facts:
    """
    How an idle service stands.
    """
    return Facts(
        time=time, version="1", hostname="mx.test", started=0.0, health=HEALTH, totals={}, queue={}, counted=None,
        oldest=None, waiting=0, attempts=0, sessions=0, limited=0, disk=DiskFacts(2, 1), sites=(), slowest=(),
        breakers=(), breakers_open=0, frozen=("x\n\n.test",), frozen_many=1, stopped_senders=0,
    )  # fmt: skip


class Watcher:
    """
    Remembers the events that it was told.
    """

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def write(self, piece: bytes) -> None:
        for each in piece.decode("ascii").removesuffix("\n\n").split("\n\n"):
            name, content = each.split("\n")
            self.heard.append((name.removeprefix("event: "), json.loads(content.removeprefix("data: "))))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.heard]


class BroadcastTests(SynchronousTestCase):
    """
    A broadcast of a service that is idle.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.looks = 0
        self.waiting: list[Deferred[Facts]] | None = None
        self.events = LifeEvents()
        self.ring = Ring(Totals, lambda: Levels(0, 0, 0))
        self.failures = Failures()
        self.failures.listen(self.events)
        self.broadcast = Broadcast(self.ring, self.failures, self.look, self.clock)
        self.broadcast.start()
        self.addCleanup(self.broadcast.stop)

    def look(self) -> Deferred[Facts]:
        self.looks += 1
        if self.waiting is None:
            return succeed(facts(self.clock.seconds()))
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def test_a_sample_a_second_and_no_look_while_nobody_watches(self) -> None:
        """
        The history is there when somebody comes.
        """
        self.clock.pump([1.0] * 5)
        self.assertEqual((len(self.ring.samples), self.looks), (5, 0))
        watcher = Watcher()
        self.broadcast.watch(watcher.write)
        [(name, content)] = watcher.heard
        self.assertEqual((name, len(content["samples"]), content["fields"][0]), ("history", 5, "time"))

    def test_one_look_for_all_who_watch(self) -> None:
        """
        Each gets the same snapshot, once a second, until they leave.
        """
        watchers = [Watcher() for _ in range(3)]
        leave = [self.broadcast.watch(each.write) for each in watchers]
        looks = self.looks
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.looks - looks, 2)
        self.assertEqual([each.names for each in watchers], [["history", "snapshot", "snapshot"]] * 3)
        self.assertEqual(len(watchers[0].heard[1][1]["sample"]), len(watchers[0].heard[0][1]["fields"]))
        for each in leave:
            each()
        self.clock.advance(1.0)
        self.assertEqual((self.looks - looks, self.broadcast.watchers, len(watchers[0].heard)), (2, 0, 3))

    def test_failures_are_told_once(self) -> None:
        """
        With the history, or with the next snapshot.
        """
        self.fail_once()
        watcher = Watcher()
        self.broadcast.watch(watcher.write)
        self.clock.advance(1.0)
        self.fail_once()
        self.clock.advance(1.0)
        self.clock.advance(1.0)
        told = [[each["nth"] for each in content["failures"]] for _, content in watcher.heard]
        self.assertEqual((told[0], told[2], told[3]), ([1], [2], []))

    def fail_once(self) -> None:
        self.events.emit(attempt_ended(state(status=Status.RETRY, said="450 4.2.1 later"), status=Status.RETRY))

    def test_a_look_that_takes_its_time_is_not_asked_again(self) -> None:
        """
        Samples go on; who left meanwhile is told nothing.
        """
        watcher, gone = Watcher(), Watcher()
        self.broadcast.watch(watcher.write)
        waiting: list[Deferred[Facts]] = []
        self.waiting = waiting
        leave = self.broadcast.watch(gone.write)
        looks = self.looks
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.looks - looks, 1)
        leave()
        self.waiting = None
        for each in waiting:
            each.callback(facts(1003.0))
        self.assertEqual((len(self.ring.samples), gone.heard), (3, []))
        self.clock.advance(1.0)
        self.assertEqual(watcher.names[-1], "snapshot")

    def test_how_late_the_loop_is_and_no_hurry_afterwards(self) -> None:
        """
        A loop that stood still makes one sample of that time, not many.
        """
        self.clock.advance(1.25)
        self.clock.advance(0.75)
        self.clock.advance(5.0)
        self.clock.advance(0.5)
        self.assertEqual([round(each.late, 2) for each in self.ring.samples], [0.25, 0.0, 4.0])

    def test_a_bug_is_logged_and_not_the_end(self) -> None:
        """
        Of a look, and of the counters.
        """
        watcher = Watcher()
        self.broadcast.watch(watcher.write)
        waiting: list[Deferred[Facts]] = []
        self.waiting = waiting
        self.clock.advance(1.0)
        self.waiting = None
        waiting[0].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(1.0)
        self.assertEqual(watcher.names, ["history", "snapshot"])

    def test_stops_and_starts_again(self) -> None:
        """
        Nothing is left to be called; the time between is no sample.
        """
        self.broadcast.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100.0)
        self.broadcast.start()
        self.broadcast.start()
        self.clock.advance(1.0)
        self.assertEqual([each.time for each in self.ring.samples], [1101.0])

    def test_an_event_is_two_lines_whatever_it_says(self) -> None:
        """
        Nothing that a peer writes can end it or begin another.
        """
        written = event("snapshot", {"text": "\n\nevent: history\r\u2028\x00 é <script>"})
        self.assertEqual((written.count(b"\n"), written.isascii(), written[-2:]), (3, True, b"\n\n"))
