"""
Whatever servers do, and whenever a delivery is cancelled: every recipient has an outcome, the truth, and nothing leaks.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool, DeliveryTls, Domain
from empath.config.schema import Delivery as Section
from empath.config.units import seconds
from empath.errors import SpoolError
from empath.mail.message import Message
from empath.mail.outcome import Outcome, Success
from empath.smtp import client_chunks
from tests.deliver.fakes import CHUNKING, CLOSE, HANG, STARTTLS, USUAL, Server, Transport
from tests.deliver.world import Reader, World, message

TROUBLE = {
    "GREETING": ["554 5.0.0 no", "421 4.3.2 bye", CLOSE, HANG, "xyzzy", "220 hello\r\n421 4.0.0 x"],
    "EHLO": [
        "250 mx",
        CHUNKING,
        CHUNKING.replace("250-PIPELINING\r\n", "").replace("250 BINARYMIME", "250 LIMITS RCPTMAX=1 MAILMAX=1"),
        "250-mx\r\n250-8BITMIME\r\n250 SIZE 300",
        "500 what",
        CLOSE,
        HANG,
        STARTTLS,
    ],
    "BDAT": ["451 4.3.0 x", "552 5.3.4 no", "502 5.5.1 what", "421 4.3.2 x", CLOSE, HANG],
    "HELO": ["550 no", CLOSE, HANG],
    "STARTTLS": ["454 4.7.0 no", CLOSE, HANG],
    "MAIL": ["452 4.3.1 full", "450 4.1.8 grey", "550 5.1.8 bad", "421 4.3.2 enough", CLOSE, HANG, "what?", "354 eh"],
    "RCPT": ["452 4.5.3 many", "552 5.5.3 many", "450 4.2.0 later", "550 5.1.1 no", "421 4.3.2 x", CLOSE, HANG],
    "DATA": ["451 4.3.0 x", "554 5.5.1 no", "421 4.3.2 q", CLOSE, HANG, "250 eh", "354 go\r\n552 5.3.4 no"],
    "CONTENT": [
        "451 4.3.0 x",
        "554 5.7.1 no",
        CLOSE,
        HANG,
        "250 ok\r\n421 4.3.2 q",
        "250 ok\r\n250 ok",
        "554 no\r\n421 x",
    ],
    "RSET": ["421 4.0.0 x", "500 no", CLOSE, HANG],
    "QUIT": [CLOSE, HANG, "500 no"],
}


class AnyServer(Server):
    """
    Has trouble at any step, with probability `bad`; `kept` tells (message number, recipient) of every 250 to content
    that reached a client which was still waiting for it.
    """

    def __init__(self, reactor: Any, chance: random.Random) -> None:
        super().__init__(reactor)
        self.chance = chance
        self.bad = chance.choice([0.0, 0.05, 0.3])
        self.usual = {**USUAL, "EHLO": CHUNKING} if chance.random() < 0.5 else USUAL
        self.shakes = chance.random() < 0.6
        self.kept: list[tuple[int, str]] = []
        self._accepted: dict[Transport, list[str]] = {}

    def answer(self, transport: Transport, step: str) -> str:
        bad = step in TROUBLE and self.chance.random() < self.bad
        self.answers[step] = [self.chance.choice(TROUBLE[step]) if bad else self.usual.get(step, "250 ok")]
        accepted = self._accepted.setdefault(transport, [])
        if step == "CONTENT" and self.answers[step][0].startswith("250") and transport not in self._silent:
            number, told = self.contents[-1][9:15], tuple(accepted)
            self.clock.callLater(0, self._told, transport.protocol, number, told)
        text = super().answer(transport, step)
        if step == "RCPT" and text.startswith("250"):
            accepted.append(self.commands[-1][9:-1])
        elif step not in ("RCPT", "DATA", "BDAT"):
            accepted.clear()
        return text

    def _told(self, protocol: Any, number: bytes, recipients: tuple[str, ...]) -> None:
        """
        In the next turn the reply is given; whoever waits for it then hears it.
        """
        if number and protocol._transaction is not None and not protocol._gone:
            self.kept += [(int(number), recipient) for recipient in recipients]


@attrs.define
class Job:
    """
    A delivery and what it told.
    """

    carried: Message
    recipients: tuple[str, ...]
    waiting: Deferred[tuple[Outcome, ...]]
    told: list[Any]


class Trial:
    """
    One history, as `chance` has it.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.world = world = World(
            Section(
                max_recipients_per_transaction=chance.choice([1, 2, 100]),
                connection_pool=ConnectionPool(
                    max_per_server=chance.choice([1, 2, 5]),
                    max_messages=chance.choice([1, 3]),
                    max_age=seconds(chance.choice([20, 600])),
                ),
                domains={
                    "example.org": Domain(
                        max_messages=chance.choice([None, 2]), max_connections=chance.choice([None, 3])
                    )
                },
                tls=DeliveryTls(chance.choice(["opportunistic", "disabled", "required"])),
            )
        )
        self.servers = [AnyServer(world.reactor, chance) for _ in range(2)]
        for number, server in enumerate(self.servers, 1):
            refused = chance.random() < 0.1
            world.reactor.servers[f"192.0.2.{number}:25"] = ConnectionRefusedError() if refused else server
            if chance.random() < 0.5:
                world.resolver.table[f"mx{number}.example.org", "AAAA"] = ["2001:db8::1", "2001:db8::2"]
                for address in ("2001:db8::1", "2001:db8::2"):
                    there: list[Server | Exception | str] = [server, "hang", ConnectionRefusedError()]
                    world.reactor.servers[f"{address}:25"] = chance.choice(there)
        self.jobs: list[Job] = []
        self.broken: set[str] = set()
        world.agent._open_body = self.open_body

    def open_body(self, carried: Message) -> Reader:
        trouble = [SpoolError("gone")] if carried.queue_id in self.broken else []
        return Reader([b"\r\n", *[b".line\r\n" * 10] * 10, *trouble])

    def start(self) -> None:
        number = len(self.jobs) + 1
        recipients = tuple(f"r{number}-{each}@example.org" for each in range(self.chance.choice([1, 1, 2, 5])))
        body = None if self.chance.random() < 0.3 else b"\r\n.line\r\n"
        carried = message(
            *recipients,
            body=body,
            queue_id=f"{number:026}",
            header=b"Subject: %06d\r\n" % number,
            size=17 + (702 if body is None else len(body)),
            eight_bit=self.chance.random() < 0.1,
        )
        if self.chance.random() < 0.1:
            carried = attrs.evolve(carried, envelope=attrs.evolve(carried.envelope, parameters={"BODY": "BINARYMIME"}))
        if self.chance.random() < 0.1:
            self.broken.add(carried.queue_id)
        job = Job(carried, recipients, self.world.start(carried, self.chance.choice(["", "site"])), [])
        job.waiting.addBoth(job.told.append)
        self.jobs.append(job)

    def check(self) -> None:
        """
        No target has more connections, and tries, than it may.
        """
        most = self.world.section.connection_pool.max_per_server
        tries = Counter(each.factory.target for each in self.world.reactor.connectors if not each.over)
        for server in self.servers:
            tries.update(each.protocol.target for each in server.transports if not each.gone)
        assert max(tries.values(), default=0) <= most, tries

    def step(self) -> None:
        chance, reactor = self.chance, self.world.reactor
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                self.start()
            case 4 if self.jobs and not (job := chance.choice(self.jobs)).told:
                job.waiting.cancel()
            case 5:
                reactor.advance(chance.choice([0.25, 1, 31, 61, 301, 601]))
            case 6:
                for transport in [each for server in self.servers for each in server.transports if not each.gone]:
                    if chance.random() < 0.2:
                        transport.lose(ConnectionLost())
            case _:
                reactor.run(chance.choice([1, 2, 5, 30]))

    def run(self) -> None:
        for _ in range(self.chance.choice([5, 20, 40])):
            self.step()
            self.check()
        for _ in range(200):
            self.world.reactor.run(20)
            self.world.reactor.advance(61)


