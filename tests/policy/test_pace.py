"""
Requirements on how a site's limits are found: simulated sites that refuse what is too much.
"""

from __future__ import annotations

from math import inf, nan

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.curve import Curve
from empath.policy.meter import Meter
from empath.policy.pace import Pace
from empath.policy.shaping import Told
from empath.policy.site import PaceChange
from tests.policy.sinks import Run, at_a_time, at_rate, in_windows

NOW = 1_800_000_000.0


class SettlingTests(SynchronousTestCase):
    """
    Against a site that takes so much and no more.
    """

    def settles(self, run: Run, limit: float, begin: float, step: float = 10.0, lowest: float = 0.8) -> None:
        """
        Require that from `begin` on 80 to 100 % of the limit are delivered, and never much less or more in one step.
        """
        rates = run.rates(begin, run.seconds, step)
        mean = sum(rates) / len(rates)
        self.assertTrue(0.8 * limit <= mean <= 1.005 * limit, mean)
        self.assertGreaterEqual(min(rates), lowest * limit)
        self.assertLess(max(rates) - min(rates), 0.3 * limit)

    def test_it_settles_at_the_rate_of_the_site(self) -> None:
        """
        Fast and slow ones, with bursts of one second and less.
        """
        for limit, burst in ((100.0, 100.0), (100.0, 10.0), (20.0, 20.0), (10.0, 3.0), (400.0, 100.0)):
            self.settles(Run(at_rate(limit, burst), 400.0), limit, 100.0)

    def test_it_settles_at_windows(self) -> None:
        """
        Sites that count each second anew.
        """
        self.settles(Run(in_windows(50, 1.0), 400.0), 50.0, 100.0)

    def test_it_settles_where_answers_take_a_second(self) -> None:
        """
        Then what is under way when a site complains says nothing about what was done for it.
        """
        self.settles(Run(at_rate(10.0, 10.0), 600.0, latency=1.0), 10.0, 200.0, 20.0)

    def test_it_settles_at_so_many_connections(self) -> None:
        """
        A site may limit how many come at a time: five, of a tenth of a second each.
        """
        self.settles(Run(at_a_time(5), 400.0, latency=0.1), 50.0, 120.0, 20.0, 0.7)

    def test_few_messages_are_refused_once_it_has_settled(self) -> None:
        """
        A hundredth of all, at most; each is an attempt that is lost.
        """
        run = Run(at_rate(100.0, 50.0), 600.0)
        self.assertLess(len([then for then in run.refused if then > 100.0]), 500)
        self.assertLess(len(run.refused), 600)

    def test_it_recovers_when_the_limit_is_lifted(self) -> None:
        """
        Within minutes all there is goes out, and it says so.
        """
        run = Run(at_rate(20.0, 20.0, lifted=150.0), 400.0)
        self.assertLess(max(run.rates(100.0, 150.0, 10.0)), 23.0)
        self.assertGreater(min(run.rates(350.0, 400.0, 10.0)), 990.0)
        self.assertEqual(run.changes[-1][1], PaceChange(None, None, "mx.example.org takes all there is"))
        self.assertGreater(min(Run(at_a_time(5, lifted=150.0), 400.0, latency=0.1).rates(370.0, 400.0, 10.0)), 900.0)

    def test_each_step_down_is_told(self) -> None:
        """
        With the reply that asked for it, and what is left.
        """
        first = Run(at_rate(20.0, 20.0), 20.0).changes[0][1]
        assert isinstance(first, PaceChange) and first.rate is not None
        self.assertEqual(first.detail, "421 too much")
        self.assertGreater(first.rate, 0.0)

    def test_a_site_that_refuses_everything_is_asked_seldom(self) -> None:
        """
        After a while it is once a minute; and mail flows again soon once it takes some.
        """
        run = Run(at_rate(0.0, 0.0, lifted=3600.0), 4200.0)
        self.assertLess(len([then for then in run.refused if 600.0 < then < 3600.0]), 60)
        self.assertLess(len(run.refused), 150)
        self.assertGreater(max(run.rates(3600.0, 4200.0, 10.0)), 500.0)

    def test_a_quota_a_minute_is_used_up(self) -> None:
        """
        What was taken before is remembered while nothing is.
        """
        run = Run(in_windows(600, 60.0), 900.0)
        self.assertGreater(len([then for then in run.taken if then >= 300.0]), 5400)

    def test_connections_that_fail_get_fewer(self) -> None:
        """
        Where many of them do: a site that breaks down under load.
        """
        run = Run(at_a_time(10), 60.0, latency=0.1, told=Told.UNREACHABLE)
        shaped = [change for _, change in run.changes if isinstance(change, PaceChange)]
        self.assertTrue(shaped)
        self.assertLess(min(change.connections or 99 for change in shaped), 60)


