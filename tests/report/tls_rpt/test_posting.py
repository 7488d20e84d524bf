"""
Reports over HTTPS: to certified hosts, no redirect, bounded in time, and what the server says beside its code is not
read.
"""

from __future__ import annotations

from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.tls_rpt import Web
from empath.report.tls_rpt.posting import TIMEOUT, Poster
from empath.report.tls_rpt.writing import make_report
from empath.testing.certificates import ServerCreator
from empath.testing.reactor import FakeReactor
from empath.testing.world import Silent, World
from tests.report.tls_rpt.support import MIDNIGHT, SUBMITTER, FakeResolver

HOST = "reports.one.test"
WEB = Web(f"https://{HOST}/v1/tls?a=b", HOST)
REPORT = make_report("one.test", MIDNIGHT, [], SUBMITTER)
AUTHORITY = trustme.CA()
TRUST: Any = trustRootFromCertificates([Certificate.loadPEM(AUTHORITY.cert_pem.bytes())])


def creator(name: str = HOST) -> ServerCreator:
    """
    Make what a server of this name begins TLS with.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return ServerCreator(context)


class WebHost(Factory):
    """
    Gives `answer` to every request with a body, None: none. `requests` are what came, `open` how many connections are.
    """

    def __init__(self, begins: ServerCreator) -> None:
        self.begins = begins
        self.answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOk"
        self.requests: list[bytes] = []
        self.open = 0

    def buildProtocol(self, addr: Any) -> _Serving:
        """
        Take a connection.
        """
        return _Serving(self)


class _Serving(Protocol):
    def __init__(self, host: WebHost) -> None:
        self._host = host
        self._came = b""

    def connectionMade(self) -> None:
        """
        Begin TLS.
        """
        self._host.open += 1
        transport: Any = self.transport
        transport.startTLS(self._host.begins)

    def dataReceived(self, data: bytes) -> None:
        """
        Answer a whole request.
        """
        transport: Any = self.transport
        self._came += data
        if self._came.endswith(REPORT.content):
            self._host.requests.append(self._came)
            if self._host.answer is not None:
                transport.write(self._host.answer)

    def connectionLost(self, reason: Any = None) -> None:
        """
        Count it.
        """
        self._host.open -= 1


class PostingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.reactor = FakeReactor(self.world, lambda name: [])
        self.resolver = FakeResolver()
        self.resolver.addresses[HOST, "A"] = ("192.0.2.1",)
        self.allow_private = True
        self.host = WebHost(creator())
        self.world.serve(("192.0.2.1", 443), self.host)

    def post(self, web: Web = WEB, seconds: float = 0.0) -> str:
        """
        Post the report; nothing is left behind.
        """
        poster = Poster(self.reactor, self.resolver, ("ipv6", "ipv4"), self.allow_private, TRUST)
        posting = poster.post(web, REPORT)
        self.world.settle()
        if seconds:
            self.world.advance(seconds)
        told = self.successResultOf(posting)
        self.world.settle()
        self.assertEqual((self.reactor.getDelayedCalls(), self.host.open), ([], 0))
        return told

    def test_taken(self) -> None:
        """
        RFC 8460 §5.4: the content with its media type, where the record says.
        """
        self.assertEqual(self.post(), "")
        [request] = self.host.requests
        self.assertTrue(request.startswith(b"POST /v1/tls?a=b HTTP/1.1\r\n"))
        self.assertIn(b"\r\nContent-Type: application/tlsrpt+gzip\r\n", request)
        self.assertIn(b"\r\nHost: reports.one.test\r\n", request)
        self.assertTrue(request.endswith(b"\r\n\r\n" + REPORT.content))

    def test_another_address_and_port(self) -> None:
        """
        The first address of the families that are used, in their order.
        """
        self.resolver.later = True
        self.resolver.addresses[HOST, "AAAA"] = ("2001:db8::1",)
        self.world.serve(("2001:db8::1", 8443), self.host)
        self.assertEqual(self.post(Web(f"https://{HOST}:8443/", HOST, 8443)), "")

    def test_one_that_cannot_be_reached(self) -> None:
        """
        Gives way to the next.
        """
        self.resolver.addresses[HOST, "AAAA"] = ("2001:db8::1",)
        self.assertEqual(self.post(), "")
        self.assertEqual(len(self.host.requests), 1)

    def test_endless_fields(self) -> None:
        """
        Nor may a server fill our memory, with fields, or with answers before the answer.
        """
        too_large = "the answer is larger than 65536 octets"
        self.host.answer = b"HTTP/1.1 200 OK\r\n" + b"X-Field: 12345\r\n" * 10000
        self.assertEqual(self.post(), too_large)
        self.host.answer = b"HTTP/1.1 100 Continue\r\n\r\n" * 10000
        self.assertEqual(self.post(), too_large)
        self.host.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
        self.assertEqual(self.post(), "")

    def test_refused(self) -> None:
        """
        Every answer but 2yz is none; a redirect leads nowhere.
        """
        for status in ("404 Not Found", "503 Later", "301 Moved\r\nLocation: https://reports.one.test/"):
            self.host.answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
            self.assertEqual(self.post(), f"the answer is {status[:3]}")
        self.assertEqual(len(self.host.requests), 3)

    def test_an_answer_without_end(self) -> None:
        """
        Is not waited for.
        """
        self.host.answer = b"HTTP/1.1 201 Created\r\n\r\n" + b"x" * 100_000
        self.assertEqual(self.post(), "")

    def test_a_certificate_for_another(self) -> None:
        """
        Gets nothing.
        """
        self.host.begins = creator("elsewhere.test")
        self.assertEqual(self.post(), "the certificate is for another name")
        self.assertEqual(self.host.requests, [])

    def test_no_answer(self) -> None:
        """
        Waits do not last for ever.
        """
        self.host.answer = None
        self.assertEqual(self.post(seconds=TIMEOUT), "no answer within 60 s")

    def test_nobody_there(self) -> None:
        """
        Is told as it is.
        """
        self.assertEqual(self.post(Web(f"https://{HOST}:444/", HOST, 444)) and self.host.requests, [])
        self.world.serve(("192.0.2.1", 445), Silent)
        self.assertNotEqual(self.post(Web(f"https://{HOST}:445/", HOST, 445), TIMEOUT), "")

    def test_no_address(self) -> None:
        """
        Nothing is sent to private networks, unless the configuration allows it.
        """
        self.allow_private = False
        self.resolver.addresses[HOST, "A"] = ("10.0.0.1",)
        self.assertEqual(self.post(), "it has no address that we would connect to")

    def test_cancelled(self) -> None:
        """
        Leaves no connection behind.
        """
        self.host.answer = None
        posting = Poster(self.reactor, self.resolver, ("ipv4",), True, TRUST).post(WEB, REPORT)
        self.world.settle()
        posting.cancel()
        self.failureResultOf(posting, CancelledError)
        self.world.settle()
        self.assertEqual((self.reactor.getDelayedCalls(), self.host.open), ([], 0))
