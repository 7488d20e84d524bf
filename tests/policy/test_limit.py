"""
Token buckets.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.limit import TokenBuckets


class BucketTests(SynchronousTestCase):
    """
    So many in so much time.
    """

    def test_burst_and_refill(self) -> None:
        """
        All at once at first, then one for each share of the time.
        """
        buckets = TokenBuckets(3, 60.0)
        self.assertEqual([buckets.take("a", 100.0) for _ in range(4)], [True, True, True, False])
        self.assertFalse(buckets.take("a", 119.0))
        self.assertTrue(buckets.take("a", 120.0))
        self.assertFalse(buckets.take("a", 120.0))
        self.assertEqual([buckets.take("a", 1000.0) for _ in range(4)], [True, True, True, False])

    def test_burst_of_its_own(self) -> None:
        """
        Another size of the bucket changes what passes at once, not what passes in the long run.
        """
        wide = TokenBuckets(1, 60.0, burst=3)
        self.assertEqual([wide.take("a", 0.0) for _ in range(4)], [True, True, True, False])
        self.assertTrue(wide.take("b", 60.0))  # "a" has one of three, and is remembered
        self.assertEqual([wide.take("a", 60.0) for _ in range(2)], [True, False])
        narrow = TokenBuckets(60, 60.0, burst=1)
        self.assertEqual([narrow.take("a", now) for now in (0.0, 0.5, 1.0, 2.0, 2.5)], [True, False, True, True, False])

    def test_keys_are_apart(self) -> None:
        """
        One client's events are no other's.
        """
        buckets = TokenBuckets(1, 60.0)
        self.assertTrue(buckets.take("a", 0.0))
        self.assertTrue(buckets.take("b", 0.0))
        self.assertFalse(buckets.take("a", 0.0))

    def test_no_limit(self) -> None:
        """
        0 limits nobody and remembers nobody.
        """
        buckets = TokenBuckets(0, 1.0)
        self.assertTrue(all(buckets.take("a", 0.0) for _ in range(100)))
        self.assertEqual(len(buckets), 0)

    def test_memory(self) -> None:
        """
        Clients that are gone are forgotten, and of too many the one that was quiet for longest.
        """
        buckets = TokenBuckets(1, 60.0, max_keys=2)
        self.assertTrue(all(buckets.take(key, 0.0) for key in "abc"))
        self.assertEqual(len(buckets), 2)
        self.assertTrue(buckets.take("a", 0.0))
        self.assertFalse(buckets.take("c", 0.0))
        self.assertTrue(buckets.take("d", 60.0))
        self.assertEqual(len(buckets), 1)

    def test_a_clock_that_is_set_back(self) -> None:
        """
        Neither gives nor takes.
        """
        buckets = TokenBuckets(1, 60.0)
        buckets.take("a", 1000.0)
        self.assertFalse(buckets.take("a", 0.0))
        self.assertTrue(buckets.take("a", 60.0))

    @given(st.lists(st.floats(0, 50), max_size=60), st.integers(1, 5))
    def test_never_more_than_twice_the_limit(self, gaps: list[float], count: int) -> None:
        """
        In any stretch of time as long as the limit's at most the full bucket and its refill pass.
        """
        buckets = TokenBuckets(count, 100.0)
        now, passed = 0.0, []
        for gap in gaps:
            now += gap
            if buckets.take("a", now):
                passed.append(now)
        for start in passed:
            assert sum(start <= moment < start + 100.0 for moment in passed) <= 2 * count
