"""
The last minutes, second by second.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import Status
from empath.observe.life import LifeEvents
from empath.observe.status.ring import KEPT, Levels, Ring, Sample, Spread, Totals
from tests.observe.made import attempt, attempt_ended


class SpreadTests(SynchronousTestCase):
    """
    Quantiles, to within a step of the scale.
    """

    def test_of_nothing(self) -> None:
        """
        There is none.
        """
        self.assertIsNone(Spread().quantile(0.5))

    def test_lie_near_what_was_added(self) -> None:
        """
        From less than a millisecond to more than a day.
        """
        for value in (0.0, 0.0004, 0.002, 0.05, 1.0, 60.0, 3600.0, 90_000.0):
            spread = Spread()
            for _ in range(10):
                spread.add(value)
            for share in (0.5, 0.95):
                found = spread.quantile(share) or 0.0
                self.assertLessEqual(abs(found - value), max(0.001, 0.47 * value), value)

    def test_tell_a_few_slow_ones_apart(self) -> None:
        """
        The median is of the many, the 95th percentile of the slow.
        """
        spread = Spread()
        for seconds in [0.01] * 90 + [10.0] * 10:
            spread.add(seconds)
        self.assertLess(spread.quantile(0.5) or 9.0, 0.02)
        self.assertGreater(spread.quantile(0.95) or 0.0, 6.0)

    def test_what_is_beyond_the_scale_is_at_its_end(self) -> None:
        """
        Weeks are told as the greatest bound.
        """
        spread = Spread()
        spread.add(1e7)
        self.assertEqual(spread.quantile(0.5), 100_000.0)


class RingTests(SynchronousTestCase):
    """
    A ring beside counters that a test sets.
    """

    def setUp(self) -> None:
        self.totals = Totals(received=100)
        self.levels = Levels(3, 2, 1)
        self.events = LifeEvents()
        self.ring = Ring(lambda: self.totals, lambda: self.levels)
        self.leave = self.ring.listen(self.events)
        self.ring.begin(1000.0)

    def take(self, now: float) -> Sample:
        """
        Take a sample that there is.
        """
        sample = self.ring.take(now, 0.0)
        assert sample is not None
        return sample

    def test_rates_are_of_the_time_that_went_by(self) -> None:
        """
        What was counted before the beginning does not count; a late sample is of more than a second.
        """
        self.totals = attrs.evolve(self.totals, received=110, failed=1)
        self.assertEqual(self.take(1001.0).received, 10)
        self.totals = attrs.evolve(self.totals, received=120)
        sample = self.take(1005.0)
        self.assertEqual(
            (sample.received, sample.failed, sample.waiting, sample.attempts, sample.sessions), (2.5, 0, 3, 2, 1)
        )

    def test_durations_are_of_their_second_only(self) -> None:
        """
        Attempts count by how long they took, and what was delivered by its age, once.
        """
        self.events.emit(attempt_ended(timing=attempt(started=1000.0, ended=1002.0), begun=990.0))
        self.events.emit(attempt_ended(status=Status.RETRY, timing=attempt(started=1000.0, ended=1000.1), begun=0.0))
        first, second = self.take(1001.0), self.take(1002.0)
        self.assertLess(abs((first.p95 or 0.0) - 2.0), 0.5)
        self.assertLess(abs((first.age or 0.0) - 12.0), 3.0)
        self.assertEqual((second.p50, second.p95, second.age), (None, None, None))

    def test_a_clock_that_is_set_back_makes_no_sample(self) -> None:
        """
        And the next one is of the time since.
        """
        self.assertIsNone(self.ring.take(900.0, 0.0))
        self.totals = Totals(received=104)
        self.assertEqual(self.take(902.0).received, 2)

    def test_only_the_latest_are_kept(self) -> None:
        """
        Ten minutes of them.
        """
        for nth in range(KEPT + 50):
            self.take(1001.0 + nth)
        self.assertEqual((len(self.ring.samples), self.ring.samples[0].time), (KEPT, 1051.0))

    def test_listens_until_it_leaves(self) -> None:
        """
        Where there is no page, attempts cost nothing.
        """
        self.leave()
        self.events.emit(attempt_ended())
        self.assertIsNone(self.take(1001.0).p50)
