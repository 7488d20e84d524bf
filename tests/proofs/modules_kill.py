"""
Proof: `kill -9` at random moments under load: what a module noted at MAIL is what it reads at the delivery.

Between two kills the peer is away for a while, so that many messages are delivered by another process than the one that
accepted them. The module writes a line for each message delivered: the metadata it finds, and its process. A delivery
whose settlement a kill cut off is told by none, or, as it is repeated, by the next process.

`python -m pytest -s tests/proofs/modules_kill.py`; EMPATH_KILLS, EMPATH_SESSIONS and EMPATH_SEED change it.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.harness import smarthost
from tests.e2e.load import Load
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.storing_session import Options
from tests.e2e.test_modules import ENVIRONMENT, ModulesTestCase, module
from tests.proofs.kill import arrivals, waiting

KILLS = int(os.environ.get("EMPATH_KILLS", "15"))
SESSIONS = int(os.environ.get("EMPATH_SESSIONS", "10"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LONGEST = 1.5  # seconds with, and without, the peer
DRAIN = 180.0


@attrs.frozen
class Told:
    """
    One delivery as the module saw it: the message, the processes that accepted and that delivered it, who is named.
    """

    queue_id: str
    delivered_by: str
    mark: str
    recipients: tuple[str, ...]


class ModulesKillTests(ModulesTestCase):
    """
    A module, a load, kills.
    """

    def test_metadata_is_read_after_kills(self) -> None:
        chance = random.Random(SEED)
        self.server = self.peer("127.0.0.11", Options(keep_content=False))
        record = self.folder / "delivered"
        marked = module("Marked", options={"file": str(record)})
        empath = self.with_record(marked)
        load = Load(empath.port, SESSIONS)
        load.start()
        for _ in range(KILLS):
            self.kill_and_restart(empath, chance)
        load.finish()
        accepted = {each.recipient: each.queue_id for each in load.accepted}
        wait_until("all arrived", lambda: accepted.keys() <= arrivals(self.server).keys(), DRAIN)
        wait_until("the queue is empty", lambda: waiting(empath) == 0, DRAIN)
        self.assertEqual(empath.stop(), 0)
        self.judge(accepted, told(record))
        self.assertNotIn("Traceback", empath.log())

    def with_record(self, marked: dict[str, object]) -> Empath:
        """
        Start the instance; the peer, which is away for less than two seconds, is tried again soon.
        """
        settings: dict[str, Any] = {**smarthost(self.server), "modules": [marked]}
        settings["delivery"]["circuit_breaker"] = {"timeout": "1s"}
        empath = self.empath(settings, environment=ENVIRONMENT)
        empath.start()
        return empath

    def kill_and_restart(self, empath: Empath, chance: random.Random) -> None:
        """
        Let mail flow, send the peer away, kill, start again, and let the peer come back.
        """
        time.sleep(chance.uniform(0.0, LONGEST))  # chance is the point: there is no condition to wait for
        self.server.stop()
        time.sleep(chance.uniform(0.0, LONGEST))
        empath.kill()
        self.server.start()
        empath.start()

    def judge(self, accepted: dict[str, str], lines: list[Told]) -> None:
        """
        Print the figures, and hold each line against what its message was given.
        """
        crossed = [line for line in lines if line.mark.split()[0] != line.delivered_by]
        seen = {line.queue_id for line in lines}
        missing = accepted.keys() - {recipient for line in lines for recipient in line.recipients}
        print(f"\nkill -9: {KILLS} times, {SESSIONS} sessions, seed {SEED}")
        print(f"answered 250: {len(accepted)}; told as delivered: {len(seen)}, untold: {len(missing)}")
        print(f"delivered by another process than the one that accepted: {len(crossed)}")
        for line in lines:
            self.assertEqual(line.mark.split()[1:], [line.queue_id, "client.test"])
        for recipient, queue_id in accepted.items():
            if recipient not in missing:
                self.assertIn(queue_id, seen)
        self.assertGreater(len(crossed), KILLS)
        self.assertLessEqual(len(missing), KILLS * 100, "more untold than one group commit a kill can hold")


def told(record: Path) -> list[Told]:
    """
    Read what the module wrote; a kill may have cut a line off, which ends the one before it.
    """
    lines = []
    for text in record.read_text().splitlines():
        queue_id, delivered_by, mark, recipients = json.loads(text)
        lines.append(Told(queue_id, str(delivered_by), mark, tuple(recipients)))
    return lines
