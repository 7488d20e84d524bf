"""
Reports over HTTPS (RFC 8460 §5.4): one POST, to a certified host, no redirect, bounded in time.

Fatal: nothing. Told: whatever keeps the server from taking the report; who asks tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IConsumer, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import URI, Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from empath.interfaces import IResolver
from empath.mail.answer import Answer
from empath.net.certified import CertifiedHost, CertifiedHosts
from empath.policy import mx
from empath.policy.tls_rpt import Web
from empath.report.tls_rpt.writing import MEDIA_TYPE, Report

TIMEOUT: Final = 60.0  # seconds for all of it
CONNECT_TIMEOUT: Final = 20.0
LARGEST: Final = 64 * 1024  # octets of what a server says before its code, and the fields behind that, are whole

_TROUBLE: Final = (ConnectError, ConnectionClosed, ResponseFailed, SSL.Error, OSError)


class Poster:
    """
    Posts reports. `families` are those of the addresses to use, in their order; unless `allow_private`, nothing is sent
    to an address of a private network. `trust_root` is whom certificates are judged by, the system's roots by default.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: IResolver,
        families: Sequence[Literal["ipv6", "ipv4"]],
        allow_private: bool,
        trust_root: Any = None,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._hosts = CertifiedHosts(trust_root)
        self.use(families, allow_private)

    def use(self, families: Sequence[Literal["ipv6", "ipv4"]], allow_private: bool) -> None:
        """
        Use addresses of other families, or of private networks as well, from now on.
        """
        self._rdtypes = [mx.RDTYPES[family] for family in families]
        self._allow_private = allow_private

    def post(self, web: Web, report: Report) -> Deferred[str]:
        """
        Give a report to a server; tells why it was not taken, "" if it was. It fails only if it is cancelled.
        """
        posting: Deferred[str] = Deferred.fromCoroutine(self._post(web, report))
        return posting.addTimeout(TIMEOUT, self._reactor, lambda _, seconds: f"no answer within {seconds:g} s")

    async def _post(self, web: Web, report: Report) -> str:
        address = await self._address(web.host)
        if not address:
            return "it has no address that we would connect to"
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        there = kind(self._reactor, address, web.port, CONNECT_TIMEOUT)
        line = _Line(self._reactor, there, self._hosts.host(web.host))
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, line))
        headers = Headers({"Content-Type": [MEDIA_TYPE], "User-Agent": ["empath"]})
        try:
            response = await client.post(
                web.url, data=_Body(report.content), headers=headers, allow_redirects=False, unbuffered=True
            )
        except _TROUBLE as trouble:
            if isinstance(trouble, ResponseFailed) and any(each.check(CancelledError) for each in trouble.reasons):
                raise CancelledError from trouble
            return f"the answer is larger than {LARGEST} octets" if line.overflown else _words(trouble)
        finally:
            line.close()
        return "" if 200 <= response.code < 300 else f"the answer is {response.code}"

    async def _address(self, host: str) -> str:
        """
        Look up where the server is.
        """
        for rdtype in self._rdtypes:
            asked = self._resolver.lookup(host, rdtype)
            answer = asked if isinstance(asked, Answer) else await asked
            for address in answer.addresses:
                if self._allow_private or mx.is_public(address):
                    return address
        return ""


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Line:
    """
    The one place to go to, whatever the URL; what the server says beside its code is of no interest, so the connection
    is cut once that is known, or once `LARGEST` octets came without it.
    """

    def __init__(self, reactor: Any, there: IStreamClientEndpoint, host: CertifiedHost) -> None:
        self._reactor = reactor
        self._there = there
        self._host = host
        self._protocol: Any = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        It is this one.
        """
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 Twisted names it
        """
        Connect, and begin TLS; as Twisted's `wrapClientTLS`, but with our clock.
        """
        protocolFactory.noisy = False  # type: ignore[attr-defined]  # of Twisted's factories, as this one is
        bounds: Any = _Bounds
        factory = TLSMemoryBIOFactory(self._host, True, bounds(protocolFactory), self._reactor)
        connecting: Deferred[Any] = self._there.connect(factory)
        return connecting.addCallback(self._connected)

    @property
    def overflown(self) -> bool:
        """
        Whether too much came.
        """
        return self._protocol is not None and self._protocol.wrappedProtocol.came > LARGEST

    def close(self) -> None:
        """
        Cut the connection, if there is one.
        """
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.abortConnection()

    def _connected(self, protocol: Any) -> Any:
        self._protocol = protocol
        return protocol.wrappedProtocol.wrappedProtocol


class _Bounded(ProtocolWrapper):
    """
    Passes on what a server says up to `LARGEST` octets, then cuts.
    """

    came = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Count.
        """
        self.came += len(data)
        if self.came > LARGEST:
            self.abortConnection()
        else:
            self.wrappedProtocol.dataReceived(data)


class _Bounds(WrappingFactory):
    protocol = _Bounded
    noisy = False


@implementer(IBodyProducer)
class _Body:
    """
    A body that is written at once: treq's own would be, too, but by the global reactor.
    """

    def __init__(self, content: bytes) -> None:
        self.length = len(content)
        self._content = content

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._content)
        return succeed(None)

    def stopProducing(self) -> None:
        """
        There is nothing to stop.
        """

    def pauseProducing(self) -> None:
        """
        Nor to pause.
        """

    def resumeProducing(self) -> None:
        """
        Nor to resume.
        """


def _words(trouble: BaseException) -> str:
    if isinstance(trouble, ResponseFailed) and trouble.reasons:
        return _words(trouble.reasons[0].value)
    if isinstance(trouble, SSL.Error):
        queue: Any = trouble.args[0] if trouble.args else None
        return f"TLS failed: {queue[-1][-1]}" if isinstance(queue, list) and queue else "TLS failed"
    return str(trouble) or type(trouble).__name__
