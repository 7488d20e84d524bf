from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.metrics.garbage import GarbagePauses
from empath.observe.metrics.latency import EVERY, PATIENCE, LoopLatency


class LoopLatencyTests(SynchronousTestCase):
    def test_it_is_measured_all_the_time_once_it_was_started(self) -> None:
        clock = Clock()
        latency = LoopLatency(clock)
        latency.start()
        latency.start()
        for _ in range(int(PATIENCE / EVERY) * 2):
            clock.advance(EVERY)
        clock.advance(EVERY + 0.3)
        self.assertEqual(sum(latency.durations.counts), int(PATIENCE / EVERY) * 2 + 1)
        self.assertAlmostEqual(latency.durations.total, 0.3)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        latency.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_who_looks_does_not_end_it(self) -> None:
        clock = Clock()
        latency = LoopLatency(clock)
        latency.start()
        latency.look()
        for _ in range(int(PATIENCE / EVERY) + 5):
            clock.advance(EVERY)
        self.assertEqual(len(clock.getDelayedCalls()), 1)


class GarbagePausesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.callbacks: list[Any] = []
        self.pauses = GarbagePauses(self.callbacks, lambda: self.now)

    def collect(self, generation: int, seconds: float) -> None:
        for phase in ("start", "stop"):
            for callback in self.callbacks:
                callback(phase, {"generation": generation, "collected": 0, "uncollectable": 0})
            self.now += seconds

    def counted(self) -> dict[str, int]:
        return {label: sum(each.counts) for label, each in self.pauses.durations.by_label.items()}

    def test_each_generation_is_there_from_the_start(self) -> None:
        self.assertEqual(self.counted(), {"0": 0, "1": 0, "2": 0})

    def test_collections_are_timed_by_generation(self) -> None:
        self.pauses.start()
        self.pauses.start()
        self.collect(0, 0.25)
        self.collect(2, 0.5)
        self.assertEqual(self.counted(), {"0": 1, "1": 0, "2": 1})
        self.assertEqual(self.pauses.durations.by_label["2"].total, 0.5)

    def test_one_that_had_begun_before_is_not_timed(self) -> None:
        self.pauses.start()
        self.callbacks[0]("stop", {"generation": 2})
        self.assertEqual(self.counted()["2"], 0)

    def test_nothing_stays_behind(self) -> None:
        self.pauses.start()
        self.pauses.stop()
        self.pauses.stop()
        self.assertEqual(self.callbacks, [])
