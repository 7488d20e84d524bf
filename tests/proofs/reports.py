"""
Proof: reports of delay and of expansion survive `kill -9` at random moments, each told once.

Sessions send to addresses that a peer postpones, each message to two destinations, and to an alias that is several. In
the end every late recipient of what got its 250 was told of in one report, and every expansion in one: another may only
be the same report (by its Message-ID) that was in flight at a kill. Reports on a message are several where one of its
deliveries was attempted just then.

`python -m pytest -s tests/proofs/reports.py`; EMPATH_KILLS, EMPATH_SESSIONS and EMPATH_SEED change it.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import defaultdict

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.load import Accepted, Load
from tests.e2e.processes import wait_until
from tests.e2e.scripted import says
from tests.proofs.kill import waiting

KILLS = int(os.environ.get("EMPATH_KILLS", "25"))
SESSIONS = int(os.environ.get("EMPATH_SESSIONS", "4"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LONGEST = 3.0  # seconds from the banner to the kill
DRAIN = 120.0
TOLD = re.compile(rb"^Final-Recipient: rfc822; (.*)\r\nAction: (\w+)\r$", re.MULTILINE)
ENVID = re.compile(rb"^Original-Envelope-Id: (\w+)\r$", re.MULTILINE)
MESSAGE_ID = re.compile(rb"^Message-ID: (<.*>)\r$", re.MULTILINE)
SETTINGS = {
    "delivery": {"dsn": {"delay_after": "2s"}, "max_attempts": 100000, "max_parallel_deliveries": 20},
    "modules": [{"factory": "alias", "options": {"aliases": {"all@list.test": ["one@flow.test", "two@flow.test"]}}}],
}


class Reported(Load):
    """
    A load of which reports will tell.
    """

    def _session(self, client: Dialogue) -> None:
        for _ in range(self._per_connection):
            if self._over.is_set():
                break
            number = next(self._numbers)
            name = f"{'L' if number % 2 else 'D'}{number}"
            client.say(f"MAIL FROM:<load@origin.test> ENVID={name}")
            if number % 2:
                client.say("RCPT TO:<all@list.test> NOTIFY=SUCCESS,FAILURE")
            else:
                client.say("RCPT TO:<late@wait0.test>")
                client.say("RCPT TO:<late@wait1.test>")
            client.say("DATA")
            client.send(self._content + b".\r\n")
            if client.reply().code != 250:
                return
            self.accepted.append(Accepted(name, name))
            self._over.wait(0.05)
        client.send(b"QUIT\r\n")


class ReportsTests(EndToEndTestCase):
    """
    A peer postpones, the process is killed and started again.
    """

    def test_each_is_told_once(self) -> None:
        chance = random.Random(SEED)
        self.server = self.peer("127.0.0.11")
        self.server.script.on("RCPT", says(451, "4.7.1 later"), argument="@wait")
        empath = self.to_peer(self.server, SETTINGS)
        load = Reported(empath.port, SESSIONS, size=100)
        load.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, LONGEST))  # chance is the point: there is no condition to wait for
            empath.kill()
            empath.start()
        load.finish()
        names = {each.recipient for each in load.accepted}
        wait_until("all are told", lambda: names <= self.told().keys(), DRAIN)
        self.server.script.clear()
        wait_until("the queue is empty", lambda: waiting(empath) == 0, DRAIN)
        self.assertEqual(empath.stop(), 0)
        told = self.told()
        several = sum(len(reports) > 1 for reports in told.values())
        print(f"\nreports: {KILLS} kills, {SESSIONS} sessions, seed {SEED}")
        print(f"answered 250: {len(names)}; told of: {len(told)}; in several reports: {several}")
        said = {name: sorted(each for found in reports.values() for each in found) for name, reports in told.items()}
        self.assertEqual({name: found for name, found in said.items() if found != wanted(name)}, {})
        self.assertLess(several, len(told) / 20)
        self.assertNotIn("Traceback", empath.log())

    def told(self) -> dict[str, dict[bytes, list[tuple[bytes, bytes]]]]:
        """
        Tell which messages were reported on, in which reports, and what each says.
        """
        found: dict[str, dict[bytes, list[tuple[bytes, bytes]]]] = defaultdict(dict)
        for each in list(self.server.stored):
            if each.sender == "" and each.content is not None and (name := ENVID.search(each.content)):
                about = MESSAGE_ID.search(each.content)
                assert about is not None
                found[name[1].decode()][about[1]] = TOLD.findall(each.content)
        return found


def wanted(name: str) -> list[tuple[bytes, bytes]]:
    """
    Tell what the reports on a message have to say.
    """
    if name.startswith("L"):
        return [(b"all@list.test", b"expanded")]
    return [(b"late@wait0.test", b"delayed"), (b"late@wait1.test", b"delayed")]
