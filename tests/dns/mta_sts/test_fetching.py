"""
Requirements on fetching a policy: from a certified host only, no redirect, bounded in time and in size (RFC 8461 §3.3).
"""

from __future__ import annotations

import gzip

from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.mta_sts.fetching import PolicyFetcher
from empath.policy.mta_sts import (
    FETCH_ERROR,
    INVALID,
    LARGEST,
    WEBPKI_INVALID,
    Mode,
    StsPolicy,
    Unusable,
)
from empath.testing.certificates import self_signed
from empath.testing.reactor import FakeReactor
from empath.testing.world import Silent, World
from tests.dns.mta_sts.fakes import POLICY, Authority, FakeResolver, PolicyHost, answer_of

AUTHORITY = Authority()
STRANGER = Authority()
HOST = "mta-sts.example.org"
PAD = "x: " + "y" * 1000 + "\n"


class FetchingTests(SynchronousTestCase):
    """
    One fetch for example.org.
    """

    def setUp(self) -> None:
        self.world = World()
        self.reactor = FakeReactor(self.world, lambda name: [])
        self.resolver = FakeResolver()
        self.resolver.records(HOST, "192.0.2.1", rdtype="A")
        self.fetcher = PolicyFetcher(self.reactor, self.resolver, ("ipv6", "ipv4"), True, AUTHORITY.trust)
        self.host = PolicyHost(self.world, AUTHORITY.creator(HOST), answer_of(POLICY.encode()))
        self.world.serve(("192.0.2.1", 443), self.host)

    def fetch(self, domain: str = "example.org", seconds: float = 0.0) -> StsPolicy | Unusable:
        """
        Fetch, which may take some time; nothing is left behind.
        """
        fetching = self.fetcher.fetch(domain, "1")
        self.world.settle()
        if seconds:
            self.world.advance(seconds)
        told = self.successResultOf(fetching)
        self.world.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.host.open, 0)
        return told

    def unusable(self, reason: str, result: str = FETCH_ERROR, seconds: float = 0.0) -> None:
        """
        Fetch what cannot be used.
        """
        self.assertEqual(self.fetch(seconds=seconds), Unusable(result, reason))

    def usable(self, domain: str = "example.org") -> StsPolicy:
        """
        Fetch what can be used.
        """
        told = self.fetch(domain)
        assert isinstance(told, StsPolicy), told
        return told

    def test_policy_of_a_certified_host(self) -> None:
        """
        Asked for by its well-known path, without compression, and without anything that could be known again.
        """
        policy = self.usable()
        self.assertEqual((policy.mode, policy.mx, policy.version), (Mode.ENFORCE, ("mx.example.org",), "1"))
        [request] = self.host.requests
        lines = request.decode().split("\r\n")
        self.assertEqual(lines[0], "GET /.well-known/mta-sts.txt HTTP/1.1")
        self.assertEqual(
            {line.lower() for line in lines[1:] if line},
            {f"host: {HOST}", "user-agent: empath", "accept-encoding: identity", "connection: close"},
        )

    def test_other_names_of_certificates(self) -> None:
        """
        A wildcard is as good; a name that only DNS allows is a name.
        """
        self.host.begins = AUTHORITY.creator("*.example.org")
        self.usable()
        self.resolver.records("mta-sts.ab--c.example", "192.0.2.1", rdtype="A")
        certified = self_signed("mta-sts.ab--c.example")
        trust = trustRootFromCertificates([Certificate.loadPEM(certified.certificate)])
        self.fetcher = PolicyFetcher(self.reactor, self.resolver, ("ipv4",), True, trust)
        self.host.begins = certified.creator()
        self.usable("ab--c.example")

    def test_certificate_for_another_name(self) -> None:
        """
        Not even the domain itself will do.
        """
        self.host.begins = AUTHORITY.creator("example.org")
        self.unusable("the certificate is for another name", WEBPKI_INVALID)
        self.assertEqual(self.host.requests, [])

    def test_certificate_of_nobody_who_is_trusted(self) -> None:
        """
        No authority that we do not know.
        """
        self.host.begins = STRANGER.creator(HOST)
        self.unusable("nobody who is trusted vouches for the certificate", WEBPKI_INVALID)
        self.assertEqual(self.host.requests, [])

    def test_old_tls(self) -> None:
        """
        TLS 1.2 is the least, and its lack no trouble with certificates.
        """
        self.host.begins = AUTHORITY.creator(HOST, version=SSL.TLS1_1_VERSION)
        told = self.fetch()
        assert isinstance(told, Unusable)
        self.assertEqual(told.result, FETCH_ERROR)
        self.assertTrue(told.reason.startswith("TLS failed: "), told.reason)

    def test_only_200_is_an_answer(self) -> None:
        """
        Redirects are not followed, wherever they lead.
        """
        for status in ("301 Moved", "302 Found", "307 Temporary", "204 Nothing", "206 Part", "404 No", "500 Ouch"):
            self.host.answer = answer_of(POLICY.encode(), f"Location: https://{HOST}/other", status=status)
            self.unusable(f"the answer is {status[:3]}")
        self.assertEqual(len(self.host.requests), 7)

    def test_media_type(self) -> None:
        """
        Text/plain with any parameters, and nothing else.
        """
        for media_type in ("text/plain; charset=us-ascii", "TEXT/PLAIN ;x=y"):
            self.host.answer = answer_of(POLICY.encode(), media_type=media_type)
            self.usable()
        self.host.answer = answer_of(POLICY.encode(), media_type="text/html")
        self.unusable("the answer is not text/plain: 'text/html'")
        self.host.answer = answer_of(POLICY.encode()).replace(b"Content-Type", b"X-Content-Type")
        self.unusable("the answer is not text/plain: ''")

    def test_compressed(self) -> None:
        """
        We did not ask for that, and do not unpack it.
        """
        self.host.answer = answer_of(gzip.compress(POLICY.encode()), "Content-Encoding: gzip")
        self.unusable("the answer is compressed, though that was not asked for")

    def test_invalid_policy(self) -> None:
        """
        It came as it should, and is no policy.
        """
        self.host.answer = answer_of(b"")
        self.unusable("there is no version", INVALID)
        self.host.answer = answer_of(POLICY.encode() + b"x: \xff\n")
        self.unusable("it is not UTF-8", INVALID)

    def test_size(self) -> None:
        """
        As much as the RFC says, no more, and what goes on for ever is cut, header or body.
        """
        exact = POLICY.encode() + b"x" * (LARGEST - len(POLICY))
        self.host.answer = answer_of(exact)
        self.usable()
        self.host.answer = answer_of(exact + b"x")
        self.unusable("the answer is larger than 64000 octets")
        self.host.answer = answer_of(b"x" * 1_000_000)
        self.unusable("the answer is larger than 64000 octets")
        self.host.answer = b"HTTP/1.1 200 OK\r\n" + b"X-Header: yes\r\n" * 100_000
        self.unusable("the answer is larger than 64000 octets")

    def test_body_in_chunks(self) -> None:
        """
        As HTTP/1.1 has them.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.host.answer = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(POLICY), POLICY.encode())
        self.usable()
        self.host.answer, self.host.end = head + b"%x\r\n%s\r\n" % (len(POLICY), POLICY.encode()), "cut"
        self.assertIsInstance(self.fetch(), Unusable)

    def test_body_that_ends_with_the_connection(self) -> None:
        """
        If it was closed in good order; else somebody may have cut it short.
        """
        self.host.answer = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + POLICY.encode()
        self.host.end = "close"
        self.usable()
        self.host.end = "cut"
        self.unusable("the connection was cut, and the answer does not tell its length")

    def test_body_that_is_cut_short(self) -> None:
        """
        It is shorter than was announced.
        """
        self.host.answer, self.host.end = answer_of(POLICY.encode())[:-1], "cut"
        self.assertIsInstance(self.fetch(), Unusable)

    def test_no_http(self) -> None:
        """
        Whatever it is.
        """
        for answer in (b"220 ready\r\n", b"\r\n" * 50, b"HTTP/9 x y\r\n\r\n"):
            self.host.answer, self.host.end = answer, "close"
            told = self.fetch(seconds=61)
            assert isinstance(told, Unusable)
            self.assertEqual(told.result, FETCH_ERROR)

    def test_silence(self) -> None:
        """
        A minute for all of it.
        """
        self.host.answer = None
        self.unusable("no policy within 60 s", seconds=60)
        self.host.answer = answer_of(POLICY.encode())[:-1]
        self.unusable("no policy within 60 s", seconds=60)

    def test_slow_look_up(self) -> None:
        """
        It counts, too.
        """
        self.resolver.slow = True
        self.unusable("no policy within 60 s", seconds=60)

    def test_addresses_in_their_order(self) -> None:
        """
        The next one if nobody is there, each for ten seconds, four of them.
        """
        self.resolver.records(HOST, "2001:db8::1", rdtype="AAAA")
        self.assertIsInstance(self.usable(), StsPolicy)
        self.world.serve(("2001:db8::1", 443), Silent)
        told = self.fetch(seconds=10)
        self.assertIsInstance(told, StsPolicy)
        self.resolver.records(HOST, *(f"192.0.2.{each}" for each in range(101, 105)), "192.0.2.1", rdtype="A")
        self.resolver.records(HOST, rdtype="AAAA")
        self.unusable("Connection was refused by other side")

    def test_no_address(self) -> None:
        """
        None at all, or nobody knows.
        """
        self.resolver.records(HOST, rdtype="A")
        self.unusable(f"{HOST} cannot be found: there is no address")
        self.resolver.fail(HOST, "AAAA")
        self.unusable(f"{HOST} cannot be found: the look-up failed: timeout: no answer")

    def test_private_addresses(self) -> None:
        """
        The DNS of others does not make us connect to our own network, unless that is configured.
        """
        self.resolver.records(HOST, "192.168.1.1", rdtype="A")
        self.world.serve(("192.168.1.1", 443), self.host)
        self.usable()
        self.fetcher = PolicyFetcher(self.reactor, self.resolver, ("ipv4",), False, AUTHORITY.trust)
        self.unusable(f"{HOST} has no public address")

    def test_cancelled(self) -> None:
        """
        The connection goes with it.
        """
        self.host.answer = None
        fetching = self.fetcher.fetch("example.org", "1")
        self.world.settle()
        self.assertEqual(self.host.open, 1)
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError)
        self.world.settle()
        self.assertEqual((self.host.open, self.reactor.getDelayedCalls()), (0, []))
