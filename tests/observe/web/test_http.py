from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.observe.health import Readiness
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.scrapes import Scrapes
from empath.observe.metrics.totals import Metrics
from empath.observe.web.channel import MOST_CONNECTIONS, MOST_CONTENT, REQUEST_TIME
from empath.observe.web.health_pages import health_pages
from empath.observe.web.http import BOUND, HttpService
from empath.observe.web.page import Asked, Feed, Page, Pages, Stream, text
from empath.observe.web.streams import MOST, MOST_UNSENT, SLOWEST
from tests.observe.metrics.test_totals import gauges
from tests.observe.test_health import Service

ENDPOINT = "tcp:8080:interface=127.0.0.1"


class Answer:
    """
    A response, taken apart.
    """

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.code = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Busy(MemoryReactorClock):
    """
    A reactor whose ports are all taken.
    """

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        raise CannotListenError(interface, port, OSError("in use"))


def paused(transport: StringTransport) -> None:
    """
    Tell who writes that the transport is full.
    """
    producer = transport.producer
    assert producer is not None
    producer.pauseProducing()


def resumed(transport: StringTransport) -> None:
    """
    Tell who writes that the transport is empty.
    """
    producer = transport.producer
    assert producer is not None
    producer.resumeProducing()


class HttpCase(SynchronousTestCase):
    def pages(self) -> Pages:
        return {}

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.http = HttpService(self.reactor, ENDPOINT, self.pages())
        self.http.bind()
        self.addCleanup(self.http.stop)

    def connect(self, peer: Any = None) -> tuple[Any, StringTransport]:
        [(_, factory, _, _)] = self.reactor.tcpServers
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        transport = StringTransport(peerAddress=peer)
        assert protocol is not None
        protocol.makeConnection(transport)
        return protocol, transport

    def ask(self, path: str, method: str = "GET", headers: str = "") -> Answer:
        protocol, transport = self.connect()
        protocol.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        self.after_asking()
        answer = Answer(transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))
        return answer

    def after_asking(self) -> None:
        """
        What happens before the answer is looked at.
        """


