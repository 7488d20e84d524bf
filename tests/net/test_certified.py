"""
Requirements on TLS with hosts that have to prove their names: what is refused, and how that is told.
"""

from __future__ import annotations

import contextlib
import datetime

import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.trial.unittest import SynchronousTestCase

from empath.net.certified import CertifiedHost, CertifiedHosts
from empath.testing.certificates import self_signed
from tests.deliver.shaking import ODD_NAMES, oddly_named

NAME = "mx.example.org"


def shake(client: SSL.Connection, server: SSL.Connection) -> bool:
    """
    Do a handshake in memory; tells whether the client is content.
    """
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error:
                if one is client:
                    return False
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(1 << 16))
    return True


class CertifiedTests(SynchronousTestCase):
    """
    A server with one certificate or another.
    """

    def setUp(self) -> None:
        self.asked: list[bytes | None] = []
        self.ca = trustme.CA()
        self.hosts = CertifiedHosts(trustRootFromCertificates([Certificate.loadPEM(self.ca.cert_pem.bytes())]))
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)

    def shows(self, issued: trustme.LeafCert) -> None:
        """
        Give the server a certificate.
        """
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.set_tlsext_servername_callback(lambda connection: self.asked.append(connection.get_servername()))
        issued.configure_cert(self.context)

    def judged(self, name: str = NAME) -> tuple[bool, str]:
        """
        Tell whether the server proved to be `name`, and the fault.
        """
        host: CertifiedHost = self.hosts.host(name)
        good = shake(host.clientConnectionForTLS(object()), SSL.Connection(self.context, None))
        return good, host.fault

    def test_certified_host(self) -> None:
        """
        By its name, in any case, or by a wildcard; and it is told the name that is wanted.
        """
        self.shows(self.ca.issue_cert("a.example", "MX.example.org"))
        self.assertEqual(self.judged(), (True, ""))
        self.shows(self.ca.issue_cert("*.example.org"))
        self.assertEqual(self.judged(), (True, ""))
        self.assertEqual(self.asked, [NAME.encode(), NAME.encode()])

    def test_an_address(self) -> None:
        """
        Proves itself by a certificate on that address, and is told no name (RFC 6066 §3).
        """
        for address in ("192.0.2.1", "2001:db8::1"):
            self.shows(self.ca.issue_cert("192.0.2.1", "2001:db8::1"))
            self.assertEqual(self.judged(address), (True, ""))
            for other in ("192.0.2.2", NAME):
                self.shows(self.ca.issue_cert(other, common_name=address))
                self.assertEqual(self.judged(address), (False, "the certificate is for another name"))
        self.assertEqual(set(self.asked), {None})

    def test_another_name(self) -> None:
        """
        Neither one above, nor one below, nor a common name counts.
        """
        for names in (["example.org"], ["a.mx.example.org"], ["*.mx.example.org"], ["192.0.2.1"]):
            self.shows(self.ca.issue_cert(*names, common_name=NAME))
            self.assertEqual(self.judged(), (False, "the certificate is for another name"))

    def test_odd_names(self) -> None:
        """
        What nobody can read, or is not there at all, is another name.
        """
        for names in ODD_NAMES:
            shown = oddly_named(names)
            root = Certificate.loadPEM(shown.chain[0].public_bytes(Encoding.PEM))
            self.hosts, self.context = CertifiedHosts(trustRootFromCertificates([root])), shown.context()
            self.assertEqual(self.judged(), (False, "the certificate is for another name"))

    def test_nobody_vouches(self) -> None:
        """
        Another authority, or its own key.
        """
        self.shows(trustme.CA().issue_cert(NAME))
        self.assertEqual(self.judged(), (False, "nobody who is trusted vouches for the certificate"))
        self.context = self_signed(NAME).creator().context
        self.assertEqual(self.judged(), (False, "the certificate is signed by its own key"))

    def test_expired(self) -> None:
        """
        However well it was once.
        """
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        self.shows(self.ca.issue_cert(NAME, not_before=past, not_after=past))
        self.assertEqual(self.judged(), (False, "the certificate has expired"))

    def test_one_context_for_all_hosts(self) -> None:
        """
        The roots are read once; what one host did wrong is not held against another.
        """
        self.shows(self.ca.issue_cert(NAME))
        self.assertEqual(self.judged("b.example.org")[0], False)
        self.assertEqual(self.judged(), (True, ""))

    def test_the_system_has_roots(self) -> None:
        """
        They are the default, and do not know a test's authority.
        """
        self.hosts = CertifiedHosts()
        self.shows(self.ca.issue_cert(NAME))
        self.assertEqual(self.judged()[0], False)
