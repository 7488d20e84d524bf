"""
Listeners behind a proxy: who is listed speaks for its clients with a PROXY header, and nobody else.

Fatal to the connection: a listed proxy whose header is missing, malformed or late; it is closed, with a log line. A
proxy that connects and goes away without a word (a health check) is no trouble.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import implementer

from empath.policy.relay import UNIX
from empath.receive.proxy_header import Header, Malformed, read_header
from empath.receive.sessions import Sessions, peer_of

if TYPE_CHECKING:
    from twisted.python.failure import Failure

PATIENCE: Final = 5.0  # seconds for the whole header

log = Logger()

Listed = Callable[[str], bool]


@implementer(IProtocolFactory)
class ProxyFactory:
    """
    Makes sessions with the client that a header names. `listed` tells of a peer (IP address as text, or "unix") whether
    it may, and must, send one; it may be replaced.

    `clients` makes the sessions. `strangers` makes those of whoever a proxy cannot name: they have the proxy's own
    address, and must be trusted with nothing because of it.
    """

    def __init__(
        self,
        clients: IProtocolFactory,
        strangers: IProtocolFactory,
        listed: Listed,
        sessions: Sessions,
        clock: IReactorTime,
    ) -> None:
        self.clients = clients
        self.strangers = strangers
        self.listed = listed
        self.sessions = sessions
        self.clock = clock

    def doStart(self) -> None:
        """
        A port listens for us: nothing to do.
        """

    def doStop(self) -> None:
        """
        The port is closed: its sessions go on.
        """

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """
        Await the header of a listed proxy; begin the session of everyone else.
        """
        host = getattr(addr, "host", None)
        peer = UNIX if host is None else peer_of(host)[0]
        if not self.listed(peer):
            return self.clients.buildProtocol(addr)
        if self.sessions.full() is not None:
            return self.strangers.buildProtocol(addr)  # which refuses, whoever it would have been
        return AwaitedHeader(self, peer, addr)


class AwaitedHeader(Protocol):
    """
    A proxy's connection up to the end of its header; then the session takes its place at the transport.
    """

    transaction_began = inf  # there is none before the session

    def __init__(self, factory: ProxyFactory, peer: str, addr: IAddress) -> None:
        self._proxy = factory
        self._peer = peer
        self._addr = addr
        self._received = b""
        self._over = False
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Count it in, so that a stop ends it and many of them are too many; the clock runs.
        """
        self._proxy.sessions.join(self, f"proxy {self._peer}")
        self._timer = self._proxy.clock.callLater(PATIENCE, self._late)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the header.
        """
        if self._over:
            return
        self._received += data
        match read_header(self._received):
            case Malformed(reason):
                self._refuse(reason)
            case Header() as header:
                self._begin(header)
            case None:
                pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        The proxy is gone.
        """
        if self._received and not self._over:
            self._log("it closed the connection within its PROXY header")
        self._leave()

    def drain(self) -> None:
        """
        End at once: nothing has begun.
        """
        self._over = True
        if self.transport is not None:
            self.transport.loseConnection()

    abandon = drain

    def abort(self) -> None:
        """
        Cut the connection.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def _begin(self, header: Header) -> None:
        """
        Put the session in our place; what came behind the header is its first input, or that of TLS before it.
        """
        self._over = True
        self._leave()
        if header.client is None:
            session = self._proxy.strangers.buildProtocol(self._addr)
        else:
            host, port = header.client
            address = IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)
            session = self._proxy.clients.buildProtocol(address)
        transport: Any = self.transport
        if session is None:
            transport.loseConnection()
            return
        transport.protocol = session
        session.makeConnection(transport)
        if rest := self._received[header.length :]:
            transport.protocol.dataReceived(rest)  # startTLS may have put TLS there

    def _late(self) -> None:
        self._refuse(f"no whole PROXY header within {PATIENCE:g} s")

    def _refuse(self, why: str) -> None:
        self._log(why)
        self.drain()

    def _leave(self) -> None:
        """
        Count it out, once.
        """
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
            self._proxy.sessions.leave(self, f"proxy {self._peer}")

    def _log(self, why: str) -> None:
        log.warn("connection from the proxy {peer} closed: {why}", peer=self._peer, why=why)
