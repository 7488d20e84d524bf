"""
nodemailer from npm: one connection and a pool of them, TLS, logins with passwords and tokens, SMTPUTF8, DSN, LMTP.
"""

from __future__ import annotations

from typing import Any, Final

from tests.e2e.clients import nodemailer
from tests.e2e.harness import SENDER
from tests.e2e.program import HOSTNAME
from tests.e2e.serving import LOGIN, PASSWORD, YOU, ServingCase, parsed
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options
from tests.e2e.tokens import LOGIN as TOKEN_LOGIN
from tests.e2e.tokens import TOKEN

AUTHENTICATOR: Final = {"auth": {"users": "", "authenticator": "tests.e2e.tokens:authenticator"}}
CREDENTIALS: Final = {"user": LOGIN, "pass": PASSWORD}


def note(to: str = YOU, **more: Any) -> dict[str, Any]:
    """
    A message as nodemailer takes it.
    """
    return {"from": SENDER, "to": to, "subject": "Grüße", "text": "Grüße aus Köln\n", **more}


class NodemailerTests(ServingCase):
    """
    Each test is one transport.
    """

    def transport(self, port: int, **more: Any) -> dict[str, Any]:
        """
        Options of a transport that verifies our certificate.
        """
        trusted = self.authority.cert_pem.bytes().decode()
        return {
            "host": "127.0.0.1",
            "port": port,
            "name": "node.client.test",
            "tls": {"ca": trusted, "servername": HOSTNAME},
            **more,
        }

    def assert_accepted(self, answers: list[dict[str, Any]]) -> None:
        """
        Every message was taken.
        """
        for each in answers:
            self.assertIn("queued as", str(each.get("response")), str(each))

    def test_one_connection_with_starttls_and_several_recipients(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        several = [f"you{nth}@one.test" for nth in range(30)]
        answers = nodemailer(self.transport(port, requireTLS=True), [note(", ".join(several))])
        self.assert_accepted(answers)
        self.assertEqual(answers[0]["accepted"], several)
        self.assert_with("ESMTPS", several[0])
        self.assertEqual(parsed(self.arrived(several[0])).get_content().strip(), "Grüße aus Köln")

    def test_a_pool_of_connections_with_implicit_tls_and_a_login(self) -> None:
        empath = self.serving()
        port = self.implicit(empath, auth="required")
        empath.start()
        pool = {"pool": True, "maxConnections": 4, "maxMessages": 20, "secure": True, "auth": CREDENTIALS}
        yous = [f"you{nth}@one.test" for nth in range(100)]
        self.assert_accepted(nodemailer(self.transport(port, **pool), [note(you) for you in yous]))
        for you in yous:
            self.arrived(you)
        self.assert_with("ESMTPSA", yous[-1])

    def test_every_way_to_log_in(self) -> None:
        empath = self.serving(AUTHENTICATOR)
        port = self.starttls(empath, auth="required")
        empath.start()
        password = {"user": TOKEN_LOGIN, "pass": PASSWORD}
        for method in ("PLAIN", "LOGIN"):
            transport = self.transport(port, requireTLS=True, auth=password, authMethod=method)
            self.assert_accepted(nodemailer(transport, [note(f"{method.lower()}@one.test")]))
        oauth = {"type": "OAuth2", "user": TOKEN_LOGIN, "accessToken": TOKEN}
        self.assert_accepted(nodemailer(self.transport(port, requireTLS=True, auth=oauth), [note("token@one.test")]))
        self.assert_with("ESMTPSA", "token@one.test")

    def test_a_wrong_token_and_a_wrong_password_are_told(self) -> None:
        empath = self.serving(AUTHENTICATOR)
        port = self.starttls(empath, auth="required")
        empath.start()
        for auth in (
            {"type": "OAuth2", "user": TOKEN_LOGIN, "accessToken": "expired"},
            {"user": TOKEN_LOGIN, "pass": "wrong"},
        ):
            [answer] = nodemailer(self.transport(port, requireTLS=True, auth=auth), [note()])
            self.assertEqual((answer.get("code"), answer.get("responseCode")), ("EAUTH", 535), str(answer))
        self.assertEqual(self.server.stored, [])

    def test_smtputf8_and_dsn(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "SMTPUTF8", "DSN"))
        empath = self.serving()
        empath.start()
        dsn = {"id": "msg 1=+", "return": "headers", "notify": ["success", "delay"], "recipient": "orig@one.test"}
        answers = nodemailer(self.transport(empath.port, ignoreTLS=True), [note("jürgen@one.test", dsn=dsn)])
        self.assert_accepted(answers)
        stored = self.arrived("jürgen@one.test")
        for word in (b" SMTPUTF8", b" RET=HDRS", b" ENVID=msg+201+3D+2B"):
            self.assertIn(word, stored.mail)
        self.assertIn(b" NOTIFY=SUCCESS,DELAY", stored.rcpt[0])
        self.assertIn(b" ORCPT=rfc822;orig@one.test", stored.rcpt[0])

    def test_lmtp(self) -> None:
        empath = self.serving()
        port = empath.listen(kind="lmtp")
        empath.start()
        answers = nodemailer(self.transport(port, lmtp=True, ignoreTLS=True), [note("a@one.test, b@one.test")])
        self.assert_accepted(answers)
        self.assertEqual(answers[0]["accepted"], ["a@one.test", "b@one.test"])
        self.assert_with("LMTP", "a@one.test")

    def test_a_certificate_for_another_name_is_noticed(self) -> None:
        empath = self.serving()
        port = self.implicit(empath)
        empath.start()
        transport = {**self.transport(port, secure=True), "tls": {"servername": "elsewhere.test"}}
        [answer] = nodemailer(transport, [note()])
        self.assertIn("error", answer)