class PaceTests(SynchronousTestCase):
    """
    Single steps.
    """

    def busy(self) -> Pace:
        """
        Make the pace of a site that took a hundred in the last two seconds.
        """
        pace = Pace()
        for n in range(100):
            pace.accepted(NOW - 2.0 + n * 0.02)
        return pace

    def test_nothing_is_limited_at_first(self) -> None:
        """
        And nothing has to be remembered.
        """
        pace = self.busy()
        self.assertEqual((pace.connections, pace.rate, pace.wait(NOW), pace.paused(NOW)), (None, None, 0.0, None))
        self.assertFalse(pace.limits)
        self.assertIs(pace.dump(), None)
        pace.take(NOW, 1)
        pace.ended()
        self.assertEqual(pace.wait(NOW), 0.0)

    def test_it_falls_to_what_the_site_took(self) -> None:
        """
        Nearly, where most went well, and to no more at a time than there are; where half is refused, to half as many.
        """
        pace = self.busy()
        self.assertTrue(pace.slow_down(NOW, 20, 0.0))
        self.assertAlmostEqual(pace.rate or 0.0, 47.5, 6)
        self.assertEqual(pace.connections, 20)
        self.assertTrue(pace.limits)
        for _ in range(20):
            pace.slow_down(NOW + 0.5, 20, 0.0)
            pace.accepted(NOW + 0.5)
        self.assertTrue(pace.slow_down(NOW + 2.0, 20, 0.0))
        self.assertEqual(pace.connections, 10)
        self.assertLess(pace.rate or 99.0, 36.0)

    def test_what_was_under_way_does_not_count(self) -> None:
        """
        Neither as many answers as were in flight, nor those of the next second.
        """
        pace = self.busy()
        pace.slow_down(NOW, 5, 0.0)
        rate = pace.rate
        for _ in range(2):
            self.assertFalse(pace.slow_down(NOW + 2.0, 5, 0.0))
        pace.ended()
        self.assertFalse(pace.unreachable(NOW + 2.0, 5))
        self.assertEqual(pace.rate, rate)
        self.assertTrue(pace.slow_down(NOW + 2.0, 5, 0.0))
        self.assertFalse(pace.slow_down(NOW + 2.5, 1, 0.0))

    def test_attempts_are_spread(self) -> None:
        """
        One after the other, and no burst after a rest.
        """
        pace = self.busy()
        pace.slow_down(NOW, 1, 0.0)
        assert pace.rate is not None
        pace.take(NOW, 1)
        self.assertAlmostEqual(pace.wait(NOW), 1.0 / pace.rate, 6)
        pace.take(NOW + 60.0, 1)
        pace.take(NOW + 60.0, 1)
        pace.take(NOW + 60.0, 1)
        self.assertGreater(pace.wait(NOW + 60.0), 0.0)
        self.assertLessEqual(pace.wait(NOW - 60.0), 1.0 / pace.rate)

    def test_a_clock_that_is_set_back_stops_nothing(self) -> None:
        """
        The wait is no longer than the time between two attempts, and over after it.
        """
        pace = self.busy()
        pace.slow_down(NOW, 1, 0.0)
        pace.take(NOW, 1)
        wait = pace.wait(NOW - 3600.0)
        self.assertTrue(0.0 < wait < 0.03, wait)
        self.assertEqual(pace.wait(NOW - 3600.0 + wait), 0.0)

    def test_a_pause_stops_everything(self) -> None:
        """
        Afterwards it begins with one at a time and a tenth of the rate, and comes back to it.
        """
        pace = self.busy()
        self.assertTrue(pace.slow_down(NOW, 20, 300.0))
        self.assertFalse(pace.slow_down(NOW, 20, 300.0))
        self.assertEqual((pace.paused(NOW), pace.wait(NOW)), (NOW + 300.0, 300.0))
        self.assertIs(pace.paused(NOW + 300.0), None)
        self.assertEqual(pace.connections, 1)
        assert pace.rate is not None
        self.assertAlmostEqual(pace.rate, 5.0, 6)
        self.assertTrue(pace.slow_down(NOW + 301.0, 1, 600.0))
        self.assertEqual(pace.paused(NOW + 301.0), NOW + 901.0)
        stranger = Pace()
        stranger.slow_down(NOW, 1, 1e9)
        self.assertEqual((stranger.paused(NOW), stranger.rate), (NOW + 86400.0, 0.1))

    def test_a_stray_failure_among_many_successes_means_nothing(self) -> None:
        """
        Connections break; one in ten is too many.
        """
        pace = self.busy()
        self.assertFalse(pace.unreachable(NOW, 20))
        for _ in range(20):
            pace.unreachable(NOW, 20)
        self.assertEqual(pace.connections, 10)

    def test_a_host_that_cannot_be_reached_gets_fewer_at_a_time(self) -> None:
        """
        Half as many each time, and a lower rate if one is known.
        """
        pace = Pace()
        self.assertTrue(pace.unreachable(NOW, 8))
        self.assertEqual((pace.connections, pace.rate), (4, None))
        self.assertEqual(pace.dump(), {"changed": NOW, "paused": 0.0, "connections": [8.0, 4.0]})
        for _ in range(8):
            pace.unreachable(NOW + 2.0, 4)
        self.assertEqual((pace.connections, pace.rate), (2, None))
        for n in range(100):
            pace.accepted(NOW + 3.0 + n)
        self.assertEqual(pace.connections, 6)
        pace = self.busy()
        pace.slow_down(NOW, 1, 0.0)
        rate = pace.rate
        assert rate is not None
        self.assertTrue(pace.unreachable(NOW + 2.0, 1))
        self.assertAlmostEqual(pace.rate or 0.0, rate * 0.7, 6)

    def test_an_hour_without_complaint_forgets(self) -> None:
        """
        With the next message that the site takes.
        """
        pace = self.busy()
        pace.slow_down(NOW, 1, 0.0)
        self.assertFalse(pace.accepted(NOW + 3599.0))
        self.assertTrue(pace.accepted(NOW + 3600.0))
        self.assertEqual((pace.connections, pace.rate), (None, None))

    def test_a_limit_that_mail_does_not_reach_is_not_tried(self) -> None:
        """
        Rest is no proof that the site takes more: a message an hour raises nothing by much.
        """
        pace = self.busy()
        pace.slow_down(NOW, 1, 0.0)
        rate = pace.rate
        assert rate is not None
        pace.accepted(NOW + 1000.0)
        self.assertLess(pace.rate or 0.0, rate * 1.1)

    def test_it_survives_a_restart(self) -> None:
        """
        Top, value and pause; what is too old, or nonsense, is forgotten.
        """
        pace = self.busy()
        pace.slow_down(NOW, 20, 300.0)
        kept = pace.dump()
        assert kept is not None
        again = Pace()
        again.restore(kept, NOW + 10.0)
        self.assertEqual((again.rate, again.connections, again.paused(NOW + 10.0)), (pace.rate, 1, NOW + 300.0))
        self.assertEqual(again.dump(), kept)
        for nonsense in (
            {},
            kept | {"changed": NOW - 3600.0},
            kept | {"changed": nan},
            kept | {"connections": [1]},
            kept | {"connections": [inf, 1]},
            kept | {"connections": [0, 1]},
            kept | {"connections": None},
        ):
            again = Pace()
            again.restore(nonsense, NOW)
            self.assertFalse(again.limits)
        again.restore(kept | {"rate": "x", "paused": "x"}, NOW)
        self.assertEqual((again.rate, again.connections, again.paused(NOW)), (None, 1, None))

    def test_it_can_be_forgotten(self) -> None:
        """
        As an operator may ask.
        """
        pace = self.busy()
        pace.slow_down(NOW, 20, 300.0)
        pace.forget()
        self.assertEqual((pace.limits, pace.wait(NOW), pace.rate), (False, 0.0, None))


