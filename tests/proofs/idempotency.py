"""
Proof: clients that send until they hear 250, several at a time under one key, while empath is killed at random moments,
have each recipient served once.

The peer is away until the end: what is shown is that nothing is accepted twice, and nothing lost; a kill between a
peer's 250 and the settlement is another matter (tests/proofs/kill.py).

`python -m pytest -s tests/proofs/idempotency.py`; EMPATH_KILLS, EMPATH_KEYS, EMPATH_COPIES and EMPATH_SEED change it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter

from tests.e2e.dialogue import Closed, Dialogue, queue_id
from tests.e2e.harness import SENDER, EndToEndTestCase, smarthost
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, merged
from tests.e2e.storing_session import Options

KILLS = int(os.environ.get("EMPATH_KILLS", "15"))
KEYS = int(os.environ.get("EMPATH_KEYS", "800"))
COPIES = int(os.environ.get("EMPATH_COPIES", "4"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LONGEST = 1.0  # seconds between two kills
TROUBLE = (OSError, Closed, ValueError)


class Clients:
    """
    Each sends all messages, each until it hears 250; a message has two recipients, and content that fits into memory or
    not. `heard` counts by key and queue id.
    """

    def __init__(self, empath: Empath) -> None:
        self.heard: Counter[tuple[int, str]] = Counter()
        self.failed = 0
        self._empath = empath
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(COPIES)]

    def start(self) -> None:
        """
        Begin.
        """
        for thread in self._threads:
            thread.start()

    def done(self) -> bool:
        """
        Tell whether all have heard of all.
        """
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        for key in range(KEYS):
            while not self._sent(key):
                with self._lock:
                    self.failed += 1
                time.sleep(0.01)

    def _sent(self, key: int) -> bool:
        content = f"Idempotency-Key: key-{key}\r\nSubject: {key}\r\n\r\n".encode() + b"x\r\n" * (
            40_000 if key % 8 == 0 else 10
        )
        try:
            with Dialogue(self._empath.port, timeout=30.0) as client:
                client.greet()
                heard = client.post(SENDER, [f"{key}@one.test", f"{key}@two.test"], content)
        except TROUBLE:
            return False
        if heard.code != 250:
            return False
        with self._lock:
            self.heard[key, queue_id(heard)] += 1
        return True


class IdempotencyProof(EndToEndTestCase):
    """
    Copies, kills.
    """

    def test_each_is_taken_once(self) -> None:
        chance = random.Random(SEED)
        server = self.peer("127.0.0.11", Options(keep_content=False))
        server.stop()
        empath = self.empath(merged(smarthost(server), {"delivery": {"circuit_breaker": {"timeout": "1s"}}}))
        empath.start()
        clients = Clients(empath)
        clients.start()
        kills = 0
        while kills < KILLS and not clients.done():
            time.sleep(chance.uniform(0.0, LONGEST))
            empath.kill()
            empath.start()
            kills += 1
        wait_until("all were taken", clients.done, 300.0)
        server.start()
        wanted = {f"{key}@{domain}" for key in range(KEYS) for domain in ("one.test", "two.test")}
        wait_until(
            "all arrived", lambda: wanted <= {name for each in list(server.stored) for name in each.recipients}, 180.0
        )
        arrived = Counter(name for each in list(server.stored) for name in each.recipients)
        print(
            f"seed {SEED}: {kills} kills, {clients.failed} tries failed, {len(clients.heard)} messages for {KEYS} keys"
        )
        self.assertEqual([name for name, count in arrived.items() if count != 1], [])
        self.assertEqual(len(clients.heard), KEYS)
        self.assertEqual(set(clients.heard.values()), {COPIES})
