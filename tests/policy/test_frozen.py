"""
Tests for the time in which nothing is delivered.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.frozen import Interval, age, begin_of, merged, recent

TIMES = st.integers(0, 1000)
PAIRS = st.lists(st.tuples(TIMES, TIMES), max_size=6)


class FrozenTests(SynchronousTestCase):
    """
    Tests for intervals.
    """

    def test_merging(self) -> None:
        """
        Overlapping and touching intervals become one; an empty one is none.
        """
        given_ = [Interval(5, 7), Interval(1, 3), Interval(3, 4), Interval(6), Interval(2, 2), Interval(9, 8)]
        self.assertEqual(merged(given_), (Interval(1, 4), Interval(5)))

    def test_age(self) -> None:
        """
        What lies in an interval does not count; one that lasts counts up to now.
        """
        still = (Interval(10, 20), Interval(30))
        self.assertEqual(
            [age(*each, still) for each in ((0, 5), (0, 15), (0, 25), (12, 18), (0, 50))], [5, 10, 15, 0, 20]
        )
        self.assertEqual(age(7, 5, still), -2)

    def test_begin(self) -> None:
        """
        The beginning lies before as many intervals as the time reaches over.
        """
        still = (Interval(10, 20), Interval(30, 40))
        cases = ((0, 50), (10, 50), (11, 50), (25, 50), (0, 35), (3, 35), (-5, 50))
        self.assertEqual([begin_of(*each, still) for each in cases], [50, 40, 29, 5, 30, 27, 55])
        self.assertEqual(begin_of(3, 5, still), 2)

    def test_what_ended_long_ago(self) -> None:
        """
        An interval is left out once mail from before it is too old, not counting the time of later ones.
        """
        first, second = Interval(0, 10), Interval(20, 100)
        self.assertEqual(recent((first,), (first, second), 105, 16), (first,))
        self.assertEqual(recent((first, second), (first, second), 106, 16), (second,))
        self.assertEqual(recent((first,), (first,), 26, 16), ())
        self.assertEqual(recent((Interval(0),), (Interval(0),), 1e9, 16), (Interval(0),))

    @settings(max_examples=200, deadline=None)
    @given(PAIRS, TIMES, TIMES)
    def test_age_and_begin_are_opposites(self, pairs: list[tuple[int, int]], seconds: int, end: int) -> None:
        """
        From the moment that `begin_of` tells just that age has been reached.
        """
        still = merged(Interval(min(pair), max(pair)) for pair in pairs)
        self.assertEqual(age(begin_of(seconds, end, still), end, still), seconds)