class CurveTests(SynchronousTestCase):
    """
    The shape of the way back.
    """

    def test_it_is_quickly_near_the_top_stays_there_and_goes_beyond(self) -> None:
        """
        From a tenth of it: near it after 40 seconds, twice as much after two minutes.
        """
        curve, seen = Curve(100.0, 10.0, 100.0), {}
        for n in range(1, 13):
            curve.climb(10.0)
            seen[n * 10] = round(curve.value)
        self.assertTrue(90 <= seen[40] <= 100 and 100 <= seen[60] <= 105 and 190 <= seen[120] <= 220, seen)
        self.assertFalse(curve.lifted)
        curve.climb(60.0)
        self.assertTrue(curve.lifted)

    def test_slow_sites_take_their_time(self) -> None:
        """
        Twenty attempts, at least, for the way from nothing to the top.
        """
        curve = Curve(0.1, 0.01, 0.1)
        curve.climb(100.0)
        self.assertLess(curve.value, 0.1)

    def test_while_nobody_knows_the_limit_it_doubles(self) -> None:
        """
        Every two seconds.
        """
        curve = Curve(10.0, 9.0, 10.0, searching=True)
        curve.climb(6.0)
        self.assertAlmostEqual(curve.value, 72.0, 6)
        self.assertFalse(curve.lifted)
        curve.climb(6.0)
        self.assertAlmostEqual(curve.value, 576.0, 6)
        curve.climb(1.0)
        self.assertTrue(curve.lifted)


