"""
The pages that monitoring asks for, over twisted.web: `/metrics`, `/health/…`, and what else it is given.

Fatal: an endpoint that cannot be bound (`HttpService.bind` raises). A page that fails is a bug: logged, told as 500.
A page that is late is told as 503; a client that is gone is ignored.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from empath.observe.web.channel import REQUEST_TIME, MonitoringSite
from empath.observe.web.page import Answer, Asked, Page, Pages, Stream, text
from empath.observe.web.streams import Streams

log = Logger()

BOUND: Final = 0.95  # seconds after which a page is given up: the contract promises an answer within one
BOUNDS: Final[Mapping[bytes, float]] = MappingProxyType({b"/metrics": 9.0})  # of long pages: Prometheus waits for 10 s
_FILES: Final = re.compile(r":(certKey|privateKey)=((?:[^:\\]|\\.)*)")  # of an endpoint, as Twisted writes them
USUAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server": "empath",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
)


class _Root(Resource):
    """
    Answers GET and HEAD for exact paths, and nothing else.
    """

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(
        self, pages: Pages, streams: Streams, clock: IReactorTime, is_local: Callable[[IAddress], bool]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's
        self._is_local = is_local
        self._pages = pages
        self._streams = streams
        self._clock = clock

    def render(self, request: Request) -> int:
        answer = self._answer(request)
        if not isinstance(answer, Deferred):
            self._send(request, answer)
            return NOT_DONE_YET
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        answer.addTimeout(BOUNDS.get(request.path, BOUND), self._clock)
        answer.addErrback(_trouble)
        answer.addCallback(lambda page: None if gone else self._send(request, page))
        return NOT_DONE_YET

    def _answer(self, request: Request) -> Answer | Deferred[Page]:
        ask = self._pages.get(request.path)
        if ask is None:
            return text(404, "Not Found")
        if request.method not in (b"GET", b"HEAD"):
            return text(405, "Method Not Allowed", allow="GET, HEAD")
        try:
            return ask(_asked(request, self._is_local(request.getClientAddress())))
        except Exception:
            return _trouble(Failure())

    def _send(self, request: Request, answer: Answer) -> None:
        try:
            self._write(request, answer)
        except Exception:
            log.failure("a page could not be sent")

    def _write(self, request: Request, answer: Answer) -> None:
        if isinstance(answer, Stream) and self._streams.full:
            answer = text(503, "Too Many Streams", retry_after="30")
        if isinstance(answer, Page):
            _write_head(request, answer.code, answer.content_type, answer.headers)
            request.setHeader(b"content-length", str(len(answer.body)).encode())
            if request.method != b"HEAD":
                request.write(answer.body)
            request.finish()
            return
        _write_head(request, 200, answer.content_type, answer.headers)
        request.write(b"")  # the head goes out now: the client knows that it is connected
        if request.method == b"HEAD":
            request.finish()
        else:
            self._streams.begin(request, answer)


def _asked(request: Request, is_local: bool) -> Asked:
    def field(name: str) -> str:
        return ",".join(request.requestHeaders.getRawHeaders(name, []))

    return Asked(
        path=request.path.decode("latin-1"),
        accept=field("accept"),
        accept_encoding=field("accept-encoding"),
        authorization=field("authorization"),
        host=field("host"),
        is_local=is_local,
    )


def _is_local(client: IAddress) -> bool:
    """
    Tell whether an address is of this machine; IPv6 sockets take IPv4 clients by mapped addresses (RFC 4291 §2.5.5.2).
    """
    if isinstance(client, UNIXAddress):
        return True
    if not isinstance(client, IPv4Address | IPv6Address):
        return False
    try:
        address = ipaddress.ip_address(client.host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _trouble(failure: Failure) -> Page:
    if failure.check(TimeoutError, CancelledError):
        return text(503, "Timed Out")
    log.failure("a page could not be made", failure)
    return text(500, "Internal Server Error")


def _write_head(request: Request, code: int, content_type: str, headers: Mapping[str, str]) -> None:
    request.setResponseCode(code, HTTPStatus(code).phrase.encode())
    for name, value in {**USUAL, "content-type": content_type, **headers}.items():
        request.setHeader(name.encode(), value.encode())


class HttpService:
    """
    Serves `pages` on one endpoint, from `bind` to `stop`.
    """

    def __init__(self, reactor: IReactorTime, endpoint: str, pages: Pages) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self.streams = Streams(reactor)
        claimed = endpoint.startswith("haproxy:")  # the client tells its address there, and could tell any
        root = _Root(pages, self.streams, reactor, (lambda client: False) if claimed else _is_local)
        self._site = MonitoringSite(root, timeout=REQUEST_TIME, reactor=reactor, parsePOSTFormSubmission=False)
        self._port: IListeningPort | None = None
        self._certificate: Any = None

    @property
    def certificate(self) -> tuple[str, float] | None:
        """
        The file of the certificate that an endpoint of `ssl:` serves, and when it ends, in seconds since the epoch;
        None of other endpoints. Twisted reads the file once, when it is bound.
        """
        if self._port is None or self._certificate is None:
            return None
        files = dict(_FILES.findall(self._endpoint))
        ends = self._certificate.to_cryptography().not_valid_after_utc.timestamp()
        return files.get("certKey") or files.get("privateKey") or "server.pem", ends

    @property
    def port(self) -> IListeningPort | None:
        """
        The bound port, None before `bind` and after `stop`.
        """
        return self._port

    def bind(self) -> None:
        """
        Listen; raises what the endpoint raises (CannotListenError: the port is busy). For `privilegedStartService`.
        """
        endpoint = serverFromString(self._reactor, self._endpoint)
        self._certificate = getattr(getattr(endpoint, "_sslContextFactory", None), "certificate", None)
        listening = endpoint.listen(self._site)
        failures: list[Failure] = []
        listening.addCallbacks(self._bound, failures.append)
        if failures:
            failures[0].raiseException()
        if self._port is None:
            raise ValueError(f"{self._endpoint}: an endpoint of this kind does not listen at once")

    def _bound(self, port: IListeningPort) -> None:
        self._port = port

    def stop(self) -> Deferred[None]:
        """
        Accept no more connections, end streams and what waits for a request; others end after their answer.
        """
        self._site.close()
        self.streams.end()
        port, self._port = self._port, None
        stopped: Deferred[None] = succeed(None)
        return stopped if port is None else stopped.addCallback(lambda _: port.stopListening())
