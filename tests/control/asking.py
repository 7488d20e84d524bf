"""
A control server in memory, and somebody who asks it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from empath.config.schema import ControlToken
from empath.control import protocol
from empath.control.boxes import Box, BoxReader, from_values, octets_of
from empath.control.connection import Connection
from empath.control.server import ControlServer
from empath.control.serving import Answers
from empath.control.terms.asking import Ask, Follow
from empath.control.tokens import Tokens
from empath.mail.life_safety import ControlUsed


@attrs.frozen
class Echoed:
    text: str


@attrs.frozen
class Echo(Ask[Echoed]):
    verb: ClassVar = "test.echo"
    answer: ClassVar = Echoed

    text: str = ""
    after: str = ""


@attrs.frozen
class Change(Ask[Echoed]):
    verb: ClassVar = "test.change"
    answer: ClassVar = Echoed
    changes: ClassVar = True
    masked: ClassVar = frozenset({"secret"})

    secret: str = ""
    long: str = ""


@attrs.frozen
class Count(Follow[Echoed, Echoed]):
    verb: ClassVar = "test.count"
    answer: ClassVar = Echoed
    piece: ClassVar = Echoed


def token(name: str, secret: str) -> ControlToken:
    return ControlToken(name, hashlib.sha256(secret.encode()).hexdigest())


class PeerTransport(StringTransport):
    """
    A transport that tells of its producer, and can be aborted.
    """

    aborted = False
    uid: int | None = None

    def getHandle(self) -> Any:
        """
        Give what tells whose connection it is.
        """
        if self.uid is None:
            raise OSError("no socket")
        return self

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return struct.pack("3i", 1, self.uid, 1)

    def abortConnection(self) -> None:
        self.aborted = True


class Asking:
    """
    One connection to `server`.
    """

    def __init__(self, server: ControlServer, uid: int | None = None) -> None:
        self.transport = PeerTransport()
        self.transport.uid = uid
        built = server.buildProtocol()
        assert isinstance(built, Connection)
        self.connection = built
        self.connection.makeConnection(self.transport)
        self.number = 0
        self._reader = BoxReader(protocol.MAX_RESPONSE)

    def ask(self, request: Ask[Any], secret: str = "", **changed: bytes) -> bytes:
        """
        Send a request; gives its tag.
        """
        self.number += 1
        tag = b"t%d" % self.number
        box = protocol.asking(tag, self.number, request, secret)
        self.send(box | {name.encode(): value for name, value in changed.items()})
        return tag

    def send(self, box: Box) -> None:
        self.connection.dataReceived(octets_of(box))

    def boxes(self) -> list[Box]:
        """
        What was answered since the last look.
        """
        octets = self.transport.value()
        self.transport.clear()
        return self._reader.feed(octets)

    def answer(self) -> Any:
        """
        The only answer, as JSON.
        """
        [box] = self.boxes()
        content = from_values(b"json", box)
        assert content is not None, box
        return protocol.decoded(content, object)

    def error(self) -> tuple[str, str]:
        """
        The only error: its code and description.
        """
        [box] = self.boxes()
        return box[b"_error_code"].decode(), box[b"_error_description"].decode()

    def hang_up(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))


class Served:
    """
    A server on a clock, whose accounts are kept.
    """

    def __init__(self, tables: Sequence[Answers] = (), tokens: Sequence[ControlToken] = ()) -> None:
        self.clock = Clock()
        self.used: list[ControlUsed] = []
        self.in_thread: Callable[[Callable[[], Any]], Deferred[Any]] = _at_once
        self.busy: Callable[[Ask[Any]], str] = lambda request: ""
        self.server = ControlServer(
            self.clock,
            Tokens(tokens),
            self.used.append,  # type: ignore[arg-type]  # nothing else is told
            lambda call: self.in_thread(call),
            "9.9",
            lambda request: self.busy(request),
        )
        self.server.serve(tables or [{Echo: lambda request, call: Echoed(request.text)}])

    def connect(self, uid: int | None = None) -> Asking:
        return Asking(self.server, uid)

    def advance(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            self.clock.advance(step)


def _at_once(call: Callable[[], Any]) -> Deferred[Any]:
    return succeed(call())
