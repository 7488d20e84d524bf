"""
The ways to a syslog server: datagrams, or a connection.
"""

from __future__ import annotations

import errno
import socket
from functools import partial
from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as Connected
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.interfaces import InThread
from empath.net.certified import CertifiedHosts

PORTS: Final = {"udp": 514, "tcp": 514, "tls": 6514}
MOST_DATAGRAM, HANDSHAKE = 65_000, 30.0  # octets, seconds


@attrs.frozen(slots=True)
class Target:
    """
    Where to: `kind` is "unix", "udp", "tcp" or "tls"; `path` that of a UNIX socket.
    """

    kind: str
    host: str = ""
    port: int = 0
    path: str = ""


def target_of(address: str) -> Target:
    """
    Read "unix:/dev/log", "udp:host:port", "tcp:[2001:db8::1]:514"; without a port, the usual one. ValueError if it is
    none of these.
    """
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Target(kind, path=rest)
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if kind not in PORTS or not _is_name(host) or not 0 < (int(port) if port.isdecimal() else not port) < 65536:
        raise ValueError(f"syslog.address: {address!r} is no unix:/path, udp:host:port, tcp:host:port or tls:host:port")
    return Target(kind, host, int(port or PORTS[kind]))


def _is_name(host: str) -> bool:
    """
    Tell whether a host may be looked up under this name.
    """
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


class Sender(Protocol):
    """
    Who has something to send.
    """

    def opened(self) -> None:
        """
        The way is open.
        """

    def failed(self, why: str) -> None:
        """
        The way is not open, or no more.
        """

    def full(self) -> None:
        """
        The way takes no more for a moment.
        """

    def too_long(self) -> None:
        """
        A message does not fit.
        """

    def go(self) -> None:
        """
        The way takes more again.
        """


class Datagrams:
    """
    One datagram a record, to one address of the server's: the next one after a failure.
    """

    def __init__(self, reactor: Any, in_thread: InThread[Any], target: Target, sink: Sender) -> None:
        self._in_thread = in_thread
        self._target = target
        self._sink = sink
        self._socket: socket.socket | None = None
        self._turn = 0
        self._closed = False

    @property
    def usable(self) -> bool:
        """
        Whether it takes a message now.
        """
        return self._socket is not None

    def open(self) -> None:
        """
        Try to reach the server.
        """
        if self._target.kind == "unix":
            self._connect([(socket.AF_UNIX, socket.SOCK_DGRAM, 0, "", self._target.path)])
            return
        asked = partial(socket.getaddrinfo, self._target.host, self._target.port, type=socket.SOCK_DGRAM)
        self._in_thread(asked).addCallbacks(self._connect, lambda failure: self._lost(failure.getErrorMessage()))

    def put(self, message: bytes) -> bool:
        """
        Send a message; tells whether that was possible.
        """
        if self._socket is None:
            return False
        if len(message) > MOST_DATAGRAM:
            self._sink.too_long()
            return True
        try:
            self._socket.send(message)
        except BlockingIOError:
            self._sink.full()
            return False
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._sink.too_long()
                return True
            self._lost(error.strerror or str(error))
            return False
        return True

    def close(self) -> None:
        """
        Let go of the server for good.
        """
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, found: Any) -> None:
        if self._closed:
            return
        family, kind, _, _, address = found[self._turn % len(found)]
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            self._lost(error.strerror or str(error))
            return
        self._socket = made
        self._sink.opened()

    def _lost(self, why: str) -> None:
        self._let_go()
        self._turn += 1
        self._sink.failed(f"{self._target.path or self._target.host}: {why}")


class Stream:
    """
    A connection, over TLS or not.
    """

    def __init__(self, reactor: Any, target: Target, trust_root: Any, sink: Sender) -> None:
        self._reactor = reactor
        self._hosts = CertifiedHosts(trust_root) if target.kind == "tls" else None
        self._target = target
        self.sink = sink
        self._connecting: Deferred[Any] | None = None
        self._connected: _Connection | None = None
        self._shaking: _Connection | None = None
        self._bound: IDelayedCall | None = None

    @property
    def usable(self) -> bool:
        """
        Whether it takes a message now.
        """
        return self._connected is not None and not self._connected.paused

    def open(self) -> None:
        """
        Try to reach the server.
        """
        name = self._target.host.encode("idna")
        endpoint: Any = HostnameEndpoint(self._reactor, name, self._target.port)
        if self._hosts is not None:
            endpoint = wrapClientTLS(self._hosts.host(name.decode()), endpoint)
        self._connecting = endpoint.connect(Factory.forProtocol(partial(_Connection, self)))
        self._connecting.addErrback(lambda failure: self.gone(failure.getErrorMessage()))

    def put(self, message: bytes) -> bool:
        """
        Send a message; tells whether that was possible.
        """
        if self._connected is None:
            return False
        self._connected.transport.write(b"%d %b" % (len(message), message))
        return True

    def close(self) -> None:
        """
        Let go of the server.
        """
        if self._connected is not None:
            self._connected.transport.loseConnection()
        elif self._shaking is not None:
            self._shaking.transport.abortConnection()
        elif self._connecting is not None:
            self._connecting.cancel()

    def here(self, connection: _Connection) -> None:
        """
        The connection is made. Over TLS nothing goes before the server has proved its name.
        """
        self._connecting = None
        self._shaking = connection
        self._bound = self._reactor.callLater(HANDSHAKE, connection.give_up)
        if self._hosts is None:
            self.proved(connection)

    def proved(self, connection: _Connection) -> None:
        """
        Records may go.
        """
        self._no_bound()
        self._shaking, self._connected = None, connection
        self.sink.opened()

    def gone(self, why: str) -> None:
        """
        There is no connection.
        """
        self._no_bound()
        self._connecting = self._connected = self._shaking = None
        self.sink.failed(f"{self._target.host}:{self._target.port}: {why}")

    def _no_bound(self) -> None:
        if self._bound is not None and self._bound.active():
            self._bound.cancel()


@implementer(IPushProducer, IHandshakeListener)
class _Connection(Connected):
    transport: Any

    def __init__(self, way: Stream) -> None:
        self._way = way
        self._late = False
        self.paused = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.transport.setTcpKeepAlive(True)
        self._way.here(self)

    def handshakeCompleted(self) -> None:
        self._way.proved(self)

    def give_up(self) -> None:
        self._late = True
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._way.gone("the handshake takes too long" if self._late else reason.getErrorMessage())

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self._way.sink.go()

    def stopProducing(self) -> None:
        self.paused = True
