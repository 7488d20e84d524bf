"""
The large, the slow and the many, at a size that every run of the tests can afford; the proofs have the full one.
"""

from __future__ import annotations

import statistics

from tests.e2e.limits import MIB, LargeMessageCase, SiegeCase, shown

SIZE = 64 * MIB
RISE = 40 * MIB
CONNECTIONS = 50
SAMPLES = 21
SECONDS = 4
BOUND = 0.1


class LargeMessageTests(LargeMessageCase):
    """
    Content is streamed, never held.
    """

    def test_64_mib_pass_through_in_less_than_40_mib_of_memory(self) -> None:
        self.assertLess(self.pass_through(SIZE), RISE)


class SiegeTests(SiegeCase):
    """
    Slow clients cost nothing.
    """

    def test_a_normal_client_is_served_in_100_ms_while_50_trickle(self) -> None:
        times = self.besiege(CONNECTIONS, SAMPLES, SECONDS)
        self.assertLess(statistics.median(times), BOUND, shown(times))
