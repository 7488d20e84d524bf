"""
A steady load of all kinds: sizes from nothing to 2 MB, one recipient or a hundred, pipelined or step by step.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import random
import threading
from collections import Counter
from typing import Final

import attrs

from tests.e2e.dialogue import Closed, Dialogue, Heard, stuffed
from tests.proofs.failing import REFUSED

DOMAINS: Final = tuple(f"d{nth}.test" for nth in range(10))
LARGEST: Final = 2_000_000
BOUND: Final = 60.0  # seconds that a client waits for a reply
PER_CONNECTION: Final = 10
_LINES: Final = b"".join(
    b"%s line %d of the text that all these messages are made of, more or less\r\n" % (b"." * (nth % 3), nth)
    for nth in range(500)
)


@attrs.frozen(slots=True)
class Sent:
    """
    A message: `digest` is its content's SHA-256.
    """

    sender: str
    recipients: tuple[str, ...]
    size: int
    digest: str


class MixedLoad:
    """
    Sends about `rate` messages a second over `clients` connections from `start` to `finish`.

    `accepted` are those that were answered 250, `tried` all; `troubles` counts the other replies and the broken
    connections.
    """

    def __init__(self, port: int, name: str, clients: int, rate: float, seed: int) -> None:
        self._port = port
        self._name = name
        self._pause = clients / rate
        self._seeds = [f"{seed} {name} {nth}" for nth in range(clients)]
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.tried: list[Sent] = []
        self.accepted: list[Sent] = []
        self.troubles: Counter[str] = Counter()

    def start(self) -> None:
        """
        Begin.
        """
        self._threads = [threading.Thread(target=self._run, args=(seed,), daemon=True) for seed in self._seeds]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """
        End each client after its message; AssertionError if one does not end.
        """
        self._over.set()
        for thread in self._threads:
            thread.join(2 * BOUND)
            if thread.is_alive():
                raise AssertionError("a client of the load did not end")

    def _run(self, seed: str) -> None:
        chance = random.Random(seed)
        while not self._over.is_set():
            try:
                with Dialogue(self._port, timeout=BOUND) as client:
                    client.greet()
                    self._session(client, chance)
            except (OSError, Closed) as trouble:
                self.troubles[f"{type(trouble).__name__} {trouble}"] += 1
            self._over.wait(self._pause)

    def _session(self, client: Dialogue, chance: random.Random) -> None:
        for _ in range(chance.randint(1, PER_CONNECTION)):
            if self._over.wait(chance.expovariate(1 / self._pause)):
                break
            sent, content = self._message(chance)
            self.tried.append(sent)
            post = pipelined if chance.random() < 0.5 else stepwise
            heard = post(client, sent, content)
            if heard.code != 250:
                self.troubles[str(heard)] += 1
                return
            self.accepted.append(sent)
        with contextlib.suppress(Closed):
            client.say("QUIT")

    def _message(self, chance: random.Random) -> tuple[Sent, bytes]:
        number = next(self._numbers)
        name = f"{self._name}{number}"
        recipients = tuple(
            f"{REFUSED if chance.random() < 0.04 else ''}{name}.{nth}@{chance.choice(DOMAINS)}"
            for nth in range(how_many(chance))
        )
        content = content_of(name, how_large(chance))
        digest = hashlib.sha256(content).hexdigest()
        return Sent(f"{name}@origin.test", recipients, len(content), digest), content


def how_many(chance: random.Random) -> int:
    """
    Draw a number of recipients: mostly few.
    """
    drawn = chance.random()
    return chance.randint(1, 3) if drawn < 0.85 else chance.randint(4, 20) if drawn < 0.98 else chance.randint(50, 150)


def how_large(chance: random.Random) -> int:
    """
    Draw a size in bytes: nothing at all, mostly some kilobytes, seldom megabytes.
    """
    drawn = chance.random()
    if drawn < 0.03:
        return 0
    if drawn < 0.85:
        return int(math.exp(chance.uniform(0, math.log(32 * 1024))))
    return chance.randint(0, 256 * 1024 if drawn < 0.97 else LARGEST)


def content_of(name: str, size: int) -> bytes:
    """
    Make content of about `size` bytes; without any where it is 0.
    """
    if not size:
        return b""
    head = f"From: <{name}@origin.test>\r\nSubject: {name}\r\n\r\n".encode()
    body = (_LINES * (size // len(_LINES) + 1))[: max(0, size - len(head))]
    return head + body.rstrip(b"\r\n") + b"\r\n"


def stepwise(client: Dialogue, sent: Sent, content: bytes) -> Heard:
    """
    Send a message command by command.
    """
    return client.post(sent.sender, list(sent.recipients), content)


def pipelined(client: Dialogue, sent: Sent, content: bytes) -> Heard:
    """
    Send a message's commands at once (RFC 2920); gives the first reply that was not as hoped, or the last.
    """
    commands = [f"MAIL FROM:<{sent.sender}>", *(f"RCPT TO:<{each}>" for each in sent.recipients), "DATA"]
    client.send("".join(f"{command}\r\n" for command in commands).encode())
    for _ in commands:
        heard = client.reply()
        if heard.code not in (250, 354):
            return heard
    client.send(stuffed(content))
    return client.reply()
