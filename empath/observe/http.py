"""
The few pages that monitoring asks for, over twisted.web: `/metrics`, `/health/live`, `/health/ready`.

Fatal: an endpoint that cannot be bound (`HttpService.bind` raises). A page that fails is a bug: logged, told as 500.
A page that is late is told as 503; a client that is gone is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from empath.interfaces import InThread
from empath.observe.exposition import Exposition
from empath.observe.health import Findings, Readiness

log = Logger()

BOUND: Final = 0.95  # seconds after which a page is given up: the contract promises an answer within one
IDLE: Final = 15.0  # seconds for which a connection may say nothing
_TEXT: Final = "text/plain; charset=utf-8"


@attrs.frozen(slots=True)
class Page:
    """
    What a request is answered with.
    """

    code: int
    content_type: str
    body: bytes


Pages = Mapping[bytes, Callable[[str], "Deferred[Page]"]]
"""
For each path, what makes its page of the request's Accept header.
"""


def metrics_pages(exposition: Exposition, in_thread: InThread[tuple[str, bytes]]) -> Pages:
    """
    Make `/metrics`. Gauges are read here; the page, long with a thousand domains, is written in a thread.
    """

    def metrics(accept: str) -> Deferred[Page]:
        readings = exposition.read()
        writing = in_thread(lambda: exposition.page(readings, accept))
        return writing.addCallback(lambda written: Page(200, *written))

    return {b"/metrics": metrics}


def health_pages(readiness: Readiness) -> Pages:
    """
    Make `/health/live`, `/health/ready`, and `/health`, which is the first of them.
    """

    def live(accept: str) -> Deferred[Page]:
        return succeed(Page(200, _TEXT, b"OK"))

    def ready(accept: str) -> Deferred[Page]:
        return readiness.look().addCallback(_readiness_page)

    return {b"/health": live, b"/health/live": live, b"/health/ready": ready}


def _readiness_page(found: Findings) -> Page:
    if found.ready:
        return Page(200, _TEXT, b"OK")
    return Page(503, "application/json", json.dumps(attrs.asdict(found)).encode() + b"\n")


class _Root(Resource):
    """
    Answers GET and HEAD for exact paths, and nothing else.
    """

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, pages: Pages, clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's
        self._pages = pages
        self._clock = clock

    def render(self, request: Request) -> int:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        making = self._make(request)
        making.addTimeout(BOUND, self._clock)
        making.addErrback(_trouble)
        making.addCallback(lambda page: None if gone else _answer(request, page))
        making.addErrback(lambda failure: log.failure("a page could not be sent", failure))
        return NOT_DONE_YET

    def _make(self, request: Request) -> Deferred[Page]:
        page = self._pages.get(request.path)
        if page is None:
            return succeed(Page(404, _TEXT, b"Not Found\n"))
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return succeed(Page(405, _TEXT, b"Method Not Allowed\n"))
        accept = ",".join(request.requestHeaders.getRawHeaders("accept", []))
        try:
            return page(accept)
        except Exception:
            failed: Deferred[Page] = Deferred()
            failed.errback(Failure())
            return failed


def _trouble(failure: Failure) -> Page:
    if failure.check(TimeoutError, CancelledError):
        return Page(503, _TEXT, b"Timed Out\n")
    log.failure("a page could not be made", failure)
    return Page(500, _TEXT, b"Internal Server Error\n")


def _answer(request: Request, page: Page) -> None:
    request.setResponseCode(page.code)
    request.setHeader(b"server", b"empath")
    request.setHeader(b"content-type", page.content_type.encode())
    request.setHeader(b"content-length", str(len(page.body)).encode())
    request.setHeader(b"cache-control", b"no-store")
    if request.method != b"HEAD":
        request.write(page.body)
    request.finish()


class MonitoringSite(Site):
    """
    A site that writes no access log, not even to Twisted's own log, and needs no clock of its own for it.
    """

    noisy = False

    def startFactory(self) -> None:  # the base's opens the log and ticks once a second
        pass

    def stopFactory(self) -> None:
        pass

    def log(self, request: HttpRequest) -> None:
        pass


class HttpService:
    """
    Serves `pages` on one endpoint, from `bind` to `stop`.
    """

    def __init__(self, reactor: IReactorTime, endpoint: str, pages: Pages) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        root = _Root(pages, reactor)
        self._site = MonitoringSite(  # type: ignore[no-untyped-call]  # Twisted's
            root, timeout=IDLE, reactor=reactor, parsePOSTFormSubmission=False
        )
        self._port: IListeningPort | None = None

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
        listening = serverFromString(self._reactor, self._endpoint).listen(self._site)
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
        Accept no more connections; open ones end by themselves within IDLE seconds.
        """
        port, self._port = self._port, None
        stopped: Deferred[None] = succeed(None)
        return stopped if port is None else stopped.addCallback(lambda _: port.stopListening())
