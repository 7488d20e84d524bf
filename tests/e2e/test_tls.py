"""
Encrypted delivery to a smarthost, with and without a login.
"""

from __future__ import annotations

import ssl
from typing import Any

import trustme

from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.program import Empath, merged
from tests.e2e.scripted import says
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options

YOU = "you@one.test"
LOGIN = {"username": "robot", "password": "s3cret words"}


class SmarthostTests(EndToEndTestCase):
    """
    The next hop of everything is one server with a certificate for localhost.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = trustme.CA()
        trusted = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(trusted))
        self.environment = {"SSL_CERT_FILE": str(trusted)}

    def smarthost(self, *names: str, implicit: bool = False, logins: dict[str, str] | None = None) -> StoringSmtpServer:
        """
        Start a server with a certificate for `names`.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return self.peer("127.0.0.1", Options(context=context, implicit=implicit, logins=logins or {}))

    def sending(self, server: StoringSmtpServer, **settings: str | bool) -> Empath:
        """
        Start empath with these settings of the smarthost.
        """
        domain: dict[str, Any] = {"mx_override": f"localhost:{server.port}", **settings}
        families = {"address_families": ["ipv4"]}
        instance = self.empath({"delivery": merged(families, {"domains": {"*": domain}})}, environment=self.environment)
        instance.start()
        return instance

    def assert_encrypted(self, server: StoringSmtpServer, empath: Empath, login: str = "") -> None:
        """
        A message arrives unchanged, under TLS, with this login.
        """
        self.send(empath, [YOU], message())
        stored = self.wait_arrived(server, YOU)
        self.assert_relayed(stored.content, message())
        self.assertEqual((stored.tls, stored.login), (True, login))

    def assert_deferred(self, server: StoringSmtpServer, empath: Empath) -> None:
        """
        A message waits, and nothing of it has reached the server.
        """
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred")
        self.assertEqual(server.stored, [])
        self.assertFalse(any(line.upper().startswith(b"MAIL") for line in server.commands))

    def test_starttls_is_used_where_it_is_offered(self) -> None:
        server = self.smarthost("someone-else.test")
        self.assert_encrypted(server, self.sending(server))

    def test_opportunistic_tls_falls_back_where_it_is_not_offered(self) -> None:
        server = self.peer("127.0.0.1")
        empath = self.sending(server)
        self.send(empath, [YOU])
        self.assertFalse(self.wait_arrived(server, YOU).tls)

    def test_required_tls_is_not_satisfied_by_plain_text(self) -> None:
        server = self.peer("127.0.0.1")
        self.assert_deferred(server, self.sending(server, require_tls=True))

    def test_required_tls_is_not_satisfied_when_starttls_is_refused(self) -> None:
        server = self.smarthost("localhost")
        server.script.on("STARTTLS", says(454, "4.7.0 not available"))
        self.assert_deferred(server, self.sending(server, tls_policy="required"))

    def test_starttls_and_a_login(self) -> None:
        server = self.smarthost("localhost", logins={"robot": "s3cret words"})
        self.assert_encrypted(server, self.sending(server, tls_policy="verified", **LOGIN), "robot")

    def test_implicit_tls_and_a_login(self) -> None:
        server = self.smarthost("localhost", implicit=True, logins={"robot": "s3cret words"})
        self.assert_encrypted(server, self.sending(server, tls="implicit", **LOGIN), "robot")

    def test_a_refused_login_defers(self) -> None:
        server = self.smarthost("localhost", logins={"robot": "changed"})
        empath = self.sending(server, tls_policy="required", **LOGIN)
        self.assert_deferred(server, empath)
        self.assertNotIn("s3cret", empath.log())

    def test_verified_tls_refuses_a_certificate_for_another_name(self) -> None:
        server = self.smarthost("someone-else.test")
        self.assert_deferred(server, self.sending(server, tls_policy="verified"))

    def test_verified_tls_refuses_a_certificate_of_an_unknown_authority(self) -> None:
        server = self.smarthost("localhost")
        other = self.folder / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        self.environment = {"SSL_CERT_FILE": str(other)}
        self.assert_deferred(server, self.sending(server, tls_policy="verified"))

    def test_invalid_certificates_may_be_accepted_with_a_warning_each_time(self) -> None:
        server = self.smarthost("someone-else.test")
        empath = self.sending(server, tls_policy="verified", accept_invalid_certs=True)
        self.assert_encrypted(server, empath)
        empath.wait_logged("warn", "localhost", "accept_invalid_certs")

    def test_a_server_that_wants_our_certificate_gets_it(self) -> None:
        ours = self.authority.issue_cert("client.test")
        certificate, key = self.folder / "client.pem", self.folder / "client.key"
        ours.cert_chain_pems[0].write_to_path(str(certificate))
        ours.private_key_pem.write_to_path(str(key))
        server = self.smarthost("localhost")
        context = server.options.context
        assert context is not None
        context.verify_mode = ssl.CERT_REQUIRED
        self.authority.configure_trust(context)
        shown = {"certificate": str(certificate), "private_key": str(key)}
        self.assert_encrypted(server, self.sending(server, tls_policy="verified", **shown))

    def test_a_server_that_wants_a_certificate_of_somebody_who_has_none(self) -> None:
        server = self.smarthost("localhost")
        context = server.options.context
        assert context is not None
        context.verify_mode = ssl.CERT_REQUIRED
        self.authority.configure_trust(context)
        self.assert_deferred(server, self.sending(server, tls_policy="required"))
