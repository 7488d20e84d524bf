"""
TLS sessions that are resumed, with OpenSSL on both sides.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.trial.unittest import SynchronousTestCase

from empath.deliver.contexts import TlsContexts
from empath.deliver.egress import Egress
from empath.deliver.handshake import Handshake
from empath.deliver.target import Target
from empath.deliver.tls_sessions import TlsSessions
from empath.mail.answer import TlsaRecord
from empath.policy.tls import REQUIRED, Asker, Demand, Policy

HOST = "mx.example.org"
VERIFIED = Demand(Policy.VERIFIED, (HOST,))
US = Egress("us.example.net")


class ResumptionTests(SynchronousTestCase):
    """
    Handshakes of one agent with one server.
    """

    def setUp(self) -> None:
        self.authority = authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST).configure_cert(self.server)
        root = Certificate.loadPEM(authority.cert_pem.bytes())
        self.contexts = TlsContexts(lambda _: None, trustRootFromCertificates([root]))
        self.sessions = TlsSessions()

    def target(self, demand: Demand = VERIFIED, address: str = "192.0.2.1", egress: Egress = US) -> Target:
        """
        Make a target.
        """
        return Target(address, 25, demand, egress)

    def resumed(self, target: Target, now: float = 0.0, keep: bool = True) -> bool:
        """
        Make a connection and tell whether the server took an older session up.
        """
        handshake = self.contexts.handshake(target.demand, HOST, target.identity)
        since = self.sessions.resume(target, handshake, now)
        connection, reused = self.connect(handshake)
        self.assertIsNone(handshake.judge(connection))
        if keep:
            self.sessions.keep(target, connection, since)
        connection.shutdown()
        return reused

    def connect(self, handshake: Handshake) -> tuple[SSL.Connection, bool]:
        """
        Shake hands in memory, and hear some bytes, as the reply to EHLO is.
        """
        protocol: Any = None
        client = handshake.clientConnectionForTLS(protocol)
        client.set_connect_state()
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.server.wrap_bio(to_server, to_client, server_side=True)
        shaking = True
        while shaking:
            shaking = False
            for step in (client.do_handshake, server.do_handshake):
                try:
                    step()
                except (SSL.WantReadError, ssl.SSLWantReadError):
                    shaking = True
                self.pass_on(client, to_server, to_client)
        server.write(b"250 hello\r\n")
        self.pass_on(client, to_server, to_client)
        self.assertEqual(client.recv(100), b"250 hello\r\n")
        return client, bool(server.session_reused)

    def pass_on(self, client: SSL.Connection, to_server: ssl.MemoryBIO, to_client: ssl.MemoryBIO) -> None:
        """
        Carry what waits on either side.
        """
        with contextlib.suppress(SSL.WantReadError):
            to_server.write(client.bio_read(65536))
        if to_client.pending:
            client.bio_write(to_client.read())

    def versions(self) -> tuple[ssl.TLSVersion, ...]:
        """
        Tell what a server may speak at the most.
        """
        return ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

    def test_resumed(self) -> None:
        """
        The second connection resumes the session of the first one, the third that of the second.
        """
        for version in self.versions():
            self.setUp()
            self.server.maximum_version = version
            self.assertEqual([self.resumed(self.target()) for _ in range(3)], [False, True, True], version)

    def test_equal_targets_only(self) -> None:
        """
        What was made under one demand, or to another address or from another pool, is not resumed under another.
        """
        self.resumed(self.target(REQUIRED))
        for other in (
            self.target(),
            self.target(Demand(Policy.VERIFIED, (HOST, "other.example.org"))),
            self.target(REQUIRED, "192.0.2.2"),
            self.target(REQUIRED, egress=Egress("bulk.example.net")),
        ):
            self.assertFalse(self.resumed(other, keep=False))
        self.assertTrue(self.resumed(self.target(REQUIRED)))

    def test_dane(self) -> None:
        """
        What TLSA records vouched for is judged by them again, by the certificates that the session remembers.
        """
        middle = self.authority.create_child_ca()
        middle.issue_cert(HOST).configure_cert(self.server)
        issuer = ssl.PEM_cert_to_DER_cert(middle.cert_pem.bytes().decode())
        digest = hashlib.sha256(issuer).digest()
        demand = Demand(Policy.DANE, (HOST,), (TlsaRecord(2, 0, 1, digest),), Asker.DANE)
        self.assertEqual([self.resumed(self.target(demand)) for _ in range(3)], [False, True, True])

    def test_not_for_ever(self) -> None:
        """
        An hour after a certificate was shown it has to be shown again, however many sessions followed from it.
        """
        at = [self.resumed(self.target(), now) for now in (0.0, 1800.0, 3599.0, 3600.0, 3700.0)]
        self.assertEqual(at, [False, True, True, False, True])

    def test_slow_server(self) -> None:
        """
        Nor does a server make an old certificate new by taking its time over a handshake, or the reply to EHLO.
        """
        self.resumed(self.target())
        handshake = self.contexts.handshake(VERIFIED, HOST)
        since = self.sessions.resume(self.target(), handshake, 3599.0)
        connection, _ = self.connect(handshake)
        self.sessions.keep(self.target(), connection, since)
        self.assertFalse(self.resumed(self.target(), 3700.0))

    def test_clock_set_back(self) -> None:
        """
        Nobody knows then how long ago the certificate was shown.
        """
        self.assertEqual([self.resumed(self.target(), now) for now in (9000.0, 8999.0, 9000.0)], [False, False, True])

    def test_forgotten(self) -> None:
        """
        Where TLS failed no session is offered next time.
        """
        self.resumed(self.target())
        self.sessions.forget(self.target())
        self.sessions.forget(self.target())
        self.assertFalse(self.resumed(self.target()))

    def test_another_context(self) -> None:
        """
        A session is not offered in another context than its own.
        """
        self.resumed(self.target())
        self.contexts = TlsContexts(lambda _: None, self.contexts._trust_root)
        self.assertFalse(self.resumed(self.target()))

    def test_server_forgot(self) -> None:
        """
        A server that does not know the session any more shakes hands in full.
        """
        self.resumed(self.target())
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(HOST).configure_cert(self.server)
        self.assertEqual([self.resumed(self.target()) for _ in range(2)], [False, True])

    def test_stranger(self) -> None:
        """
        A server that cannot resume and shows a certificate that does not do is refused as ever.
        """
        self.resumed(self.target())
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert(HOST).configure_cert(self.server)
        handshake = self.contexts.handshake(VERIFIED, HOST)
        self.sessions.resume(self.target(), handshake, 0.0)
        with self.assertRaises((SSL.Error, ssl.SSLError)):
            self.connect(handshake)

    def test_bounded(self) -> None:
        """
        No more than a thousand sessions are kept.
        """
        handshake = self.contexts.handshake(REQUIRED, HOST)
        connection, _ = self.connect(handshake)
        for number in range(1001):
            self.sessions.keep(self.target(REQUIRED, str(number)), connection, 0.0)
        self.assertEqual(len(self.sessions._kept), 1000)
        self.assertNotIn(self.target(REQUIRED, "0"), self.sessions._kept)
