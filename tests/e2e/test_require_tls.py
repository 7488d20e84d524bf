"""
Mail that requires TLS, and mail that would rather arrive without (RFC 8689), from a client through empath to a server.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import Message
from hashlib import sha256
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.dns_lab import DnsLab, Signing
from tests.e2e.harness import SENDER
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, merged
from tests.e2e.scripted import says
from tests.e2e.serving import YOU, ServingCase, asked, parsed
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options, Stored

CONTENT = f"From: <{SENDER}>\r\nSubject: secret\r\n\r\nthe body\r\n".encode()
EASY = b"TLS-Required: No\r\n" + CONTENT


class RequireTlsCase(ServingCase):
    """
    The next hop of everything is one server, "localhost", whose certificate is of the authority.
    """

    def hop(self, *extensions: str, name: str = "localhost", port: int = 0) -> StoringSmtpServer:
        """
        Start a server that offers these, too, with a certificate for `name`.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        return self.peer("127.0.0.1", Options(extensions=(*DEFAULT_EXTENSIONS, *extensions), context=context), port)

    def in_front_of(self, server: StoringSmtpServer, **domain: Any) -> tuple[Empath, int]:
        """
        Start empath, with a port that speaks TLS.
        """
        onward = {"mx_override": f"localhost:{server.port}", **domain}
        delivery = {"address_families": ["ipv4"], "domains": {"*": onward}}
        empath = self.empath(
            merged({"auth": {"users": str(self.users)}}, {"delivery": delivery}),
            environment={"SSL_CERT_FILE": str(self.authority_file)},
        )
        port = self.starttls(empath)
        empath.start()
        return empath, port

    def give(self, port: int, content: bytes, *options: str, sender: str = SENDER) -> None:
        """
        Give empath a message under TLS.
        """
        with smtplib.SMTP("localhost", port, "client.test", timeout=30) as client:
            client.starttls(context=self.context())
            client.ehlo()
            self.assertTrue(client.has_extn("requiretls"))
            client.sendmail(sender, [YOU], content, options)

    def report(self, server: StoringSmtpServer) -> tuple[Message, Stored]:
        """
        Wait for the report to the sender; gives its fields about the recipient, and how it came.
        """
        stored = self.wait_arrived(server, SENDER)
        self.assertEqual(stored.sender, "")
        [status] = [
            part for part in parsed(stored).iter_parts() if part.get_content_type() == "message/delivery-status"
        ]
        payload: Any = status.get_payload()
        return payload[1], stored


class NextHopTests(RequireTlsCase):
    def test_it_goes_on_to_a_host_that_promises_it(self) -> None:
        server = self.hop("REQUIRETLS")
        _, port = self.in_front_of(server)
        self.give(port, CONTENT, "REQUIRETLS")
        stored = self.wait_arrived(server, YOU)
        self.assertTrue(stored.tls)
        self.assertIn(b" REQUIRETLS", stored.mail)
        self.assert_relayed(stored.content, CONTENT)
        self.give(port, CONTENT, sender="other@origin.test")
        wait_until("both", lambda: len(server.arrived(YOU)) == 2)
        self.assertEqual([b"REQUIRETLS" in mail for mail in asked(server, b"MAIL")], [True, False])

    def test_no_other_host_hears_of_it(self) -> None:
        """
        Its sender is told 5.7.30, without the body, whatever RET asked for.
        """
        server = self.hop()
        _, port = self.in_front_of(server)
        self.give(port, CONTENT, "REQUIRETLS", "RET=FULL")
        fields, stored = self.report(server)
        self.assertEqual((fields["Action"], fields["Status"]), ("failed", "5.7.30"))
        self.assertNotIn(b"the body", stored.content or b"")
        self.assertIn(b"Subject: secret", stored.content or b"")
        self.assertEqual([mail for mail in asked(server, b"MAIL") if b"<>" not in mail], [])

    def test_a_host_whose_certificate_is_for_another(self) -> None:
        server = self.hop("REQUIRETLS", name="someone-else.test")
        _, port = self.in_front_of(server)
        self.give(port, CONTENT, "REQUIRETLS")
        self.report(server)
        self.assertEqual([mail for mail in asked(server, b"MAIL") if b"<>" not in mail], [])

    def test_a_host_without_tls(self) -> None:
        server = self.peer("127.0.0.1", Options(extensions=(*DEFAULT_EXTENSIONS, "REQUIRETLS")))
        _, port = self.in_front_of(server)
        self.give(port, CONTENT, "REQUIRETLS")
        self.report(server)
        self.assertEqual([mail for mail in asked(server, b"MAIL") if b"<>" not in mail], [])

    def test_the_next_host_may_promise_what_the_first_does_not(self) -> None:
        first, second = self.hop(), self.hop("REQUIRETLS", port=free_port("127.0.0.1"))
        _, port = self.in_front_of(first, mx_override=[f"localhost:{first.port}", f"localhost:{second.port}"])
        self.give(port, CONTENT, "REQUIRETLS")
        self.assertIn(b" REQUIRETLS", self.wait_arrived(second, YOU).mail)
        self.assertEqual(asked(first, b"MAIL"), [])

    def test_the_report_requires_it_where_the_next_hop_can(self) -> None:
        server = self.hop("REQUIRETLS")
        server.script.on("RCPT", says(550, "5.1.1 unknown"), argument=YOU)
        _, port = self.in_front_of(server, tls_policy="verified")
        self.give(port, CONTENT, "REQUIRETLS", "RET=FULL")
        fields, stored = self.report(server)
        self.assertEqual(fields["Status"], "5.1.1")
        self.assertNotIn(b"the body", stored.content or b"")
        self.assertTrue(stored.tls)
        self.assertIn(b" REQUIRETLS", stored.mail)

    def test_tls_required_no_is_told_to_nobody(self) -> None:
        server = self.hop("REQUIRETLS")
        _, port = self.in_front_of(server)
        self.give(port, EASY)
        stored = self.wait_arrived(server, YOU)
        self.assertNotIn(b"REQUIRE", stored.mail.upper())
        self.assert_relayed(stored.content, EASY)


