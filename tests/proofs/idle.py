"""
Proof: 10,000 idle connections cost less than 20 KiB each, and a new client is greeted in under 50 ms at the median.

EMPATH_IDLE changes the number of connections. Each side needs as many descriptors: `ulimit -n`'s hard limit has to
allow them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.idle import PER_ADDRESS
from tests.e2e.limits import shown
from tests.e2e.processes import require, wait_until
from tests.e2e.program import Empath

CONNECTIONS: Final = int(os.environ.get("EMPATH_IDLE", "10000"))
WARM: Final = 200
SAMPLES: Final = 201
KIB: Final = 1024
MEMORY_BOUND: Final = 20 * KIB
GREETING_BOUND: Final = 0.050
HELD_BOUND: Final = 120.0
ROOT: Final = Path(__file__).parents[2]


class IdleTests(EndToEndTestCase):
    """
    The clients run in a process of their own and only wait.
    """

    def setUp(self) -> None:
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        need = CONNECTIONS + 1000
        require(hard == resource.RLIM_INFINITY or hard >= need, f"{need} descriptors are needed, {hard} allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_idle_connections_cost_little_and_slow_nobody(self) -> None:
        limits = {"max_connections": CONNECTIONS + 500, "max_connections_per_client": PER_ADDRESS}
        server = self.peer("127.0.0.11")
        empath = self.to_peer(server, {"smtp": {**limits, "timeouts": {"command": "30m"}}})
        self.hold(empath, WARM).communicate(timeout=60)  # what is only taken once is no connection's
        before_times = [self.greeting(empath) for _ in range(SAMPLES)]
        wait_until("gone", lambda: self.active(empath) == 0)
        before = empath.memory()
        clients = self.hold(empath, CONNECTIONS)
        self.assertEqual(self.active(empath), CONNECTIONS)
        each = (empath.memory() - before) / CONNECTIONS
        times = [self.greeting(empath) for _ in range(SAMPLES)]
        print(f"\n{CONNECTIONS} idle connections: {each / KIB:.1f} KiB of RSS each, above {before // KIB} KiB")
        print(f"a new client's greeting without them: {shown(before_times)}")
        print(f"a new client's greeting with them: {shown(times)}")
        self.send(empath, ["you@one.test"], message())
        self.wait_arrived(server, "you@one.test")
        self.assertEqual(self.active(empath), CONNECTIONS)
        clients.communicate(timeout=60)
        self.assertLess(each, MEMORY_BOUND)
        self.assertLess(statistics.median(times), GREETING_BOUND)
        self.assertEqual(empath.stop(), 0)

    def hold(self, empath: Empath, count: int) -> subprocess.Popen[str]:
        """
        Start the clients and wait until all are connected; their end is the end of their standard input.
        """
        clients = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.idle", str(empath.port), str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(clients.kill)
        assert clients.stdout is not None
        began = time.monotonic()
        self.assertEqual(clients.stdout.readline(), f"held {count}\n")
        took = time.monotonic() - began
        self.assertLess(took, HELD_BOUND)
        print(f"\n{count} connections were made in {took:.1f} s")
        return clients

    def active(self, empath: Empath) -> int:
        """
        Read how many connections the metrics page counts.
        """
        for line in empath.get("/metrics", metrics=True)[1].splitlines():
            if line.startswith("empath_smtp_connections_active"):
                return int(float(line.split()[1]))
        return 0

    def greeting(self, empath: Empath) -> float:
        """
        Time a new connection until its banner is there.
        """
        began = time.monotonic()
        with Dialogue(empath.port) as client:
            self.assertEqual(client.reply().code, 220)
            return time.monotonic() - began
