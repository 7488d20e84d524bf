"""
Proof: mail of all kinds for a long time, towards peers that fail, through a program that is stopped and started.

Two programs share the peers: one runs throughout, so that its memory and descriptors can be compared, the other is
ended by SIGTERM and started again at random. At the end each recipient of each message that was answered 250 is
accounted for: it arrived, or its sender got the report that it was refused; nothing is left in the spools.

`python -m pytest -s tests/proofs/soak.py`; EMPATH_SOAK_SECONDS, EMPATH_SOAK_RATE (messages a second) and EMPATH_SEED
change it.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import statistics
import threading
import time
from collections import Counter

import attrs

from tests.e2e.harness import HOSTS, EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.storing_session import Options
from tests.e2e.unbound import mail_zone
from tests.proofs.failing import FailingServer, Weather
from tests.proofs.kill import waiting
from tests.proofs.mixed_load import DOMAINS, MixedLoad
from tests.proofs.reckoning import Reckoning

SECONDS = float(os.environ.get("EMPATH_SOAK_SECONDS", "300"))
RATE = float(os.environ.get("EMPATH_SOAK_RATE", "10"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
CLIENTS = 4  # of each program
WARM = 120.0  # seconds below which a program still grows into its work, and no growth is judged
GROWTH = 1.2
DRAIN = 240.0
STOP = 60.0
MIB = 1024 * 1024
_WORSE = re.compile(r"^\S+Z ((?:warn|error|critical) .*)", re.MULTILINE)
_PARTICULAR = re.compile(r"\b[0-9A-Z]{26}\b|\b[0-9.:]*[0-9]\b")
TIMES = ("greeting", "ehlo", "mail_from", "rcpt_to", "data", "data_block", "data_termination")
SETTINGS = {
    "delivery": {
        "max_attempts": 1000,
        "keep_failed": 0,
        "shutdown_timeout": "30s",
        "timeouts": {**dict.fromkeys(TIMES, "6s"), "connect": "5s"},
        "connection_pool": {"idle_timeout": "5s"},
        "circuit_breaker": {"timeout": "10s"},  # peers are down for seconds: nobody waits minutes for them here
    }
}


@attrs.frozen(slots=True)
class Sample:
    """
    The steady program at one moment: resident memory in bytes, open descriptors.
    """

    at: float
    memory: int
    descriptors: int


class SoakTests(EndToEndTestCase):
    """
    Ten domains at four peers, each at two of them; a fifth takes the reports.
    """

    def test_nothing_is_lost_and_nothing_grows(self) -> None:
        self.prepare()
        idle = descriptors(self.steady)
        self.run_for(SECONDS)
        self.calm_down()
        quiet = descriptors(self.steady)
        codes = [empath.stop(STOP) for empath in self.programs]
        reckoning = Reckoning(self.loads, self.servers, self.reports)
        self.show(reckoning, idle, quiet)
        self.assertEqual(codes, [0, 0])
        self.assertEqual(reckoning.faults(), [])
        self.assertEqual([left_in(empath) for empath in self.programs], [(0, 0), (0, 0)])
        self.assertEqual([empath.log().count("Traceback") for empath in self.programs], [0, 0])
        self.assertLessEqual(quiet, idle + 4)
        if SECONDS >= WARM:
            first, last = self.early_and_late()
            self.assertLess(last.memory, first.memory * GROWTH)

    def prepare(self) -> None:
        """
        Start everything but the load.
        """
        chance = random.Random(SEED)
        counting = Options(keep_content=False, skip_trace=True)
        self.servers = [
            FailingServer(host, self.peer_port, Weather(chance.randrange(2**32)), counting) for host in HOSTS[:4]
        ]
        self.reports = FailingServer(
            HOSTS[4], self.peer_port, Weather(chance.randrange(2**32), merciful=True), Options()
        )
        for server in [*self.servers, self.reports]:
            self.addCleanup(server.stop)
            server.start()
        records = mail_zone("origin.test", HOSTS[4])
        for nth, domain in enumerate(DOMAINS):
            records += mail_zone(domain, HOSTS[nth % 4], HOSTS[(nth + 1) % 4])
        dns = self.dns(*records)
        route = {"port": self.peer_port, "dns": {"servers": [dns.server]}}
        settings = {"delivery": {**SETTINGS["delivery"], **route}}
        self.programs = [self.empath(settings, name) for name in ("steady", "restarted")]
        for empath in self.programs:
            empath.start()
        self.steady, self.restarted = self.programs
        names = zip(self.programs, ("a", "b"), strict=True)
        self.loads = [MixedLoad(empath.port, name, CLIENTS, RATE / 2, SEED) for empath, name in names]
        self.samples: list[Sample] = []
        self.restarts = self.outages = 0

    def run_for(self, seconds: float) -> None:
        """
        Load, restart, take peers down, and measure, each in its own rhythm.
        """
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        self.began = time.monotonic()
        watching = threading.Thread(target=self.watch, daemon=True)
        failing = threading.Thread(target=self.take_down, daemon=True)
        for thread in (watching, failing):
            thread.start()
        for load in self.loads:
            load.start()
        chance = random.Random(SEED + 1)
        while (left := seconds - (time.monotonic() - self.began)) > 0:
            self.over.wait(min(left, chance.uniform(4, 20)))
            if time.monotonic() - self.began < seconds:
                self.assertEqual(self.restarted.stop(STOP), 0)
                self.restarted.start()
                self.restarts += 1
        self.over.set()
        for load in self.loads:
            load.finish()
        failing.join(30)
        watching.join(30)
        self.assertFalse(failing.is_alive() or watching.is_alive())

    def watch(self) -> None:
        """
        Measure the steady program once a second.
        """
        while not self.over.wait(1):
            at = time.monotonic() - self.began
            self.samples.append(Sample(at, self.steady.memory(), descriptors(self.steady)))

    def take_down(self) -> None:
        """
        Let one peer after another be down for some seconds.
        """
        chance = random.Random(SEED + 2)
        while not self.over.wait(chance.uniform(2, 15)):
            server = chance.choice([*self.servers, self.reports])
            server.stop()
            self.over.wait(chance.uniform(0.5, 5))
            server.start()
            self.outages += 1

    def calm_down(self) -> None:
        """
        Let every peer be ordinary, and wait until all is delivered and connections have been idle for long enough.
        """
        for server in [*self.servers, self.reports]:
            server.weather.calm = True
        for empath in self.programs:
            wait_until("the queue is empty", lambda empath=empath: waiting(empath) == 0, DRAIN)  # type: ignore[misc]
        wait_until("all connections are closed", lambda: self.connections() == 0, 30)

    def connections(self) -> int:
        """
        Count the connections that the peers serve.
        """
        return sum(server.open_sessions() for server in [*self.servers, self.reports])

    def early_and_late(self) -> tuple[Sample, Sample]:
        """
        Give the medians of the tenth of the time that begins at 20 %, and of the last tenth.
        """
        end = self.samples[-1].at
        early = [each for each in self.samples if 0.2 * end <= each.at <= 0.3 * end]
        late = [each for each in self.samples if each.at >= 0.9 * end]
        return middle(early), middle(late)

    def show(self, reckoning: Reckoning, idle: int, quiet: int) -> None:
        """
        Print the figures.
        """
        first, last = self.early_and_late()
        growth = 100 * (last.memory / first.memory - 1)
        peak = max(each.memory for each in self.samples)
        print(f"\nsoak: {SECONDS:g} s, {RATE:g} messages/s, seed {SEED}")
        print(f"{self.restarts} restarts by SIGTERM; peers were down {self.outages} times")
        for line in reckoning.lines():
            print(line)
        print(
            f"RSS at 20 %: {first.memory / MIB:.1f} MiB; at the end: {last.memory / MIB:.1f} MiB ({growth:+.1f} %); "
            f"peak {peak / MIB:.1f} MiB"
        )
        print(f"descriptors at 20 %: {first.descriptors}; at the end: {last.descriptors}; idle: {idle} → {quiet}")
        for empath in self.programs:
            log = empath.log()
            kinds = Counter(_PARTICULAR.sub("…", found[1]) for found in _WORSE.finditer(log))
            print(f"{empath.folder.name}: {log.count('Traceback')} tracebacks in {len(log) // 1024} KiB of log")
            for kind, count in kinds.most_common():
                print(f"  {count} × {kind}")


def middle(samples: list[Sample]) -> Sample:
    """
    Take the medians.
    """
    memory = int(statistics.median(each.memory for each in samples))
    return Sample(samples[0].at, memory, int(statistics.median(each.descriptors for each in samples)))


def descriptors(empath: Empath) -> int:
    """
    Count the open descriptors of the process.
    """
    return len(os.listdir(f"/proc/{empath.running().pid}/fd"))


def left_in(empath: Empath) -> tuple[int, int]:
    """
    Count the messages and the content files in the spool of a program that has ended.
    """
    files = [path for path in (empath.spool / "content").rglob("*") if path.is_file()]
    connection = sqlite3.connect(empath.spool / "spool.sqlite")
    try:
        return connection.execute("SELECT count(*) FROM message").fetchone()[0], len(files)
    finally:
        connection.close()
