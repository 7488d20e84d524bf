"""
A reactor and servers in memory, for deliveries without a network.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure

PIPELINING = "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10000000"
CHUNKING = "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME"
STARTTLS = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS"

USUAL = {
    "GREETING": "220 hello",
    "EHLO": PIPELINING,
    "HELO": "250 mx",
    "STARTTLS": "220 go",
    "AUTH": "235 2.7.0 in",
    "MAIL": "250 2.1.0 sender",
    "RCPT": "250 2.1.5 recipient",
    "DATA": "354 go",
    "CONTENT": "250 2.0.0 queued",
    "BDAT": "250 2.0.0 chunk",
    "RSET": "250 reset",
    "QUIT": "221 bye",
}

HANG = ""
CLOSE = "close"


class Transport:
    """
    The client's end of a connection in memory; `written` goes to the server in the reactor's next turn.
    """

    TLS = False

    def __init__(self, clock: Clock, protocol: Any, peer: Server) -> None:
        self.clock = clock
        self.protocol = protocol
        self.peer = peer
        self.no_delay = False
        self.gone = False
        self.aborted = False
        self.producer: Any = None
        self.full = False
        self.tls: list[object] = []
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert not self.gone, "written after the end"
        self.writes.append(data)
        self.clock.callLater(0, self.peer.heard, self, data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer
        if streaming and self.full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def startTLS(self, creator: object) -> None:
        self.tls.append(creator)
        self.peer.handshake(self)

    def getHandle(self) -> Any:
        return self

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"

    def get_peer_cert_chain(self) -> list[Any]:
        return self.peer.chain

    def getHost(self) -> Any:
        if self.gone:
            raise AttributeError("socket")  # as Twisted's, which has none any more
        return IPv4Address("TCP", "198.51.100.1", 40000)

    def get_session(self) -> None:
        return None

    def loseConnection(self) -> None:
        self.clock.callLater(0, self.lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = True
        self.clock.callLater(0, self.lose, ConnectionAborted())

    def lose(self, reason: Exception) -> None:
        if not self.gone:
            self.gone = True
            self.peer.gone.append(self)
            self.protocol.connectionLost(Failure(reason))

    def deliver(self, data: bytes) -> None:
        if not self.gone:
            self.protocol.dataReceived(data)


class UnixTransport(Transport):
    """
    The client's end of a UNIX socket.
    """

    def setTcpNoDelay(self, enabled: bool) -> None:
        raise OSError(95, "Operation not supported")

    def getHost(self) -> Any:
        return UNIXAddress(None)


class Server:
    """
    A server that answers as usual, but for `answers`: by step one text, or a list of which the last one stays.

    HANG answers nothing any more until `go_on`, CLOSE ends the connection. `commands` and `contents` record what
    came. `shakes` says what becomes of a TLS handshake, `chain` are the certificates it shows. "BDAT" is the answer to
    a chunk, "CONTENT" to the last one; those behind a refused one are answered with 503 until RSET.
    """

    def __init__(self, clock: Clock, **answers: str | list[str]) -> None:
        self.clock = clock
        self.answers: dict[str, list[str]] = {
            step: [given] if isinstance(given, str) else given for step, given in {**USUAL, **answers}.items()
        }
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.transports: list[Transport] = []
        self.gone: list[Transport] = []
        self.shakes = True
        self.chain: list[Any] = []
        self._buffers: dict[Transport, bytes] = {}
        self._in_content: set[Transport] = set()
        self._silent: set[Transport] = set()
        self._chunks: dict[Transport, bytes] = {}
        self._spoiled: set[Transport] = set()

    def accept(self, transport: Transport) -> None:
        self.transports.append(transport)
        self._buffers[transport] = b""
        transport.protocol.makeConnection(transport)
        self.answer(transport, "GREETING")

    @property
    def open(self) -> int:
        return len(self.transports) - len(self.gone)

    def answer(self, transport: Transport, step: str) -> str:
        if transport in self._silent:
            return HANG
        answers = self.answers[step]
        text = answers.pop(0) if len(answers) > 1 else answers[0]
        if text == CLOSE:
            self.clock.callLater(0, transport.lose, ConnectionLost())
        elif text == HANG:
            self._silent.add(transport)
        else:
            self.clock.callLater(0, transport.deliver, f"{text}\r\n".encode())
        return text

    def go_on(self, transport: Transport, text: str) -> None:
        """
        Say what was held back, and answer again.
        """
        self._silent.discard(transport)
        if text.startswith("354"):
            self._in_content.add(transport)
        transport.deliver(f"{text}\r\n".encode())

    def heard(self, transport: Transport, data: bytes) -> None:
        self._buffers[transport] += data
        while not transport.gone and self._step(transport):
            pass

    def _step(self, transport: Transport) -> bool:
        end = b"\r\n.\r\n" if transport in self._in_content else b"\r\n"
        if transport in self._in_content and self._buffers[transport].startswith(b".\r\n"):
            end = b".\r\n"
        line, found, rest = self._buffers[transport].partition(end)
        if not found:
            return False
        if transport not in self._in_content and line.startswith(b"BDAT "):
            return self._chunk(transport, line.decode(), rest)
        self._buffers[transport] = rest
        if transport in self._in_content:
            self._in_content.discard(transport)
            self.contents.append((line + b"\r\n").replace(b"\r\n..", b"\r\n."))
            self.answer(transport, "CONTENT")
            return True
        text = line.decode()
        self.commands.append(text)
        if text == "RSET":
            self._spoiled.discard(transport)
            self._chunks.pop(transport, None)
        if self.answer(transport, text.split(" ")[0]).startswith("354"):
            self._in_content.add(transport)
        return True

    def _chunk(self, transport: Transport, command: str, rest: bytes) -> bool:
        """
        Take a chunk once it is whole.
        """
        _, digits, *last = command.split(" ")
        if len(rest) < int(digits):
            return False
        self.commands.append(command)
        self._buffers[transport] = rest[int(digits) :]
        if transport in self._spoiled and transport not in self._silent:
            self.clock.callLater(0, transport.deliver, b"503 5.5.1 no\r\n")
            return True
        content = self._chunks.pop(transport, b"") + rest[: int(digits)]
        if last:
            self.contents.append(content)
        else:
            self._chunks[transport] = content
        if not self.answer(transport, "CONTENT" if last else "BDAT").startswith("250"):
            self._spoiled.add(transport)
        return True

    def handshake(self, transport: Transport) -> None:
        if self.shakes:
            self.clock.callLater(0, transport.protocol.handshakeCompleted)
        else:
            self.clock.callLater(0, transport.lose, ConnectionLost())

    def verbs(self) -> list[str]:
        return [command.split(" ")[0] for command in self.commands]


@attrs.define
class Connector:
    """
    One try to connect.
    """

    reactor: Reactor
    host: str
    port: int
    factory: Any
    timeout: float
    bind: tuple[str, int] | None
    over: bool = False
    patience: Any = None

    def settle(self) -> None:
        """
        Connect, refuse, or leave it hanging until it times out.
        """
        server = self.reactor.servers.get(f"{self.host}:{self.port}")
        if self.over:
            return
        if server == "hang":
            self.patience = self.reactor.callLater(self.timeout, self.give_up, TimeoutError())
            return
        self.over = True
        if not isinstance(server, Server):
            self.factory.clientConnectionFailed(self, Failure(server or ConnectionRefusedError()))
            return
        kind = Transport if self.port else UnixTransport
        server.accept(kind(self.reactor, self.factory.buildProtocol(None), server))

    def give_up(self, reason: Exception) -> None:
        """
        End without a connection.
        """
        self.over = True
        if self.patience is not None and self.patience.active():
            self.patience.cancel()
        self.factory.clientConnectionFailed(self, Failure(reason))

    def stopConnecting(self) -> None:
        assert not self.over, "stopped after its end"
        self.give_up(UserError())


class Reactor(Clock):
    """
    A clock that connects to `servers`, by "address:port".
    """

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, Server | Exception | str] = {}
        self.connectors: list[Connector] = []

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,  # noqa: N803 Twisted names it
    ) -> Connector:
        connector = Connector(self, host, port, factory, timeout, bindAddress)
        self.connectors.append(connector)
        self.callLater(0, connector.settle)
        return connector

    def connectUNIX(self, path: str, factory: Any, timeout: float = 30) -> Connector:
        return self.connectTCP(path, 0, factory, timeout)

    def run(self, turns: int = 60) -> None:
        """
        Let everything happen that needs no time.
        """
        for _ in range(turns):
            self.advance(0)