class AnyServerTests(SynchronousTestCase):
    """
    Many histories.
    """

    def setUp(self) -> None:
        """
        Make chunks small, so that there are several.
        """
        self.patch(client_chunks, "CHUNK_SIZE", 250)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        A recipient is told to have the mail if, and only if, a server took it, and no server took it twice.
        """
        trial = Trial(random.Random(seed))
        trial.run()
        kept = [each for server in trial.servers for each in server.kept]
        self.assertEqual(len(kept), len(set(kept)))
        for number, job in enumerate(trial.jobs, 1):
            self.assertEqual(len(job.told), 1)
            had = {recipient for each, recipient in kept if each == number}
            if isinstance(job.told[0], Failure):
                self.assertTrue(job.told[0].check(CancelledError) and not had)
                continue
            self.assertEqual(len(job.told[0]), len(job.recipients))
            self.assertNotIn(None, job.told[0])
            took = {r for r, outcome in zip(job.recipients, job.told[0], strict=True) if isinstance(outcome, Success)}
            self.assertEqual(took, had)
        self.nothing_is_left(trial)

    def nothing_is_left(self, trial: Trial) -> None:
        """
        Content is whole wherever it arrived; connections, places in line and timers are gone.
        """
        whole = {b"\r\n.line\r\n", b"\r\n" + b".line\r\n" * 100}
        for content in [each for server in trial.servers for each in server.contents if each != b"\r\n"]:
            self.assertIn(content[17:], whole)
        pool: Any = trial.world.agent._pool
        self.assertEqual(
            [list(pool.sizes()), pool._lanes, pool._sites, pool._waiting, pool._dialing], [[], {}, {}, {}, {}]
        )
        self.assertEqual(trial.world.reactor.getDelayedCalls(), [])
