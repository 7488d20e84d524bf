"""
Proof: against a server that answers 421 above a rate, the delivered rate settles at 80 to 100 % of it, oscillates by
less than 30 %, and recovers once the limit is lifted.
"""

from __future__ import annotations

import time
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.load import DOMAIN, Load
from tests.e2e.processes import temporary_folder, wait_until
from tests.e2e.program import Empath
from tests.proofs.rated_sink import RatedSink

LIMIT: Final = 50.0  # messages a second
QUEUED: Final = 20_000
SETTLING: Final = 60.0  # seconds until it is looked at
LOOKED_AT: Final = 120.0
STEP: Final = 10.0
RECOVERED: Final = 4.0  # times the limit
RECOVERY: Final = 240.0


class ShapingTests(SynchronousTestCase):
    """
    The real program, a real server.
    """

    def setUp(self) -> None:
        self.sink = RatedSink(LIMIT, LIMIT)
        self.sink.start()
        self.addCleanup(self.sink.stop)
        domain = {"mx_override": f"127.0.0.1:{self.sink.port}", "tls_policy": "disabled"}
        settings = {
            "smtp": {"max_messages": 100_000, "max_commands": 1_000_000},
            "delivery": {"domains": {DOMAIN: domain}, "base_retry_delay": "30s", "max_retry_delay": "60s"},
        }
        self.empath = Empath(temporary_folder(self), settings)
        self.addCleanup(self.stop)
        self.empath.start()

    def stop(self) -> None:
        """
        End the program, whatever came of it.
        """
        if self.empath.running().exit_code is None:
            self.empath.kill()

    def fill(self) -> None:
        """
        Queue more than is delivered while it is looked at.
        """
        load = Load(self.empath.port, 4, per_connection=1000)
        load.start()
        wait_until("queued", lambda: len(load.accepted) >= QUEUED, 300.0)
        load.finish()

    def rates(self, since: float, seconds: float) -> list[float]:
        """
        Tell how many a second were taken in each step of a span.
        """
        taken = self.sink.taken[:]
        steps = [since + n * STEP for n in range(round(seconds / STEP))]
        return [sum(begin <= then < begin + STEP for then in taken) / STEP for begin in steps]

    def test_it_settles_and_recovers(self) -> None:
        """
        As the docstring of this module says; few messages are refused for it.
        """
        self.fill()
        time.sleep(SETTLING)
        begin = time.monotonic()
        time.sleep(LOOKED_AT)
        rates = self.rates(begin, LOOKED_AT)
        mean, spread = sum(rates) / len(rates) / LIMIT, (max(rates) - min(rates)) / LIMIT
        refused = sum(then >= begin for then in self.sink.refused)
        self.sink.limit = None
        lifted = time.monotonic()
        recovered = wait_until("recovered", lambda: self.recent() >= RECOVERED * LIMIT, RECOVERY)
        low, high = min(rates) / LIMIT, max(rates) / LIMIT
        print(f"\nof {LIMIT:g} a second: {mean:.1%}; in {STEP:g} s each from {low:.1%} to {high:.1%}")
        print(
            f"{refused} refused while looked at, {len(self.sink.refused)} in all; {self.sink.connections} connections"
        )
        print(f"{RECOVERED:g} times the limit {recovered:.0f} s after it was lifted: {self.rates(lifted, recovered)}")
        for line in self.empath.logged("shaped"):
            print(line[:150])
        self.assertTrue(0.8 <= mean <= 1.01, mean)
        self.assertLess(spread, 0.3)
        self.assertLess(refused, 0.02 * LIMIT * LOOKED_AT)

    def recent(self) -> float:
        """
        Tell how many a second were taken in the last five seconds.
        """
        since = time.monotonic() - 5.0
        return sum(then >= since for then in self.sink.taken[-100_000:]) / 5.0