class HealthPagesTests(HttpCase):
    def pages(self) -> Pages:
        self.service = Service()
        self.readiness = Readiness(schema.Health(), self.service.checks(), MemoryReactorClock())
        return health_pages(self.readiness)

    def test_live_is_ok_on_both_paths(self) -> None:
        for path in ("/health", "/health/live", "/health/live?verbose=1"):
            answer = self.ask(path)
            self.assertEqual((answer.code, answer.body), (200, b"OK"))

    def test_ready_is_ok(self) -> None:
        answer = self.ask("/health/ready")
        self.assertEqual((answer.code, answer.body), (200, b"OK"))

    def test_not_ready_is_503_with_the_contracts_keys(self) -> None:
        self.service.answers["spool"] = False
        answer = self.ask("/health/ready")
        self.assertEqual((answer.code, answer.headers["content-type"]), (503, "application/json"))
        self.assertEqual(
            list(json.loads(answer.body)),
            [
                "alive",
                "ready",
                "smtp_ready",
                "spool_ready",
                "delivery_ready",
                "dns_ready",
                "disk_ready",
                "shutting_down",
                "queue_size",
                "max_queue_size",
            ],
        )

    def test_head_has_the_headers_and_no_body(self) -> None:
        answer = self.ask("/health/live", "HEAD")
        self.assertEqual((answer.code, answer.headers["content-length"], answer.body), (200, "2", b""))

    def test_other_paths_are_404(self) -> None:
        for path in (
            "/",
            "/metrics",
            "/health/",
            "/health/live/",
            "/health/detail",
            "//health",
            "/%68ealth/../etc/passwd",
        ):
            self.assertEqual(self.ask(path).code, 404, path)

    def test_other_methods_are_405_and_say_what_is_allowed(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer = self.ask("/health/live", method, "Content-Length: 0\r\n")
            self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_nothing_is_cached_on_the_way_and_the_software_is_not_told(self) -> None:
        answer = self.ask("/health/live")
        self.assertEqual((answer.headers["cache-control"], answer.headers["server"]), ("no-store", "empath"))

    def test_several_requests_may_use_one_connection(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        self.assertEqual(transport.value().count(b"200 OK"), 2)
        protocol.connectionLost(Failure(ConnectionDone()))


class MetricsPageTests(HttpCase):
    def pages(self) -> Pages:
        section = schema.Metrics()
        exposition = Exposition(section, Metrics(section), gauges())
        return Scrapes(exposition, execute).pages()

    def test_the_page_is_prometheus_text(self) -> None:
        answer = self.ask("/metrics")
        self.assertEqual(answer.code, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertIn(b"\nempath_smtp_connections_active 3.0\n", answer.body)
        self.assertIn(b"process_resident_memory_bytes", answer.body)

    def test_openmetrics_is_negotiated(self) -> None:
        answer = self.ask("/metrics", headers="Accept: application/openmetrics-text; version=1.0.0,*/*;q=0.1\r\n")
        self.assertTrue(answer.headers["content-type"].startswith("application/openmetrics-text"))
        self.assertTrue(answer.body.endswith(b"# EOF\n"))


class TroubleTests(HttpCase):
    def pages(self) -> Pages:
        self.hanging: Deferred[Page] = Deferred()
        self.advance: Callable[[], None] = lambda: None

        def broken(asked: Asked) -> Deferred[Page]:
            raise ZeroDivisionError

        return {
            b"/hangs": lambda asked: self.hanging,
            b"/raises": broken,
            b"/fine": lambda asked: succeed(Page(200, "text/plain", b"")),
        }

    def after_asking(self) -> None:
        self.advance()

    def test_a_page_that_hangs_is_503_within_a_second(self) -> None:
        self.advance = lambda: self.reactor.advance(BOUND)
        self.assertLess(BOUND, 1.0)
        self.assertEqual(self.ask("/hangs").code, 503)

    def test_a_page_that_raises_is_500_and_logged(self) -> None:
        answer = self.ask("/raises")
        self.assertEqual((answer.code, answer.body), (500, b"Internal Server Error\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_left_is_not_answered(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.hanging.callback(Page(200, "text/plain", b"late"))
        self.assertEqual(transport.value(), b"")

    def test_garbage_is_400(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"\x00\xff garbage\r\n\r\n")
        self.assertIn(b"400 Bad Request", transport.value())

    def test_requests_are_not_logged(self) -> None:
        seen: list[LogEvent] = []
        observer = cast(ILogObserver, seen.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.ask("/fine")
        self.assertEqual(seen, [])


class StreamTests(HttpCase):
    """
    A stream of server-sent events.
    """

    def pages(self) -> Pages:
        self.feeds: list[Feed] = []
        self.ended: list[Feed] = []

        def begin(feed: Feed) -> Callable[[], object]:
            self.feeds.append(feed)
            return lambda: self.ended.append(feed)

        def broken(feed: Feed) -> Callable[[], object]:
            raise ZeroDivisionError

        return {
            b"/events": lambda asked: Stream("text/event-stream", begin),
            b"/broken": lambda asked: Stream("text/event-stream", broken),
        }

    def follow(self, method: str = "GET") -> tuple[Any, StringTransport]:
        protocol, transport = self.connect()
        protocol.dataReceived(f"{method} /events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return protocol, transport

    def test_the_head_is_sent_at_once_and_then_whatever_is_written(self) -> None:
        _, transport = self.follow()
        answer = Answer(transport.value())
        self.assertEqual((answer.code, answer.headers["content-type"], answer.body), (200, "text/event-stream", b""))
        self.feeds[0].write(b"data: 1\n\n")
        self.feeds[0].write(b"")
        self.assertTrue(transport.value().endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n"))

    def test_no_time_limit_ends_it(self) -> None:
        _, transport = self.follow()
        self.reactor.advance(3600)
        self.feeds[0].write(b"still")
        self.assertIn(b"still", transport.value())
        self.assertEqual(self.ended, [])

    def test_its_end_is_told_once_whoever_ended_it(self) -> None:
        protocol, transport = self.follow()
        self.feeds[0].end()
        self.feeds[0].end()
        self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
        self.follow()[0].connectionLost(Failure(ConnectionDone()))
        self.feeds[1].end()
        self.assertEqual(self.ended, self.feeds)
        for feed in self.feeds:
            feed.write(b"nobody")
        self.assertNotIn(b"nobody", transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.ended), 2)

    def test_all_end_with_the_service(self) -> None:
        self.follow(), self.follow()
        self.http.stop()
        self.assertCountEqual(self.ended, self.feeds)
        self.assertEqual(self.http.streams.count, 0)

    def test_a_client_that_does_not_read_is_cut_off_after_a_while(self) -> None:
        _, transport = self.follow()
        paused(transport)
        self.reactor.advance(SLOWEST / 2)
        resumed(transport)
        self.reactor.advance(SLOWEST)
        self.assertEqual(self.ended, [])
        paused(transport)
        self.reactor.advance(SLOWEST)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.ended, self.feeds)

    def test_a_client_is_cut_off_for_which_too_much_waits(self) -> None:
        _, transport = self.follow()
        paused(transport)
        for _ in range(MOST_UNSENT // 1024 + 2):
            self.feeds[0].write(bytes(1024))
        self.assertTrue(transport.disconnected)
        self.assertEqual((self.ended, self.http.streams.count), (self.feeds, 0))
        self.assertLess(len(transport.value()), MOST_UNSENT * 1.1)

    def test_there_are_so_many_at_once(self) -> None:
        followed = [self.follow() for _ in range(MOST)]
        answer = Answer(self.follow()[1].value())
        self.assertEqual((answer.code, answer.headers["retry-after"]), (503, "30"))
        followed[0][0].connectionLost(Failure(ConnectionDone()))
        self.assertEqual(Answer(self.follow()[1].value()).code, 200)

    def test_head_begins_none(self) -> None:
        self.assertEqual(Answer(self.follow("HEAD")[1].value()).code, 200)
        self.assertEqual(self.feeds, [])

    def test_one_that_does_not_begin_is_ended_and_logged(self) -> None:
        self.assertEqual(self.ask("/broken").code, 200)
        self.assertEqual(self.http.streams.count, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ConnectionTests(HttpCase):
    def pages(self) -> Pages:
        self.asked: list[Asked] = []
        self.held: list[Deferred[Page]] = []
        self.holding = False
        self.full: Callable[[], None] = lambda: None

        def page(asked: Asked) -> Page | Deferred[Page]:
            self.asked.append(asked)
            self.full()
            if self.holding:
                self.held.append(Deferred())
                return self.held[-1]
            return text(200, "fine", content_security_policy="default-src 'self'")

        return {b"/": page}

    def pages_of(self, protocol: Any) -> int:
        """
        Ask on this connection; tells how many pages were made.
        """
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return len(self.asked)

    def test_so_many_at_once_are_taken_and_one_beyond_instead_of_who_said_nothing_longest(self) -> None:
        connected = [self.connect() for _ in range(MOST_CONNECTIONS)]
        self.pages_of(connected[0][0])
        connected[1][0].dataReceived(b"GET / HTT")
        self.assertEqual(self.pages_of(self.connect()[0]), 2)
        gone = [transport.disconnected for _, transport in connected]
        self.assertEqual((gone[1], sum(gone)), (True, 1))
        connected[1][0].connectionLost(Failure(ConnectionDone()))
        self.connect()
        self.assertEqual(sum(transport.disconnected for _, transport in connected), 2)

    def test_none_is_taken_beyond_those_that_are_all_answered(self) -> None:
        self.holding = True
        connected = [self.connect() for _ in range(MOST_CONNECTIONS)]
        for protocol, _ in connected:
            self.pages_of(protocol)
        [(_, factory, _, _)] = self.reactor.tcpServers
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000)))
        connected[0][0].connectionLost(Failure(ConnectionDone()))
        self.connect()

    def test_a_request_has_so_long_to_arrive_however_it_trickles(self) -> None:
        protocol, transport = self.connect()
        for octet in b"GET / HTTP/1.1":
            protocol.dataReceived(bytes([octet]))
            self.reactor.advance(REQUEST_TIME / 13)
        self.assertTrue(transport.disconnecting)
        self.reactor.advance(protocol.abortTimeout)
        self.assertTrue(transport.disconnected)

    def test_so_has_the_next_one(self) -> None:
        protocol, transport = self.connect()
        self.reactor.advance(REQUEST_TIME / 2)
        self.pages_of(protocol)
        self.reactor.advance(REQUEST_TIME * 0.9)
        self.assertEqual(self.pages_of(protocol), 2)
        self.reactor.advance(REQUEST_TIME)
        self.assertTrue(transport.disconnecting)

    def test_an_answer_that_is_never_read_does_not_keep_a_connection_that_is_to_end(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        self.reactor.advance(protocol.abortTimeout)
        self.assertTrue(transport.disconnected)

    def test_content_is_dropped_and_when_it_is_large_refused(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        self.assertIn(b"200 OK", transport.value())
        for length in ("Content-Length: 99999999", "Transfer-Encoding: chunked"):
            protocol, transport = self.connect()
            protocol.dataReceived(f"POST / HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
            for _ in range(MOST_CONTENT // 1000):
                protocol.dataReceived(b"3E8\r\n" + bytes(1000) + b"\r\n")
            self.assertEqual(transport.value(), b"")
            protocol.dataReceived(b"3E8\r\n" + bytes(1000) + b"\r\n")
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 413 "))
            self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.asked), 1)

    def test_requests_in_a_row_are_answered_as_far_as_the_answers_are_read(self) -> None:
        protocol, transport = self.connect()
        transport.write(b"")
        self.full = lambda: paused(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        self.assertEqual((len(self.asked), transport.producerState), (1, "paused"))
        resumed(transport)
        self.assertEqual((len(self.asked), transport.producerState), (2, "paused"))
        self.full = lambda: None
        resumed(transport)
        self.assertEqual((len(self.asked), transport.producerState), (3, "producing"))

    def test_what_ends_a_connection_is_not_logged(self) -> None:
        seen: list[LogEvent] = []
        observer = cast(ILogObserver, seen.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        protocol, transport = self.connect()
        self.reactor.advance(REQUEST_TIME)
        self.reactor.advance(protocol.abortTimeout)
        self.assertTrue(transport.disconnected)
        self.assertEqual(seen, [])

    def test_a_page_that_moves_leaves_no_connection_behind(self) -> None:
        self.holding = True
        _, idle = self.connect()
        asks, busy = self.connect()
        self.pages_of(asks)
        self.http.stop()
        self.assertEqual((idle.disconnecting, busy.disconnecting), (True, False))
        self.held[0].callback(text(200, "fine"))
        self.assertIn(b"200 OK", busy.value())
        self.assertTrue(busy.disconnecting)

    def test_pages_are_told_who_asks_and_how(self) -> None:
        self.ask("/?token=x", headers="Accept: a\r\nAccept: b\r\nAuthorization: Bearer t\r\nAccept-Encoding: gzip\r\n")
        self.assertEqual(self.asked, [Asked("/", "a,b", "gzip", "Bearer t", "x", is_local=False)])

    def test_local_is_who_comes_from_loopback_or_a_unix_socket(self) -> None:
        for peer, is_local in (
            (IPv4Address("TCP", "127.0.0.1", 1), True),
            (IPv4Address("TCP", "127.9.9.9", 1), True),
            (IPv6Address("TCP", "::1", 1), True),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 1), True),
            (UNIXAddress(None), True),
            (IPv4Address("TCP", "192.0.2.1", 1), False),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), False),
            (IPv6Address("TCP", "fe80::1%eth0", 1), False),
            (IPv4Address("TCP", "nonsense", 1), False),
        ):
            protocol, _ = self.connect(peer)
            protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(self.asked.pop().is_local, is_local, peer)

    def test_nobody_is_local_who_only_says_so(self) -> None:
        http = HttpService(self.reactor, f"haproxy:{ENDPOINT}", self.pages())
        http.bind()
        self.addCleanup(http.stop)
        [_, (_, factory, _, _)] = self.reactor.tcpServers
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40000))
        assert protocol is not None
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n")
        self.assertEqual([asked.is_local for asked in self.asked], [False])

    def test_every_answer_tells_browsers_to_do_nothing_else_with_it(self) -> None:
        for path, policy in (("/", "default-src 'self'"), ("/nothing", "default-src 'none'; frame-ancestors 'none'")):
            headers = self.ask(path).headers
            self.assertEqual(headers["content-security-policy"], policy)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["referrer-policy"], "no-referrer")
            self.assertEqual(headers["cross-origin-resource-policy"], "same-origin")
            self.assertNotIn("access-control-allow-origin", headers)


class AnswerTests(HttpCase):
    def pages(self) -> Pages:
        return {b"/": lambda asked: text(421, "no")}

    def test_codes_have_their_names(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 421 Misdirected Request\r\n"))


class BindingTests(SynchronousTestCase):
    def test_a_busy_port_raises(self) -> None:
        self.assertRaises(CannotListenError, HttpService(Busy(), ENDPOINT, {}).bind)

    def test_a_broken_endpoint_raises(self) -> None:
        self.assertRaises(ValueError, HttpService(MemoryReactorClock(), "nonsense:1", {}).bind)

    def test_the_port_is_known_while_bound(self) -> None:
        http = HttpService(MemoryReactorClock(), ENDPOINT, {})
        self.assertIsNone(http.port)
        http.bind()
        self.assertIsNotNone(http.port)
        self.successResultOf(http.stop())
        self.assertIsNone(http.port)

    def test_stopping_before_binding_is_harmless(self) -> None:
        self.successResultOf(HttpService(MemoryReactorClock(), ENDPOINT, {}).stop())
