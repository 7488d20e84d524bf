"""
The retry schedule.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.retry import LAST_CHANCE, Schedule, before_deadline, delay_after, next_attempt, not_past

STEADY = Schedule(jitter=0.0)


class DelayTests(SynchronousTestCase):
    def test_doubles_from_base_to_ceiling(self) -> None:
        """
        The delay is min(base * multiplier^(attempts-1), ceiling).
        """
        delays = [delay_after(attempts, STEADY) for attempts in (1, 2, 3, 11, 12, 13)]
        self.assertEqual(delays, [60.0, 120.0, 240.0, 61440.0, 86400.0, 86400.0])

    def test_any_number_of_attempts_has_a_delay(self) -> None:
        """
        A power beyond every float is the ceiling, and no attempts at all count as one.
        """
        self.assertEqual(delay_after(10**9, STEADY), 86400.0)
        self.assertEqual(delay_after(0, STEADY), 60.0)


class NextAttemptTests(SynchronousTestCase):
    def test_comes_after_the_delay(self) -> None:
        """
        Without jitter the next attempt is exactly one delay from now.
        """
        self.assertEqual(next_attempt(2, 1000.0, 5000.0, STEADY, random.Random(1)), 5120.0)

    def test_the_last_one_is_placed_at_expiry(self) -> None:
        """
        What would come after the message's expiry comes at it.
        """
        self.assertEqual(next_attempt(3, 0.0, 431990.0, STEADY, random.Random(1)), 432000.0)

    def test_none_once_expired(self) -> None:
        """
        At its expiry a message has no next attempt.
        """
        self.assertIsNone(next_attempt(3, 0.0, 432000.0, STEADY, random.Random(1)))

    def test_a_host_may_ask_for_more_time(self) -> None:
        """
        What it asks for is granted where our own delay is shorter, up to the ceiling and to the message's expiry.
        """
        asked = [next_attempt(1, 0.0, 0.0, STEADY, random.Random(1), least) for least in (30.0, 90.0, 1e9)]
        self.assertEqual(asked, [60.0, 90.0, 86400.0])
        self.assertEqual(next_attempt(1, 0.0, 431990.0, STEADY, random.Random(1), 90.0), 432000.0)

    def test_none_after_max_attempts(self) -> None:
        """
        The attempts are counted, the first too.
        """
        self.assertIsNotNone(next_attempt(24, 0.0, 1.0, STEADY, random.Random(1)))
        self.assertIsNone(next_attempt(25, 0.0, 1.0, STEADY, random.Random(1)))

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 10**9), st.floats(0, 4e9), st.floats(0, 5e5), st.integers())
    def test_is_within_the_spread_and_never_past_expiry(
        self, attempts: int, received: float, age: float, seed: int
    ) -> None:
        """
        delay * (1 - jitter) <= wait <= delay * (1 + jitter), unless expiry comes first.
        """
        schedule = Schedule(max_attempts=10**10)
        now = received + age
        when = next_attempt(attempts, received, now, schedule, random.Random(seed))
        expiry = received + schedule.expiration
        if now >= expiry:
            self.assertIsNone(when)
            return
        delay = delay_after(attempts, schedule)
        assert when is not None
        self.assertLessEqual(when, min(expiry, now + delay * 1.2 + 1e-3))
        self.assertGreaterEqual(when, min(expiry, now + delay * 0.8 - 1e-3))


class DeadlineTests(SynchronousTestCase):
    def test_the_last_attempt_is_made_before_the_deadline(self) -> None:
        """
        What would come after it comes shortly before; then its turn is at the deadline, to expire.
        """
        self.assertEqual(before_deadline(50.0, 10.0, 100.0), 50.0)
        self.assertEqual(before_deadline(150.0, 10.0, 100.0), 100.0 - LAST_CHANCE)
        self.assertEqual(before_deadline(150.0, 100.0 - LAST_CHANCE, 100.0), 100.0)
        self.assertEqual(before_deadline(150.0, 99.0, 100.0), 100.0)

    def test_a_moment_is_not_passed_over(self) -> None:
        """
        What would be tried after it is tried at it, unless it is over.
        """
        self.assertEqual(not_past(50.0, 10.0, 100.0), 50.0)
        self.assertEqual(not_past(150.0, 10.0, 100.0), 100.0)
        self.assertEqual(not_past(150.0, 100.0, 100.0), 150.0)
