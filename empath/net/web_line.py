"""
The connection of one request over HTTPS: to one of the addresses that our own resolver told, TLS from the first octet
on, and cut when too much comes.

Retried: an address that cannot be reached, on the next one. Everything else ends the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionDone, NoRouteError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from empath.net.certified import CertifiedHost

CONNECT_TIMEOUT: Final = 10.0  # seconds for each address

TROUBLE: Final = (ConnectError, ConnectionClosed, ResponseFailed, SSL.Error, OSError)
"""
What a request fails with for the peer's sake.
"""


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class Line:
    """
    Connects once, for whatever URL Twisted's web client wants, to `port` at `addresses` in their order, and begins TLS
    with `host`. `most` octets may come in all. Whoever made it calls `close` in the end.
    """

    def __init__(self, reactor: Any, addresses: Sequence[str], port: int, host: CertifiedHost, most: int) -> None:
        self.host = host
        self.most = most
        self.overflown = False
        self.cut = False
        self._reactor = reactor
        self._addresses = addresses
        self._port = port
        self._carrier: _Carrier | None = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        There is one place to go to.
        """
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 Twisted names it
        """
        Connect; tells the protocol that `protocolFactory` made.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    def close(self) -> None:
        """
        Cut the connection, if there still is one.
        """
        if self._carrier is not None:
            self._carrier.close()

    def trouble(self, trouble: Exception) -> str:
        """
        Say what went wrong, one of `TROUBLE`; raises CancelledError where it is only that nobody waits any more.
        """
        if isinstance(trouble, ResponseFailed) and any(each.check(CancelledError) for each in trouble.reasons):
            raise CancelledError from trouble
        if self.host.fault:
            return self.host.fault
        return f"the answer is larger than {self.most} octets" if self.overflown else _words(trouble)

    async def _connect(self, factory: IProtocolFactory) -> Any:
        trouble: Exception = NoRouteError("no address")
        for address in self._addresses:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                carrier: Any = await kind(self._reactor, address, self._port, CONNECT_TIMEOUT).connect(
                    _Carriers(self, factory)
                )
            except (ConnectError, OSError) as failure:
                trouble = failure
                continue
            self._carrier = carrier
            return carrier.within
        raise trouble


class _Carriers(Factory):
    """
    Makes the carrier of one connection.
    """

    noisy = False

    def __init__(self, line: Line, factory: IProtocolFactory) -> None:
        self._line = line
        self._factory = factory

    def buildProtocol(self, addr: Any) -> _Carrier:
        """
        Make it, around the protocol that is wanted.
        """
        return _Carrier(self._line, self._factory.buildProtocol(addr))


class _Carrier(Protocol):
    """
    Carries `within` over TLS, and counts.
    """

    def __init__(self, line: Line, within: Any) -> None:
        self.within = within
        self._line = line
        self._came = 0

    def connectionMade(self) -> None:
        """
        Begin TLS; what `within` writes goes out after the handshake.
        """
        transport: Any = self.transport
        transport.startTLS(self._line.host)
        self.within.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on what came, unless it is too much.
        """
        self._came += len(data)
        if self._came <= self._line.most:
            self.within.dataReceived(data)
        elif not self._line.overflown:
            self._line.overflown = True
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end; without TLS's own end to it (close_notify) something may be missing before it.
        """
        self._line.cut = reason.check(ConnectionDone) is None
        self.within.connectionLost(reason)

    def close(self) -> None:
        """
        Cut; harmless when repeated.
        """
        transport: Any = self.transport
        transport.abortConnection()


def _words(trouble: BaseException) -> str:
    if isinstance(trouble, ResponseFailed) and trouble.reasons:
        return _words(trouble.reasons[0].value)
    if isinstance(trouble, SSL.Error):
        queue: Any = trouble.args[0] if trouble.args else None
        return f"TLS failed: {queue[-1][-1]}" if isinstance(queue, list) and queue else "TLS failed"
    return str(trouble) or type(trouble).__name__
