"""
Requirements on the circuit breaker of a site.
"""

from __future__ import annotations

from math import inf, nan

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.breaker import Breaker, State

NOW = 1_800_000_000.0


def breaker(threshold: int = 3) -> Breaker:
    """
    Make a breaker that opens for five minutes, for failures within one, and then lets two through.
    """
    return Breaker(threshold, 60.0, 300.0, 2)


def opened() -> Breaker:
    """
    Make a breaker that opened now.
    """
    made = breaker(1)
    made.failed(NOW)
    return made


class OpeningTests(SynchronousTestCase):
    """
    Closed to open.
    """

    def test_it_opens_with_the_failure_that_reaches_the_threshold(self) -> None:
        """
        And says so once.
        """
        made = breaker()
        self.assertEqual([made.failed(NOW + n) for n in range(3)], [False, False, True])
        self.assertEqual((made.state, made.hold(NOW + 2.0, 0)), (State.OPEN, NOW + 302.0))

    def test_failures_count_within_the_window_only(self) -> None:
        """
        One that is older counts no more, nor one of a time that is still to come, as the clock was set back.
        """
        made = breaker()
        self.assertEqual([made.failed(NOW + 31.0 * n) for n in range(9)], [False] * 9)
        self.assertEqual([made.failed(NOW - 3600.0 + n) for n in range(3)], [False, False, True])

    def test_a_success_forgives(self) -> None:
        """
        Failures count with no success between them.
        """
        made = breaker()
        for _ in range(5):
            self.assertFalse(made.failing)
            self.assertEqual([made.failed(NOW), made.failed(NOW)], [False, False])
            self.assertTrue(made.failing)
            self.assertFalse(made.succeeded(NOW))
        self.assertIs(made.state, State.CLOSED)

    def test_what_was_under_way_does_not_prolong_it(self) -> None:
        """
        Attempts that began before it opened fail later.
        """
        made = opened()
        self.assertFalse(made.failed(NOW + 200.0))
        self.assertEqual(made.hold(NOW + 200.0, 0), NOW + 300.0)


class TryingTests(SynchronousTestCase):
    """
    Open to half-open and on.
    """

    def test_after_the_timeout_few_try_it(self) -> None:
        """
        The first to begin makes it half-open, and so many at a time go on.
        """
        made = opened()
        self.assertFalse(made.begun(NOW + 299.9))
        self.assertEqual(made.hold(NOW + 300.0, 2), inf)
        self.assertIs(made.hold(NOW + 300.0, 1), None)
        self.assertTrue(made.begun(NOW + 300.0))
        self.assertIs(made.state, State.HALF_OPEN)
        self.assertIs(made.hold(NOW + 300.0, 1), None)
        self.assertFalse(made.begun(NOW + 300.0))
        self.assertEqual(made.hold(NOW + 300.0, 2), inf)

    def test_a_success_closes_it(self) -> None:
        """
        One is enough, also one of before.
        """
        for begins in (True, False):
            made = opened()
            if begins:
                made.begun(NOW + 300.0)
            self.assertTrue(made.failing)
            self.assertTrue(made.succeeded(NOW + 301.0))
            self.assertEqual((made.state, made.failing, made.hold(NOW, 99)), (State.CLOSED, False, None))

    def test_a_failure_opens_it_again(self) -> None:
        """
        For the whole time, with the first failure.
        """
        made = opened()
        made.begun(NOW + 300.0)
        self.assertTrue(made.failed(NOW + 310.0))
        self.assertEqual(made.hold(NOW + 310.0, 0), NOW + 610.0)

    def test_an_operator_closes_it(self) -> None:
        """
        Whatever its state.
        """
        made = opened()
        made.reset(NOW)
        self.assertEqual((made.state, made.hold(NOW, 0)), (State.CLOSED, None))


class LastingTests(SynchronousTestCase):
    """
    Restarts and other settings.
    """

    def test_an_open_one_survives(self) -> None:
        """
        Until the same time; one whose time is over, or that was half-open, lets the first ones through.
        """
        kept = opened().dump()
        assert kept is not None
        again = breaker()
        again.restore(kept, NOW + 100.0)
        self.assertEqual((again.state, again.hold(NOW + 100.0, 0)), (State.OPEN, NOW + 300.0))
        trying = opened()
        trying.begun(NOW + 300.0)
        late = breaker()
        late.restore(trying.dump() or {}, NOW + 301.0)
        self.assertIs(late.hold(NOW + 301.0, 1), None)
        self.assertTrue(late.begun(NOW + 301.0))

    def test_a_closed_one_keeps_nothing(self) -> None:
        """
        There is nothing to remember of mail that flows.
        """
        made = breaker()
        made.failed(NOW)
        self.assertIs(made.dump(), None)

    def test_it_is_never_open_for_longer_than_its_timeout(self) -> None:
        """
        Whatever the clock was when it was written down; nonsense opens nothing.
        """
        made = breaker()
        made.restore({"until": NOW + 1e9}, NOW)
        self.assertEqual(made.hold(NOW, 0), NOW + 300.0)
        for nonsense in ({}, {"until": "soon"}, {"until": nan}, {"until": None}):
            made = breaker()
            made.restore(nonsense, NOW)
            self.assertIs(made.state, State.CLOSED)

    def test_a_clock_that_is_set_back_keeps_nothing_open_for_longer(self) -> None:
        """
        Than the timeout.
        """
        self.assertEqual(opened().hold(NOW - 86400.0, 0), NOW - 86100.0)

    def test_other_settings_leave_the_state(self) -> None:
        """
        An open one is so for no longer than it would be with them.
        """
        made = opened()
        made.use(9, 60.0, 1000.0, 1)
        self.assertEqual(made.hold(NOW, 0), NOW + 300.0)
        made.use(9, 60.0, 1.0, 1)
        self.assertEqual(made.hold(NOW, 0), NOW + 1.0)
        made.begun(NOW + 300.0)
        self.assertEqual(made.hold(NOW + 300.0, 1), inf)
        made.failed(NOW + 300.0)
        self.assertEqual(made.hold(NOW + 300.0, 1), NOW + 301.0)