class SignedTests(RequireTlsCase):
    """
    Hosts found in the DNS, by way of a validating resolver. Their certificate is of nobody whom anybody knows.
    """

    HOST = "127.0.0.21"

    def setUp(self) -> None:
        super().setUp()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = trustme.CA().issue_cert("mx1.one.test")
        certificate.configure_cert(context)
        leaf = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
        key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.association = sha256(key).digest()
        self.hopped = self.peer(self.HOST, Options(extensions=(*DEFAULT_EXTENSIONS, "REQUIRETLS"), context=context))

    def published(self, association: bytes | None, signing: Signing = Signing.NSEC) -> tuple[Empath, int]:
        """
        Start empath where one.test says this of its host.
        """
        lab = DnsLab(self.folder / "dns")
        self.addCleanup(lab.stop)
        zone = lab.zone("one.test", signing)
        zone.mail(self.HOST)
        if association is not None:
            zone.tlsa("mx1", self.peer_port, 3, 1, 1, association)
        lab.serve()
        delivery = {
            "port": self.peer_port,
            "allow_private_mx": True,
            "dns": {"servers": [lab.server], "dnssec": "trust-ad"},
            "tls": {"default_policy": "dane"},
            "domains": {"origin.test": {"mx_override": f"{self.server.address}:{self.server.port}"}},
        }
        empath = self.empath({"delivery": delivery})
        port = self.starttls(empath)
        empath.start()
        return empath, port

    def test_a_host_that_dane_vouches_for(self) -> None:
        _, port = self.published(self.association)
        self.give(port, CONTENT, "REQUIRETLS")
        self.assertIn(b" REQUIRETLS", self.wait_arrived(self.hopped, YOU).mail)

    def test_names_that_nothing_vouches_for(self) -> None:
        _, port = self.published(None, Signing.NONE)
        self.give(port, CONTENT, "REQUIRETLS")
        self.assertEqual(self.report(self.server)[0]["Status"], "5.7.30")
        self.assertEqual(self.hopped.commands, [])

    def test_a_certificate_that_dane_does_not_vouch_for(self) -> None:
        """
        Bars mail, unless its sender would rather have it arrive (RFC 8689 §4.2.2).
        """
        empath, port = self.published(bytes(32))
        self.give(port, CONTENT)
        empath.wait_logged("to=<you@one.test>", "status=deferred")
        self.assertEqual(asked(self.hopped, b"MAIL"), [])
        self.give(port, EASY)
        stored = self.wait_arrived(self.hopped, YOU)
        self.assertTrue(stored.tls)
        self.assert_relayed(stored.content, EASY)
