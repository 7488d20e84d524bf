"""
Mail that requires TLS, and mail that would rather arrive without (RFC 8689), from a client through empath to a server.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import Message
from typing import Any

from tests.e2e.harness import SENDER
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

    def hop(self, *extensions: str, name: str = "localhost") -> StoringSmtpServer:
        """
        Start a server that offers these, too, with a certificate for `name`.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        return self.peer("127.0.0.1", Options(extensions=(*DEFAULT_EXTENSIONS, *extensions), context=context))

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
