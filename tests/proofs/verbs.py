"""
Proof: hold, release, freeze, retry, bounce and delete under load, each followed or cut short by `kill -9`.

What a verb acknowledged is on disk when the process dies an instant later: mail that it was about is held, gone, or
failed, or there is a note of what is to follow its attempt; what is frozen stays so. In the end every message that got
its 250 has arrived, unless it was bounced or deleted, and what was not in flight at a kill arrived once.

`python -m pytest -s tests/proofs/verbs.py`; EMPATH_KILLS, EMPATH_SESSIONS and EMPATH_SEED change it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.controlled import Controlled
from tests.e2e.dialogue import Dialogue, queue_id
from tests.e2e.harness import EndToEndTestCase, smarthost
from tests.e2e.load import Accepted, Load
from tests.e2e.processes import wait_until
from tests.e2e.program import merged
from tests.e2e.scripted import says
from tests.e2e.storing_session import Options
from tests.proofs.kill import arrivals, waiting

KILLS = int(os.environ.get("EMPATH_KILLS", "24"))
SESSIONS = int(os.environ.get("EMPATH_SESSIONS", "6"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
DOMAINS = ("flow.test", "wait0.test", "wait1.test", "wait2.test")
VERBS = ("hold", "release", "retry", "bounce", "delete", "freeze", "unfreeze")
SETTLED = {  # what mail may be, besides gone, that an acknowledged verb was about
    "hold": {"held", "failed", "expired"},
    "release": {"pending", "retry", "failed", "expired"},
    "bounce": {"failed", "expired"},
    "delete": set(),
}
DRAIN = 240.0

SETTINGS = {
    "spool": {"inline_limit": "256B"},
    "delivery": {"max_attempts": 100000, "max_parallel_deliveries": 20, "message_expiration": "30d"},
}


class Mixed(Load):
    """
    A load for several domains.
    """

    def _session(self, client: Dialogue) -> None:
        for _ in range(self._per_connection):
            if self._over.is_set():
                break
            number = next(self._numbers)
            recipient = f"m{number}@{DOMAINS[number % len(DOMAINS)]}"
            self.tried += 1
            heard = client.post("load@origin.test", [recipient], self._content)
            if heard.code != 250:
                self.refused.append(str(heard))
                return
            self.accepted.append(Accepted(recipient, queue_id(heard)))
            self._over.wait(0.02)
        client.send(b"QUIT\r\n")


@attrs.frozen
class Asked:
    """
    One verb: what it was about, and which of that had been accepted before it began, and when it was over.
    """

    verb: str
    domain: str
    before: frozenset[str]
    until: frozenset[str]
    acknowledged: bool


class VerbsTests(EndToEndTestCase):
    """
    Sessions send, a peer takes some and postpones the rest, and the process is told what to do, and killed.
    """

    def test_every_verb_survives_every_kill(self) -> None:
        self.chance = random.Random(SEED)
        print(f"\nverbs: {KILLS} kills, {SESSIONS} sessions, seed {SEED}")
        self.server = self.peer("127.0.0.11", Options(keep_content=False))
        self.server.script.on("RCPT", says(451, "4.7.1 later"), argument="@wait")
        self.program = Controlled(self.folder / "empath", merged(smarthost(self.server), SETTINGS))
        self.addCleanup(self._end, self.program)
        self.program.start()
        self.load = Mixed(self.program.port, SESSIONS)
        self.load.start()
        self.asked: list[Asked] = []
        self.epochs: list[int] = []
        self.frozen: set[str] = set()
        for nth in range(KILLS):
            self.one(VERBS[nth % len(VERBS)])
        self.load.finish()
        self.finish()
        self.check()

    def one(self, verb: str) -> None:
        """
        Do one verb, kill, look at the disk, and start again.
        """
        time.sleep(self.chance.uniform(0.2, 1.0))  # chance is the point: there is no condition to wait for
        domain = self.choose(verb)
        before = self.accepted(domain)
        acknowledged = self.chance.random() < 0.7
        if acknowledged:
            told = self.program.ask(call(verb, domain))
        else:
            told = "killed meanwhile"
            asking = threading.Thread(target=self.ask_in_vain, args=(call(verb, domain),), daemon=True)
            asking.start()
            time.sleep(self.chance.uniform(0.0, 0.1))
        self.program.kill()
        self.asked.append(Asked(verb, domain, before, self.accepted(domain), acknowledged))
        print(f"  {verb} {domain or 'all'}: {told}; {self.on_disk()}")
        self.epochs.append(len(self.server.stored))
        if acknowledged:
            self.look(verb, domain, before)
        if verb in ("freeze", "unfreeze") and not acknowledged:
            self.frozen.discard(domain)  # nobody knows
        self.program.start()
        self.program.wait_for("service._running")
        self.stays_frozen()

    def choose(self, verb: str) -> str:
        """
        Choose a domain, one that there is something to be done about where that is known.
        """
        if verb == "release":
            return self.asked[-1].domain  # what was to be held
        if verb == "unfreeze" and self.frozen:
            return self.chance.choice(sorted(self.frozen))
        return self.chance.choice(("", *DOMAINS) if verb in ("freeze", "unfreeze") else DOMAINS)

    def ask_in_vain(self, expression: str) -> None:
        """
        Ask somebody who dies.
        """
        with contextlib.suppress(OSError, ValueError, AssertionError):
            self.program.ask(expression)

    def look(self, verb: str, domain: str, before: frozenset[str]) -> None:
        """
        Compare what is on disk with what was acknowledged.
        """
        if verb in SETTLED:
            noted = {key.removeprefix("order/") for key, _ in self.items("order/")}
            for row in self.rows():
                name, destination, status = row
                if name in before and destination == domain and f"{name} {destination}" not in noted:
                    self.assertIn(status, SETTLED[verb], f"{verb}: {row}")
        elif verb == "freeze":
            self.frozen.add(domain)
        elif verb == "unfreeze":
            self.frozen.discard(domain)
        if verb in ("freeze", "unfreeze"):
            still = [key for key, value in self.items("frozen/") if value.endswith("null]]")]
            self.assertEqual(f"frozen/{domain}" in still, verb == "freeze")

    def stays_frozen(self) -> None:
        """
        Nothing goes where it was frozen when the process died.
        """
        now = set(self.program.ask("service.queue.controls.frozen()"))
        self.assertLessEqual(self.frozen, now)
        stops = [domain for domain in DOMAINS if domain in now or "" in now]
        sent = self.sent_to(stops)
        time.sleep(0.3)  # nothing happens: there is no condition to wait for
        self.assertEqual(self.sent_to(stops), sent)
        self.frozen = now

    def finish(self) -> None:
        """
        Let everything go, and wait until it has gone.
        """
        for domain in ("", *DOMAINS):
            self.program.ask(call("unfreeze", domain))
        self.server.script.clear()
        self.program.ask(call("release", ""))
        self.program.ask("service.queue.controls.retry(Selection(everything=True), force=True)")
        wait_until("the queue is empty", lambda: waiting(self.program) == 0, DRAIN)

    def check(self) -> None:
        """
        What got its 250 arrived, or was bounced or deleted; nothing is marked, and no file is left.
        """
        arrived = arrivals(self.server)
        ended = {name for each in self.asked if each.verb in ("bounce", "delete") for name in each.until}
        lost = [each for each in self.load.accepted if not arrived[each.recipient]]
        self.assertEqual([each for each in lost if each.queue_id not in ended], [])
        twice = self.twice_between_kills()
        self.assertEqual(twice, [])
        self.assertEqual(self.items("order/"), [])
        tally = self.program.ask(call("delete", ""))
        self.assertEqual(self.program.stop(), 0)
        files = [each.name for each in (self.program.spool / "content").rglob("*") if each.is_file()]
        self.assertEqual((self.rows(), files), ([], []))
        self.assertNotIn("Traceback", self.program.log())
        doubled = sum(max(0, arrived[each.recipient] - 1) for each in self.load.accepted)
        print(
            f"accepted {len(self.load.accepted)}, bounced or deleted for good {len(lost)}, twice over a kill {doubled}"
        )
        print(f"kept at the end, then deleted: {tally}")

    # -- evidence

    def accepted(self, domain: str) -> frozenset[str]:
        """
        Tell the queue ids of what got its 250 for a domain.
        """
        return frozenset(each.queue_id for each in list(self.load.accepted) if each.recipient.endswith("@" + domain))

    def sent_to(self, domains: list[str]) -> int:
        """
        Count the recipients that were offered to the peer.
        """
        names = [f"@{domain}>".encode() for domain in domains]
        return sum(line[:4].upper() == b"RCPT" and any(n in line for n in names) for line in list(self.server.commands))

    def rows(self) -> list[tuple[str, str, str]]:
        """
        Read the deliveries on disk.
        """
        return self.query("spool.sqlite", "SELECT queue_id, domain, status FROM delivery")

    def items(self, prefix: str) -> list[tuple[str, str]]:
        """
        Read what the queue keeps beside mail.
        """
        found = self.query("storage.sqlite", "SELECT key, value FROM item WHERE module = '.sites'")
        return [(key, value) for key, value in found if key.startswith(prefix)]

    def on_disk(self) -> dict[str, int]:
        """
        Count the deliveries by status.
        """
        return dict(Counter(status for _, _, status in self.rows()))

    def query(self, name: str, statement: str) -> list[Any]:
        """
        Ask a database of the spool.
        """
        path = Path(self.program.spool) / name
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()

    def twice_between_kills(self) -> list[str]:
        """
        Tell who got a message twice though no kill lies between.
        """
        borders = [0, *self.epochs, len(self.server.stored)]
        found: list[str] = []
        for begin, end in itertools.pairwise(borders):
            counted = Counter(name for each in self.server.stored[begin:end] for name in each.recipients)
            found += [name for name, number in counted.items() if number > 1 and not name.startswith("load@")]
        return found


def call(verb: str, domain: str) -> str:
    """
    Spell a verb in Python.
    """
    if verb in ("freeze", "unfreeze"):
        return f"service.queue.controls.{verb}({domain!r})"
    selection = f"Selection(domain={domain!r})" if domain else "Selection(everything=True)"
    return f"service.queue.controls.{verb}({selection})"
