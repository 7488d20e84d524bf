"""
The connection of a request: to one of the addresses that our own resolver told, for HTTPS with TLS from the first octet
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
from twisted.internet.interfaces import IHandshakeListener, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, RequestTransmissionFailed, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from empath.net.certified import CertifiedHost

CONNECT_TIMEOUT: Final = 10.0  # seconds for each address

TROUBLE: Final = (ConnectError, ConnectionClosed, RequestTransmissionFailed, ResponseFailed, SSL.Error, OSError)
"""
What a request fails with for the peer's sake.
"""


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class Line:
    """
    Connects once, for whatever URL Twisted's web client wants, to `port` at `addresses` in their order, `patience`
    seconds each, and begins TLS with `host` (None: plain HTTP). `most` octets may come in all, or, where the connection
    is kept, for each request. Whoever made it calls `close` in the end, unless it is kept. `ready` tells that what is
    written reaches the server: TLS has begun, or there is to be none.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Sequence[str],
        port: int,
        host: CertifiedHost | None,
        most: int,
        patience: float = CONNECT_TIMEOUT,
    ) -> None:
        self.host = host
        self.most = most
        self.overflown = False
        self.cut = False
        self.ready = False
        self._reactor = reactor
        self._addresses = addresses
        self._port = port
        self._patience = patience
        self._carrier: _Carrier | None = None

    @property
    def fault(self) -> str:
        """
        Why the host's certificate was refused, "" if it was not.
        """
        return "" if self.host is None else self.host.fault

    @property
    def connected(self) -> bool:
        """
        Whether a connection was made; a request may have found a kept one instead.
        """
        return self._carrier is not None

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
        if any(each.check(CancelledError) for each in _reasons(trouble)):
            raise CancelledError from trouble
        if self.fault:
            return self.fault
        return f"the answer is larger than {self.most} octets" if self.overflown else _words(trouble)

    async def _connect(self, factory: IProtocolFactory) -> Any:
        trouble: Exception = NoRouteError("no address")
        for address in self._addresses:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                carrier: Any = await kind(self._reactor, address, self._port, self._patience).connect(
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


@implementer(IHandshakeListener)
class _Carrier(Protocol):
    """
    Carries `within` over TLS or in the clear, and counts.
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
        if self._line.host is not None:
            transport.startTLS(self._line.host)
        else:
            self._line.ready = True
        self.within.makeConnection(transport)

    def handshakeCompleted(self) -> None:
        """
        TLS has begun.
        """
        self._line.ready = True

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on what came, unless it is too much.
        """
        room = self._line.most - self._came
        self._came += len(data)
        if room > 0:
            self.within.dataReceived(data[:room])
        if len(data) > room:
            self._overflow()
        elif self.within.state == "QUIESCENT":  # the answer is whole
            self._came = 0

    def _overflow(self) -> None:
        if not self._line.overflown:
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


def _reasons(trouble: BaseException) -> list[Failure]:
    """
    Tell what is behind a failed request.
    """
    return list(trouble.reasons) if isinstance(trouble, (RequestTransmissionFailed, ResponseFailed)) else []


def _words(trouble: BaseException) -> str:
    for reason in _reasons(trouble):
        return _words(reason.value or trouble)
    if isinstance(trouble, SSL.Error):
        queue: Any = trouble.args[0] if trouble.args else None
        return f"TLS failed: {queue[-1][-1]}" if isinstance(queue, list) and queue else "TLS failed"
    return str(trouble).removesuffix(".") or type(trouble).__name__