class MeterTests(SynchronousTestCase):
    """
    What a site took lately.
    """

    def test_it_counts_two_windows(self) -> None:
        """
        Of two seconds, or of eight messages.
        """
        meter = Meter()
        self.assertIs(meter.rate(NOW), None)
        for n in range(100):
            meter.took(NOW + n * 0.1)
        self.assertAlmostEqual(meter.rate(NOW + 9.9) or 0.0, 10.0, 0)
        self.assertEqual(meter.share, 1.0)

    def test_a_burst_is_no_rate(self) -> None:
        """
        What came in a moment counts as if it had taken a second.
        """
        meter = Meter()
        for _ in range(8):
            meter.took(NOW)
        self.assertEqual(meter.rate(NOW + 0.001), 8.0)

    def test_refusals_are_counted_by_its_side(self) -> None:
        """
        The share is of both windows.
        """
        meter = Meter()
        for n in range(16):
            meter.refused(NOW + n * 0.3)
            if n % 4 == 0:
                meter.took(NOW + n * 0.3)
        self.assertTrue(0.15 < meter.share < 0.25)
        self.assertGreater(meter.refusals, 8)

    def test_what_was_long_ago_is_forgotten(self) -> None:
        """
        After half a minute of rest it begins anew; and where the clock was set back.
        """
        for later in (31.0, -31.0):
            meter = Meter()
            for n in range(100):
                meter.took(NOW + n * 0.01)
            meter.took(NOW + later)
            self.assertEqual(meter.rate(NOW + later), 1.0)
