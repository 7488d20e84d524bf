"""
A milter that says what it is told to, the services that lead to it, and a message's content in memory.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.mail.address import Address, parse_address
from empath.mail.answer import Answer, Found
from empath.mail.envelope import Recipient
from empath.mail.header import Header
from empath.mail.session import Session, Transaction
from empath.modules import IBodyReader, IContent, IServices

ALL_ACTIONS = 0x1FF
SILENT = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x40000 | 0x80000
CONTINUE = b"c"


def packet(content: bytes) -> bytes:
    """
    Write a packet as a milter does.
    """
    return struct.pack("!I", len(content)) + content


def options(version: int = 6, actions: int = ALL_ACTIONS, flags: int = 0, macros: bytes = b"") -> bytes:
    """
    Write what answers our offer.
    """
    return b"O" + struct.pack("!III", version, actions, flags) + macros


class FakeMilter:
    """
    Answers each packet at once with what `answers` has for it (one use each, by order; else CONTINUE). `heard` is all
    that came, without macros, which are in `macros`. Flags in `silent` tell which commands get no answer.
    """

    def __init__(self, negotiated: bytes = options(), silent: bytes = b"") -> None:
        self.negotiated = negotiated
        self.silent = b"DAQK" + silent
        self.answers: dict[str, list[list[bytes] | Callable[[], None]]] = {}
        self.heard: list[tuple[str, bytes]] = []
        self.macros: list[tuple[str, dict[str, str]]] = []
        self.connections: list[Wire] = []
        self.down = False
        self._buffer = b""

    def on(self, command: str, *packets: bytes) -> None:
        """
        Answer the next such command with these packets; none of them: with nothing.
        """
        self.answers.setdefault(command, []).append(list(packets))

    def die_on(self, command: str) -> None:
        """
        Hang up at the next such command.
        """
        self.answers.setdefault(command, []).append(lambda: self.connections[-1].lose())

    def commands(self) -> str:
        """
        The letters of the commands that came.
        """
        return "".join(letter for letter, _ in self.heard)

    def said(self, letter: str) -> list[bytes]:
        """
        What came with all commands of a letter.
        """
        return [content for each, content in self.heard if each == letter]

    def received(self, wire: Wire, data: bytes) -> None:
        """
        Take what was sent.
        """
        self._buffer += data
        while len(self._buffer) >= 4:
            (length,) = struct.unpack("!I", self._buffer[:4])
            if len(self._buffer) < 4 + length:
                return
            content, self._buffer = self._buffer[4 : 4 + length], self._buffer[4 + length :]
            self._answer(wire, chr(content[0]), content[1:])

    def _answer(self, wire: Wire, letter: str, content: bytes) -> None:
        if letter == "D":
            texts = content[1:].decode().split("\0")[:-1]
            self.macros.append((chr(content[0]), dict(zip(texts[::2], texts[1::2], strict=True))))
            return
        self.heard.append((letter, content))
        if self.answers.get(letter):
            answer = self.answers[letter].pop(0)
            if callable(answer):
                answer()
            else:
                wire.deliver(b"".join(packet(each) for each in answer))
        elif letter == "Q":
            wire.lose()
        elif letter == "O":
            wire.deliver(packet(self.negotiated))
        elif letter.encode() not in self.silent:
            wire.deliver(packet(CONTINUE))


class Wire:
    """
    The transport of our end; what is written is heard at once.
    """

    def __init__(self, milter: FakeMilter, protocol: Any) -> None:
        self.milter = milter
        self.protocol = protocol
        self.producer: Any = None
        self.paused = False
        self.lost = False
        self.stuck = False  # what was written does not leave
        self._kept = b""

    def write(self, data: bytes) -> None:
        if not self.lost and not self.stuck:
            self.milter.received(self, data)

    def deliver(self, data: bytes) -> None:
        """
        Give the milter's words to our end.
        """
        self._kept += data
        if not self.paused and self._kept and not self.lost:
            kept, self._kept = self._kept, b""
            self.protocol.dataReceived(kept)

    def lose(self) -> None:
        """
        Cut it.
        """
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def loseConnection(self) -> None:
        if not self.stuck:
            self.lose()

    def abortConnection(self) -> None:
        self.lose()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.deliver(b"")


@implementer(IServices)
class FakeServices:
    """
    Leads to one milter; the DNS knows `records`.
    """

    hostname = "mx.empath.test"
    domains = frozenset({"ours.test"})
    folder = Path("/etc/empath")
    storage = None

    def __init__(self, milter: FakeMilter) -> None:
        self.milter = milter
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.chance = random.Random(1)
        self.records: dict[tuple[str, str], tuple[str, ...]] = {}
        self.counted: list[str] = []
        self.endpoints: list[str] = []
        self.factories: list[Any] = []
        self.rounds: list[Callable[[], object]] = []
        self.stalled: Deferred[Any] | None = None
        self.threads = 0
        self.silent_dns = False

    def connect(self, endpoint: str, factory: Any) -> Deferred[Any]:
        self.endpoints.append(endpoint)
        self.factories.append(factory)
        if self.stalled is not None:
            return self.stalled
        connecting: Deferred[Any] = Deferred()
        if self.milter.down:
            connecting.errback(ConnectionRefusedError())
            return connecting
        protocol = factory.buildProtocol(None)
        wire = Wire(self.milter, protocol)
        self.milter.connections.append(wire)
        protocol.makeConnection(wire)
        connecting.callback(protocol)
        return connecting

    def lookup(self, name: str, rdtype: str) -> Answer | Deferred[Answer]:
        if self.silent_dns:
            return Deferred()
        found = self.records.get((name, rdtype), ())
        if rdtype == "PTR":
            return Answer(name, rdtype, Found.RECORDS if found else Found.NO_NAME, texts=found)
        return Answer(name, rdtype, Found.RECORDS if found else Found.NO_NAME, addresses=found)

    def verify(self, address: Address) -> Any:
        raise NotImplementedError

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        self.threads += 1
        return succeed(call())

    def every(self, seconds: float, call: Callable[[], object]) -> None:
        self.rounds.append(call)

    def count(self, event: str, amount: int = 1) -> None:
        self.counted.append(event)

    def local(self, address: Address) -> bool:
        return address.domain in self.domains


@implementer(IBodyReader)
class FakeReader:
    """
    Reads a body in pieces of `size` octets.
    """

    def __init__(self, body: bytes, size: int) -> None:
        self.rest = body
        self.size = size
        self.closed = False

    def read(self) -> Deferred[bytes]:
        piece, self.rest = self.rest[: self.size], self.rest[self.size :]
        return succeed(piece)

    def close(self) -> None:
        self.closed = True


@implementer(IContent)
class FakeContent:
    """
    Content in memory.
    """

    def __init__(
        self, header: bytes = b"Subject: hello\r\n", body: bytes = b"\r\nhello\r\n", piece: int = 65536
    ) -> None:
        self._header = Header(header)
        self.body: bytes = body
        self.piece = piece
        self.readers: list[FakeReader] = []
        self.fields = self._header.fields
        self.get = self._header.get
        self.get_all = self._header.get_all
        self.add = self._header.add
        self.remove = self._header.remove
        self.replace = self._header.replace
        self.rename = self._header.rename

    @property
    def header(self) -> bytes:
        return bytes(self._header)

    @property
    def size(self) -> int:
        return len(self.header) + len(self.body)

    @property
    def eight_bit(self) -> bool:
        return not (self.header + self.body).isascii()

    def open(self) -> FakeReader:
        self.readers.append(FakeReader(self.body, self.piece))
        return self.readers[-1]

    def append(self, data: bytes) -> None:
        if data.replace(b"\r\n", b"").count(b"\n") or data.replace(b"\r\n", b"").count(b"\r"):
            raise ValueError("a CR or an LF stands alone")
        self.body += data

    def replace_body(self, data: bytes) -> None:
        self.body = b""
        self.append(data)


def session(peer: str = "192.0.2.7", number: int = 1, **more: Any) -> Session:
    """
    Make a session.
    """
    return Session(f"s-{number}", peer, 4321, "tcp:25", "mta", 0.0, **more)


def transaction(sender: str = "me@one.test", number: int = 1, **parameters: str) -> Transaction:
    """
    Make a transaction.
    """
    return Transaction(f"QUEUE-{number}", 0.0, parse_address(sender) if sender else None, parameters)


def recipient(address: str = "you@ours.test", **parameters: str) -> Recipient:
    """
    Make a recipient.
    """
    return Recipient(parse_address(address), parameters)
