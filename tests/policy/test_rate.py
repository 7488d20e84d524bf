"""
Requirements on the token bucket that tells how long to wait.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.rate import Bucket

NOW = 1_800_000_000.0


class BucketTests(SynchronousTestCase):
    """
    So many in a time, and a burst.
    """

    def test_a_burst_goes_at_once_and_then_one_after_the_other(self) -> None:
        """
        The wait is told exactly; who waits so long finds a token.
        """
        bucket = Bucket(60, 60.0, 3)
        self.assertTrue(bucket.limited)
        for _ in range(3):
            self.assertEqual(bucket.wait(NOW), 0.0)
            bucket.take(NOW)
        self.assertAlmostEqual(bucket.wait(NOW), 1.0, 6)
        self.assertAlmostEqual(bucket.wait(NOW + 0.25), 0.75, 6)
        self.assertEqual(bucket.wait(NOW + 1.0), 0.0)

    def test_who_waits_as_told_does_not_wait_again(self) -> None:
        """
        Whatever is lost in adding up seconds since 1970.
        """
        for count in (1, 3, 7, 1000, 12345):
            bucket, now = Bucket(count, 60.0, 1), NOW
            for _ in range(1000):
                now += bucket.wait(now)
                self.assertEqual(bucket.wait(now), 0.0)
                bucket.take(now)

    def test_the_rate_is_kept_over_time(self) -> None:
        """
        Who always waits as told gets the burst and then exactly the rate, never more.
        """
        bucket, now, begun = Bucket(100, 60.0, 20), NOW, 0
        while (now := now + bucket.wait(now)) <= NOW + 600.0:
            bucket.take(now)
            begun += 1
        self.assertIn(begun, (1019, 1020, 1021))

    def test_nothing_is_gathered_beyond_the_burst(self) -> None:
        """
        After a day of rest it is the burst and no more.
        """
        bucket = Bucket(10, 1.0, 2)
        bucket.take(NOW)
        for _ in range(2):
            bucket.take(NOW + 86400.0)
        self.assertGreater(bucket.wait(NOW + 86400.0), 0.0)

    def test_what_was_taken_in_advance_is_paid_back(self) -> None:
        """
        A token taken although there was none makes the next wait longer.
        """
        bucket = Bucket(1, 1.0, 1)
        bucket.take(NOW)
        bucket.take(NOW)
        self.assertAlmostEqual(bucket.wait(NOW), 2.0, 6)

    def test_no_count_is_no_limit(self) -> None:
        """
        Nothing waits and nothing is counted.
        """
        bucket = Bucket(0, 1.0, 1)
        self.assertFalse(bucket.limited)
        for _ in range(5):
            bucket.take(NOW)
        self.assertEqual(bucket.wait(NOW), 0.0)

    def test_a_change_keeps_what_is_owed(self) -> None:
        """
        A new rate counts from now on; it gives no new burst, unless there was no limit before.
        """
        bucket = Bucket(1, 1.0, 5)
        for _ in range(5):
            bucket.take(NOW)
        bucket.set(10, 1.0, 5, NOW)
        self.assertAlmostEqual(bucket.wait(NOW), 0.1, 6)
        bucket.set(0, 1.0, 5, NOW)
        self.assertEqual(bucket.wait(NOW), 0.0)
        bucket.set(1, 1.0, 1, NOW)
        self.assertEqual(bucket.wait(NOW), 0.0)

    def test_a_smaller_burst_holds_at_once(self) -> None:
        """
        What lies ready beyond it is gone.
        """
        bucket = Bucket(1, 1.0, 100)
        bucket.set(1, 1.0, 2, NOW)
        for _ in range(2):
            bucket.take(NOW)
        self.assertAlmostEqual(bucket.wait(NOW), 1.0, 6)

    def test_a_clock_that_is_set_back_costs_no_more_than_a_token_does(self) -> None:
        """
        Nobody waits for the time to come round again.
        """
        bucket = Bucket(1, 1.0, 1)
        bucket.take(NOW)
        self.assertAlmostEqual(bucket.wait(NOW - 3600.0), 1.0, 6)
        self.assertAlmostEqual(bucket.wait(NOW - 3599.5), 0.5, 6)
        bucket.take(NOW - 3600.0)
        self.assertAlmostEqual(bucket.wait(NOW - 3600.0), 2.0, 6)
