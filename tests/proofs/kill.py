"""
Proof: `kill -9` at random moments, many times, under load: what was answered 250 arrives.

In flight at a kill is what had reached the peer and was not yet settled on disk. The log tells the latter without
asking about duplicates: its line `status=sent` is written once the settlement is synced. So each duplicate must be one
of these; how many they are is a matter of how long a sync takes, and `max_parallel_deliveries` does not bound it: a
delivery gives its slot back before its settlement is on disk. Both numbers are printed.

`python -m pytest -s tests/proofs/kill.py`; EMPATH_KILLS, EMPATH_SESSIONS and EMPATH_SEED change it.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import time
from collections import Counter

import attrs

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.load import Load
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options

KILLS = int(os.environ.get("EMPATH_KILLS", "25"))
SESSIONS = int(os.environ.get("EMPATH_SESSIONS", "20"))
PARALLEL = 20
LONGEST = 2.0  # seconds from the banner to the kill
DRAIN = 180.0
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
SENT = re.compile(r"to=<([^>]*)>.*status=sent")


@attrs.frozen
class Kill:
    """
    One kill: how many transactions the peer had stored by then, and whose settlement the log had told of.
    """

    stored: int
    settled: frozenset[str]


class KillTests(EndToEndTestCase):
    """
    Twenty sessions send, one peer stores, the process between them is killed and started again.
    """

    def test_every_message_that_got_250_arrives_and_duplicates_were_in_flight(self) -> None:
        chance = random.Random(SEED)
        self.server = self.peer("127.0.0.11", Options(keep_content=False))
        empath = self.to_peer(self.server, {"delivery": {"max_parallel_deliveries": PARALLEL}})
        load = Load(empath.port, SESSIONS)
        load.start()
        kills = [self.kill_and_restart(empath, chance) for _ in range(KILLS)]
        load.finish()
        accepted = {each.recipient for each in load.accepted}
        wait_until("all arrived", lambda: accepted <= arrivals(self.server).keys(), DRAIN)
        wait_until("the queue is empty", lambda: waiting(empath) == 0, DRAIN)
        self.assertEqual(empath.stop(), 0)
        in_flight = [unsettled(self.server, kills, nth) for nth in range(len(kills))]
        doubled = repeated(self.server, kills)
        self.report(load, in_flight, doubled)
        self.assertEqual(accepted - arrivals(self.server).keys(), set())
        for nth, names in enumerate(doubled):
            self.assertEqual(names - in_flight[nth], set(), f"settled before kill {nth}, yet sent again")
        counted = arrivals(self.server)
        self.assertEqual(sum(map(len, doubled)), counted.total() - len(counted), "twice between the same two kills")
        self.assertNotIn("Traceback", empath.log())

    def kill_and_restart(self, empath: Empath, chance: random.Random) -> Kill:
        """
        Kill it after a random while, let the peer read what had been sent to it, and start it again.
        """
        time.sleep(chance.uniform(0.0, LONGEST))  # chance is the point: there is no condition to wait for
        empath.kill()
        wait_until("the peer has read all", lambda: self.server.open_sessions() == 0)
        kill = Kill(len(self.server.stored), frozenset(SENT.findall(empath.log())))
        empath.start()
        return kill

    def report(self, load: Load, in_flight: list[set[str]], doubled: list[set[str]]) -> None:
        """
        Print the figures.
        """
        counted = arrivals(self.server)
        accepted = {each.recipient for each in load.accepted}
        print(f"\nkill -9: {KILLS} times, {SESSIONS} sessions, seed {SEED}")
        print(f"answered 250: {len(accepted)}; of them lost: {len(accepted - counted.keys())}")
        print(f"arrived though their 250 was lost: {len(counted.keys() - accepted)}")
        print(f"duplicates: {sum(map(len, doubled))}; by kill {[len(each) for each in doubled]}")
        print(f"sent but not settled, by kill         {[len(each) for each in in_flight]}")
        most = max(map(len, in_flight))
        print(f"most unsettled at a kill: {most}, with max_parallel_deliveries = {PARALLEL}")


def arrivals(server: StoringSmtpServer) -> Counter[str]:
    """
    Count how often each recipient's message arrived.
    """
    return Counter(recipient for each in list(server.stored) for recipient in each.recipients)


def waiting(empath: Empath) -> int:
    """
    Count what is still to be delivered, as the metrics page does.
    """
    lines = empath.get("/metrics", metrics=True)[1].splitlines()
    sizes = [line for line in lines if line.startswith("empath_delivery_queue_size{")]
    ended = ("completed", "failed", "expired")
    return sum(int(float(line.split()[-1])) for line in sizes if not any(word in line for word in ended))


def epochs(server: StoringSmtpServer, kills: list[Kill]) -> list[list[str]]:
    """
    Split the arrivals at the kills.
    """
    borders = [0, *(kill.stored for kill in kills), len(server.stored)]
    parts = [server.stored[begin:end] for begin, end in itertools.pairwise(borders)]
    return [[recipient for each in part for recipient in each.recipients] for part in parts]


def unsettled(server: StoringSmtpServer, kills: list[Kill], nth: int) -> set[str]:
    """
    Tell what had arrived between the kill before and this one, and was not settled as the log knew.
    """
    return set(epochs(server, kills)[nth]) - kills[nth].settled


def repeated(server: StoringSmtpServer, kills: list[Kill]) -> list[set[str]]:
    """
    Tell, kill by kill, whose message had arrived just before it and came again later.
    """
    last: dict[str, int] = {}
    doubled: list[set[str]] = [set() for _ in kills]
    for nth, part in enumerate(epochs(server, kills)):
        for recipient in part:
            if last.get(recipient, nth) != nth:
                doubled[last[recipient]].add(recipient)
            last[recipient] = nth
    return doubled
