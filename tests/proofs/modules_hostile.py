"""
Proof: modules that raise, hang, never fire, return garbage, allocate 100 MB, block a thread for 10 seconds and flood
the metadata, each for certain recipients only, at most double what a normal client waits at the median.

The same process with the same modules serves a normal client in turns: left alone, and while one client for each
hostile module drives it as fast as it answers, with a pause of EMPATH_PAUSE seconds (0.1) behind each session. Every
session of the normal client goes through every module, and is accepted. The module that blocks is driven less often, so
that it never takes all eight threads of its own: who asks it then would have to wait for one.

`python -m pytest -s tests/proofs/modules_hostile.py`; EMPATH_SAMPLES (100 a turn) and EMPATH_TURNS (3) change it.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.harness import SENDER, message
from tests.e2e.house_rules import HOSTILE
from tests.e2e.limits import SiegeCase, shown
from tests.e2e.program import Empath
from tests.e2e.test_modules import TOP

SAMPLES = int(os.environ.get("EMPATH_SAMPLES", "100"))
TURNS = int(os.environ.get("EMPATH_TURNS", "3"))
PAUSE = float(os.environ.get("EMPATH_PAUSE", "0.1"))
BLOCKED_PAUSE = 2.0
BREATH = 0.02  # seconds between the normal client's sessions
BOUND = 2.0
NEVER = 1_000_000_000


def hostile(**settings: Any) -> list[dict[str, Any]]:
    """
    Configure all of them, each with a domain of its own.
    """
    return [
        {
            "factory": f"{each.__module__}:{each.__name__}",
            "options": {"domain": f"{each.name}.test"},
            "timeout": "1s",
            **settings,
        }
        for each in HOSTILE
    ]


class HostileModulesTests(SiegeCase):
    """
    All of them at once.
    """

    def test_other_sessions_wait_at_most_twice_as_long(self) -> None:
        """
        Without the breaker, so that they misbehave to the end.
        """
        self.compare(hostile(failure_threshold=NEVER))

    def test_the_same_with_the_breaker(self) -> None:
        """
        As they would be configured: a module that has failed five times in a row is left alone.
        """
        self.compare(hostile(on_error="ignore"))

    def compare(self, modules: list[dict[str, Any]]) -> None:
        """
        Measure, print, and hold against the bound.
        """
        server = self.peer("127.0.0.11")
        empath = self.through(server.port, modules)
        alone: list[float] = []
        besieged: list[float] = []
        self.heard: Counter[str] = Counter()
        self.sample(empath, 20)
        for _ in range(TURNS):
            alone += self.sample(empath, SAMPLES)
            over = threading.Event()
            drivers = [threading.Thread(target=self.drive, args=(empath, each.name, over)) for each in HOSTILE]
            for driver in drivers:
                driver.start()
            try:
                over.wait(2)
                besieged += self.sample(empath, SAMPLES)
            finally:
                over.set()
            for driver in drivers:
                driver.join(60)
        self.report(empath, alone, besieged)

    def through(self, port: int, modules: list[dict[str, Any]]) -> Empath:
        """
        Start an empath with these modules that hands all to the peer.
        """
        route = {"mx_override": f"127.0.0.11:{port}"}
        empath = self.empath(
            {"delivery": {"domains": {"*": route}}, "modules": modules}, environment={"PYTHONPATH": str(TOP)}
        )
        empath.start()
        return empath

    def sample(self, empath: Empath, count: int) -> list[float]:
        """
        Time so many sessions of the normal client.
        """
        never = threading.Event()
        return [self.paced(empath, nth, never, BREATH) for nth in range(count)]

    def drive(self, empath: Empath, name: str, over: threading.Event) -> None:
        """
        Set off one hostile module again and again.
        """
        pause = BLOCKED_PAUSE if name == "blocks" else PAUSE
        while not over.is_set():
            with contextlib.suppress(OSError, Closed), Dialogue(empath.port, source="127.0.0.41", timeout=30) as client:
                client.greet()
                heard = client.post(SENDER, [f"you@{name}.test"], message())
                self.heard[f"{name}: {heard.code}"] += 1
            over.wait(pause)

    def report(self, empath: Empath, alone: list[float], besieged: list[float]) -> None:
        """
        Print the figures and judge them.
        """
        ratio = statistics.median(besieged) / statistics.median(alone)
        print(f"\na whole session of the normal client, left alone: {shown(alone)}")
        print(f"beside {len(HOSTILE)} hostile modules:                   {shown(besieged)}; median × {ratio:.2f}")
        print("what their clients heard: " + ", ".join(f"{what} × {n}" for what, n in sorted(self.heard.items())))
        print(f"peak RSS {empath.memory('VmHWM') // 2**20} MiB")
        self.assertLess(ratio, BOUND)
        self.assertTrue(empath.alive())
        for name in {each.name for each in HOSTILE} - {"allocates"}:
            self.assertNotEqual(self.heard[f"{name}: 451"] + self.heard[f"{name}: 250"], 0, f"{name} was not asked")
        self.assertEqual(empath.stop(), 0)
        self.assertLess(len(Path(empath.running().log).read_bytes()), 20_000_000, "the log is flooded")
