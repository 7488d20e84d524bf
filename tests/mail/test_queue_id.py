"""
Queue ids.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.queue_id import is_queue_id, new_queue_id, queue_id_at, time_of


class QueueIdTests(SynchronousTestCase):
    """
    A queue id is a ULID: it sorts by time and is hard to guess.
    """

    def test_known(self) -> None:
        """
        The time stands in the first ten characters as the ULID specification has it.
        """
        self.assertEqual(new_queue_id(1469918176.385, random.Random(1))[:10], "01ARYZ6S41")
        self.assertEqual(time_of("01ARYZ6S41TSV4RRFFQ69G5FAV"), 1469918176.385)

    @given(st.floats(0, 2**40), st.floats(0, 2**40), st.integers())
    def test_sorts_by_time(self, one: float, other: float, seed: int) -> None:
        """
        A later millisecond sorts later; every id is one.
        """
        chance = random.Random(seed)
        first, second = new_queue_id(one, chance), new_queue_id(other, chance)
        self.assertTrue(is_queue_id(first) and is_queue_id(second))
        if int(one * 1000) < int(other * 1000) < 2**48:
            self.assertLess(first, second)

    def test_bounds(self) -> None:
        """
        What was made before a moment sorts before its bound, the rest does not; no moment is out of range.
        """
        chance = random.Random(1)
        bound = queue_id_at(1000.0)
        self.assertLess(new_queue_id(999.999, chance), bound)
        self.assertGreaterEqual(new_queue_id(1000.0, chance), bound)
        self.assertEqual(queue_id_at(-1.0), "0" * 26)
        self.assertLess(new_queue_id(2.0**37, chance), queue_id_at(2.0**60))

    def test_not_queue_ids(self) -> None:
        """
        Nothing else is one: no other length, letter or case, no number beyond 128 bits.
        """
        good = new_queue_id(1.0, random.Random(1))
        for text in ("", good[:-1], good + "0", good.lower(), "8" + good[1:], good[:-1] + "U", "../" + good[3:]):
            self.assertFalse(is_queue_id(text), text)
