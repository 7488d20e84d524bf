"""
A small mail world: a resolver, two hosts, an agent, messages.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.routing import Routing
from empath.deliver.smtp import SmtpAgent
from empath.interfaces import IBodyReader, IResolver
from empath.mail.address import Address
from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.outcome import Outcome
from tests.deliver.fakes import Reactor, Server

HEADER = b"Subject: x\r\n"
BODY = b"\r\n.hidden\r\nend\r\n"
CONTENT = HEADER + BODY

SENT = ["Success 250 2.0.0 mx1.example.org"]
SENT_2 = ["Success 250 2.0.0 mx2.example.org"]


@implementer(IResolver)
class Resolver:
    """
    Answers from a table: {("example.org", "MX"): [(10, "mx.example.org")], ("mx.example.org", "A"): ["192.0.2.1"]}.
    A Found instead of records is told as it is, and so is an Answer; what is absent has no data. `slow` answers come
    as Deferreds.
    """

    def __init__(self, table: dict[tuple[str, str], Any]) -> None:
        self.table = table
        self.asked: list[tuple[str, str]] = []
        self.slow: list[tuple[Deferred[Answer], Answer]] | None = None

    def lookup(self, name: str, rdtype: str) -> Answer | Deferred[Answer]:
        self.asked.append((name, rdtype))
        answer = self._answer(name, rdtype)
        if self.slow is None:
            return answer
        waiting: Deferred[Answer] = Deferred()
        self.slow.append((waiting, answer))
        return waiting

    def _answer(self, name: str, rdtype: str) -> Answer:
        records = self.table.get((name, rdtype), Found.NO_DATA)
        if isinstance(records, Answer):
            return records
        if isinstance(records, Found):
            return Answer(name, rdtype, records)
        if rdtype == "MX":
            return Answer(name, rdtype, Found.RECORDS, mx=tuple(MxRecord(p, h) for p, h in records))
        return Answer(name, rdtype, Found.RECORDS, addresses=tuple(records))


@implementer(IBodyReader)
class Reader:
    """
    A body in pieces; an exception among them is raised in its turn.
    """

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self.pieces = list(pieces)
        self.closed = False

    async def read(self) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed = True


def address(text: str) -> Address:
    """
    Make an address of a simple text.
    """
    local, _, domain = text.partition("@")
    return Address(local, domain, text)


def message(*recipients: str, body: bytes | None = BODY, sender: str | None = "a@example.net", **more: Any) -> Message:
    """
    Make a message; with body None it lies in a file.
    """
    envelope = Envelope(
        None if sender is None else address(sender),
        tuple(Recipient(address(text)) for text in recipients or ("b@example.org",)),
    )
    return Message(
        **{
            "queue_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
            "received": 1000.0,
            "envelope": envelope,
            "header": HEADER,
            "body": body,
            "body_file": "file" if body is None else None,
            "size": len(HEADER) + len(BODY if body is None else body),
            "eight_bit": False,
            **more,
        }
    )


class World:
    """
    An SMTP agent with two MX hosts for example.org, mx1 (192.0.2.1) before mx2 (192.0.2.2).
    """

    def __init__(self, section: Section | None = None, policies: Any = None, **domain: Any) -> None:
        self.reactor = Reactor()
        self.mx1 = Server(self.reactor)
        self.mx2 = Server(self.reactor)
        self.reactor.servers = {"192.0.2.1:25": self.mx1, "192.0.2.2:25": self.mx2}
        self.resolver = Resolver(
            {
                ("example.org", "MX"): [(10, "mx1.example.org"), (20, "mx2.example.org")],
                ("mx1.example.org", "A"): ["192.0.2.1"],
                ("mx2.example.org", "A"): ["192.0.2.2"],
            }
        )
        self.section = section or Section()
        if domain:
            self.section = attrs.evolve(self.section, domains={"example.org": Domain(**domain)})
        self.reader = Reader([])
        self.routing = Routing(self.section)
        self.agent = SmtpAgent(
            self.reactor,
            self.resolver,
            lambda _: self.reader,
            random.Random(1),
            self.section,
            "client.example.net",
            self.routing.find,
            own_addresses=frozenset({"192.0.2.99"}),
            policies=policies,
        )
        self.attempt = Attempt(1, 0.0)

    def server(self, number: int, **answers: Any) -> Server:
        """
        Replace one of the servers.
        """
        server = Server(self.reactor, **answers)
        self.reactor.servers[f"192.0.2.{number}:25"] = server
        if number == 1:
            self.mx1 = server
        else:
            self.mx2 = server
        return server

    def start(self, carried: Message | None = None, site: str = "") -> Deferred[tuple[Outcome, ...]]:
        """
        Start a delivery, to the hosts of a site.
        """
        carried = carried or message()
        (delivery,) = deliveries_of(carried)
        self.attempt = Attempt(1, self.reactor.seconds(), site=site)
        return Deferred.fromCoroutine(cast(Any, self.agent.deliver(carried, delivery, self.attempt)))

    def deliver(self, carried: Message | None = None) -> list[str]:
        """
        Make a delivery that ends without waiting, and spell its outcomes.
        """
        told: list[tuple[Outcome, ...]] = []
        self.start(carried).addCallback(told.append)
        self.reactor.run()
        return spell(told[0])


def spell(outcomes: tuple[Outcome, ...]) -> list[str]:
    """
    Spell outcomes as "Success 250 2.0.0 mx1.example.org".
    """
    return [f"{type(o).__name__} {o.reply.code} {o.reply.status} {o.host}".rstrip() for o in outcomes]


def one_delivery(carried: Message) -> Delivery:
    """
    Give the only delivery of a message.
    """
    (delivery,) = deliveries_of(carried)
    return delivery
