"""
Proof: 500 connections that send a byte a second; a normal client is served in under 100 ms at the median.
"""

from __future__ import annotations

import statistics

from tests.e2e.limits import SiegeCase, shown

CONNECTIONS = 500
SAMPLES = 200
SECONDS = 40  # long enough for whole commands to come in byte by byte
BOUND = 0.1


class SiegeTests(SiegeCase):
    """
    The full number.
    """

    def test_a_normal_client_is_served_in_100_ms_while_500_trickle(self) -> None:
        times = self.besiege(CONNECTIONS, SAMPLES, SECONDS)
        print(f"\n{CONNECTIONS} connections trickled {self.trickled} bytes in {SECONDS} s")
        print(f"a whole session of the normal client: {shown(times)}")
        self.assertLess(statistics.median(times), BOUND)
