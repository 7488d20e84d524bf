"""
What came of attempts by site, and how late the loop is.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import Status
from empath.observe.life import LifeEvents
from empath.observe.metrics.latency import EVERY, PATIENCE, LoopLatency
from empath.observe.metrics.sites import MOST, SiteCounts
from tests.observe.made import attempt, attempt_ended


class SiteTests(SynchronousTestCase):
    """
    Sites.
    """

    def setUp(self) -> None:
        self.events = LifeEvents()
        self.sites = SiteCounts()
        self.sites.listen(self.events)

    def attempted(self, site: str, status: Status = Status.COMPLETED, took: float = 1.0, ended: float = 2000.0) -> None:
        """
        End an attempt.
        """
        timing = attempt(site=site, started=ended - took, ended=ended)
        self.events.emit(attempt_ended(status=status, timing=timing))

    def test_by_what_came_of_them(self) -> None:
        """
        Delivered, deferred, failed (expired is failed too), by site, else by destination.
        """
        for status in (Status.COMPLETED, Status.RETRY, Status.RETRY, Status.FAILED, Status.EXPIRED):
            self.attempted("mx.example.org", status)
        self.attempted("")
        count = self.sites.by_name["mx.example.org"]
        self.assertEqual((count.delivered, count.deferred, count.failed, count.attempts), (1, 2, 2, 5))
        self.assertEqual(self.sites.by_name["dst.test"].delivered, 1)

    def test_mean_time(self) -> None:
        """
        Of the first attempts their mean; later ones count for more than those long past.
        """
        for took in (1.0, 2.0, 3.0):
            self.attempted("a", took=took)
        self.assertAlmostEqual(self.sites.by_name["a"].seconds, 2.0)
        for _ in range(200):
            self.attempted("a", took=9.0)
        self.assertAlmostEqual(self.sites.by_name["a"].seconds, 9.0, 2)

    def test_the_slowest(self) -> None:
        """
        Of those in use, at most as many as are asked for.
        """
        for site, took, ended in (("a", 1.0, 2000.0), ("b", 5.0, 2000.0), ("c", 9.0, 1000.0), ("d", 3.0, 2000.0)):
            self.attempted(site, took=took, ended=ended)
        self.assertEqual(self.sites.slowest(2, 1900.0), ["b", "d"])

    def test_bounded(self) -> None:
        """
        Those without an attempt for longest are forgotten.
        """
        for at in range(MOST * 3):
            self.attempted(f"site{at}", ended=2000.0 + at)
            self.attempted("busy", ended=2000.0 + at)
            self.assertLessEqual(len(self.sites.by_name), MOST)
        self.assertEqual(self.sites.by_name["busy"].delivered, MOST * 3)


class LatencyTests(SynchronousTestCase):
    """
    The loop.
    """

    def test_late_turns(self) -> None:
        """
        The worst of the last seconds is told; it is forgotten in time.
        """
        clock = Clock()
        latency = LoopLatency(clock)
        self.assertEqual(latency.look(), 0.0)
        clock.advance(EVERY)
        self.assertAlmostEqual(latency.look(), 0.0)
        clock.advance(EVERY + 0.3)
        self.assertAlmostEqual(latency.look(), 0.3)
        clock.pump([EVERY] * 100)
        self.assertAlmostEqual(latency.look(), 0.0)
        latency.stop()
        latency.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_nobody_looks(self) -> None:
        """
        Nothing is measured until somebody does, again.
        """
        clock = Clock()
        latency = LoopLatency(clock)
        self.assertEqual(clock.getDelayedCalls(), [])
        latency.look()
        clock.pump([EVERY] * int(PATIENCE / EVERY + 5))
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(latency.look(), 0.0)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        latency.stop()
