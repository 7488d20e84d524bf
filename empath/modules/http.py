"""
HTTP for modules: one request, one answer, within a time and a size. Whatever goes wrong on the way is an answer, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IConsumer, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from empath.interfaces import IServices

TROUBLE: Final = (ConnectError, ConnectionClosed, ResponseFailed, OSError)  # a look-up's failure is an OSError
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(slots=True)
class HttpAnswer:
    """
    What came of a request: the status `code` and the `body`. Where there was no answer `code` is 0, and `trouble` tells
    the operator why.
    """

    code: int
    body: bytes = b""
    trouble: str = ""


class HttpClient:
    """
    Makes requests for a module, which hands in the services that it was started with.

    An answer has `timeout` seconds, from the connection to the body's end, and a body of at most `largest` octets. Each
    request has a connection of its own. Redirects are not followed. Certificates of https:// are verified.
    """

    def __init__(self, services: IServices, timeout: float = 5.0, largest: int = 65_536) -> None:
        self._clock = services.clock
        self._timeout = timeout
        self._largest = largest
        self._agent: Any = Agent.usingEndpointFactory(self._clock, _Endpoints(services))

    def get(
        self, url: str, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> Deferred[HttpAnswer]:
        """
        Ask with GET; `query` is encoded, and put behind the URL.
        """
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url
        return self.request("GET", asked, b"", headers)

    def post(self, url: str, body: bytes, headers: Mapping[str, str] = NOTHING) -> Deferred[HttpAnswer]:
        """
        Send with POST.
        """
        return self.request("POST", url, body, headers)

    def request(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = NOTHING
    ) -> Deferred[HttpAnswer]:
        """
        Make a request. It never fails for what others do; ValueError for a URL that is none.
        """
        raw = checked_url(url).encode("ascii")
        fields = Headers({name: [value] for name, value in headers.items()})
        exchange = self._exchange(method.encode("ascii"), raw, fields, _Body(body) if body else None)
        return Deferred.fromCoroutine(exchange).addTimeout(self._timeout, self._clock, _late)

    async def _exchange(self, method: bytes, url: bytes, fields: Headers, body: Any) -> HttpAnswer:
        try:
            response = await self._agent.request(method, url, fields, body)
            reading = _Reading(self._largest)
            response.deliverBody(reading)
            return HttpAnswer(response.code, await reading.whole)
        except TROUBLE as trouble:
            return HttpAnswer(0, trouble=_told(trouble))


def checked_url(url: str) -> str:
    """
    Give back the URL of an option if a request can be made to it; ValueError, which belongs into the constructor.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        raise ValueError(f"found {url!r}; allowed: a URL that begins with http:// or https://")
    return url


def _late(_: object, seconds: float) -> HttpAnswer:
    return HttpAnswer(0, trouble=f"no answer within {seconds:g} s")


def _told(trouble: Exception) -> str:
    reasons = trouble.reasons if isinstance(trouble, ResponseFailed) else []
    return "; ".join(each.getErrorMessage() for each in reasons) or str(trouble) or type(trouble).__name__


class _Reading(Protocol):
    """
    Reads a body up to a size; `whole` fires with it.
    """

    def __init__(self, largest: int) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._largest = largest
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a piece, unless it is too much.
        """
        self._size += len(data)
        if self._size <= self._largest:
            self._pieces.append(data)
            return
        self._pieces.clear()
        if not self.whole.called:
            self._abort()
            self.whole.errback(ConnectionClosed(f"an answer of more than {self._largest} octets"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended, or will never.
        """
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):  # the latter: neither length nor chunks, the end was the end
            self.whole.callback(b"".join(self._pieces))
        else:
            self.whole.errback(reason)

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            getattr(transport, "abortConnection", transport.loseConnection)()


@implementer(IBodyProducer)
class _Body:
    """
    The body of a request, in one piece.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It is written already.
        """

    resumeProducing = stopProducing = pauseProducing  # noqa: N815 Twisted names them


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Lets Twisted's client connect as modules do, so that a test of theirs needs no network.
    """

    def __init__(self, services: IServices) -> None:
        self._services = services

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        Tell how to reach a server.
        """
        kind = "tls" if uri.scheme == b"https" else "tcp"
        return _Endpoint(self._services, f"{kind}:{quoteStringArgument(uri.host.decode('ascii'))}:{uri.port}")


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """
    One server.
    """

    def __init__(self, services: IServices, endpoint: str) -> None:
        self._services = services
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 Twisted names it
        """
        Connect.
        """
        factory: Any = protocolFactory
        factory.noisy = False  # no log lines for each connection
        connected: Deferred[Any] = self._services.connect(self._endpoint, factory)
        return connected
