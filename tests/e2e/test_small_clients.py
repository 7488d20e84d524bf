"""
curl and msmtp from Debian: the clients of scripts.
"""

from __future__ import annotations

from tests.e2e.clients import curl, msmtp
from tests.e2e.harness import SENDER, message
from tests.e2e.program import HOSTNAME
from tests.e2e.serving import LOGIN, PASSWORD, YOU, ServingCase, scram_verifier
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options
from tests.e2e.tokens import LOGIN as TOKEN_LOGIN
from tests.e2e.tokens import TOKEN


class CurlTests(ServingCase):
    """
    curl, which looks our name up where it is told to, and verifies the certificate for it.
    """

    def at(self, port: int, scheme: str = "smtp", *more: str) -> list[str]:
        """
        Options that reach `port` by our name.
        """
        resolve = ["--resolve", f"{HOSTNAME}:{port}:127.0.0.1", "--cacert", str(self.authority_file)]
        return ["--url", f"{scheme}://{HOSTNAME}:{port}/curl.client.test", "--mail-from", SENDER, *resolve, *more]

    def test_plain_starttls_and_implicit(self) -> None:
        empath = self.serving()
        secured, implicit = self.starttls(empath), self.implicit(empath)
        empath.start()
        self.assert_sent(curl(message(), *self.at(empath.port), "--mail-rcpt", "a@one.test"))
        self.assert_sent(curl(message(), *self.at(secured, "smtp", "--ssl-reqd"), "--mail-rcpt", "b@one.test"))
        self.assert_sent(curl(message(), *self.at(implicit, "smtps"), "--mail-rcpt", "c@one.test"))
        for you, protocol in (("a", "ESMTP"), ("b", "ESMTPS"), ("c", "ESMTPS")):
            self.assert_with(protocol, f"{you}@one.test")
        self.assert_relayed(self.arrived("c@one.test").content, message())

    def test_several_recipients_of_whom_one_is_refused(self) -> None:
        relay = {"networks": ["127.0.0.7/32"], "domains": ["ours.test"], "recipients": "any"}
        empath = self.serving({"relay": relay})
        empath.start()
        both = ("--mail-rcpt", "us@ours.test", "--mail-rcpt", YOU)
        self.assertEqual(curl(message(), *self.at(empath.port), *both).code, 55)
        self.assert_sent(curl(message(), *self.at(empath.port), *both, "--mail-rcpt-allowfails"))
        self.arrived("us@ours.test")

    def test_logins(self) -> None:
        empath = self.serving({"auth": {"users": "", "authenticator": "tests.e2e.tokens:authenticator"}})
        port = self.implicit(empath, auth="required")
        empath.start()
        password, token = ("--user", f"{TOKEN_LOGIN}:{PASSWORD}"), ("--oauth2-bearer", TOKEN, "--user", TOKEN_LOGIN)
        for kind, login in (("PLAIN", password), ("LOGIN", password), ("XOAUTH2", token), ("OAUTHBEARER", token)):
            for initial in ((), ("--sasl-ir",)):
                you = f"{kind.lower()}{len(initial)}@one.test"
                options = self.at(
                    port, "smtps", "--mail-rcpt", you, "--login-options", f"AUTH={kind}", *login, *initial
                )
                self.assert_sent(curl(message(), *options))
                self.assert_with("ESMTPSA", you)
        wrong = self.at(port, "smtps", "--mail-rcpt", YOU, "--oauth2-bearer", "expired", "--user", TOKEN_LOGIN)
        self.assertEqual(curl(message(), *wrong).code, 67)

    def test_smtputf8(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "SMTPUTF8"))
        empath = self.serving()
        empath.start()
        self.assert_sent(curl(message(), *self.at(empath.port), "--mail-rcpt", "jürgen@one.test"))
        self.assertIn(b"SMTPUTF8", self.arrived("jürgen@one.test").mail)

    def test_vrfy(self) -> None:
        empath = self.serving()
        empath.start()
        ran = curl(None, "--url", f"smtp://127.0.0.1:{empath.port}", "--mail-rcpt", "you")
        self.assertIn("252 2.0.0", ran.output)

    def test_a_large_message_in_8_bits(self) -> None:
        empath = self.serving()
        port = self.implicit(empath)
        empath.start()
        content = message() + ("ü" * 70 + "\r\n").encode() * 20000
        self.assert_sent(curl(content, *self.at(port, "smtps"), "--mail-rcpt", YOU))
        self.assert_relayed(self.arrived().content, content)


class MsmtpTests(ServingCase):
    """
    msmtp, whose logins come from GNU SASL.
    """

    def options(self, port: int, *more: str) -> list[str]:
        """
        Options that reach `port` and verify our certificate by our name.
        """
        tls = ["--tls-trust-file", str(self.authority_file), "--tls-host-override", HOSTNAME]
        fixed = [
            "--set-date-header=off",
            "--host=127.0.0.1",
            f"--port={port}",
            f"--from={SENDER}",
            "--domain=msmtp.client.test",
        ]
        return [*fixed, *(f"{key}={value}" for key, value in zip(tls[::2], tls[1::2], strict=True)), *more]

    def test_starttls_implicit_and_plain(self) -> None:
        empath = self.serving()
        secured, implicit = self.starttls(empath), self.implicit(empath)
        empath.start()
        sent = message().replace(b"\r\n", b"\n")
        self.assert_sent(msmtp(sent, ["a@one.test"], *self.options(empath.port)))
        self.assert_sent(msmtp(sent, ["b@one.test"], *self.options(secured, "--tls=on")))
        self.assert_sent(msmtp(sent, ["c@one.test"], *self.options(implicit, "--tls=on", "--tls-starttls=off")))
        for you, protocol in (("a", "ESMTP"), ("b", "ESMTPS"), ("c", "ESMTPS")):
            self.assert_with(protocol, f"{you}@one.test")
        self.assert_relayed(self.arrived("c@one.test").content, message())

    def test_logins_with_scram_among_them(self) -> None:
        self.users.write_text(f"{LOGIN}:{scram_verifier(PASSWORD)}\n")
        empath = self.serving()
        port = self.starttls(empath, auth="required")
        empath.start()
        login = ("--tls=on", f"--user={LOGIN}", f"--passwordeval=printf '%s' '{PASSWORD}'")
        for kind in ("plain", "login", "scram-sha-256", "on"):
            you = f"{kind}@one.test"
            self.assert_sent(msmtp(message(), [you], *self.options(port, *login, f"--auth={kind}")))
            self.assert_with("ESMTPSA", you)
        wrong = ("--tls=on", f"--user={LOGIN}", "--passwordeval=echo wrong", "--auth=scram-sha-256")
        ran = msmtp(message(), [YOU], *self.options(port, *wrong))
        self.assertIn("535 5.7.8", ran.output)

    def test_tokens(self) -> None:
        empath = self.serving({"auth": {"users": "", "authenticator": "tests.e2e.tokens:authenticator"}})
        port = self.starttls(empath, auth="required")
        empath.start()
        login = ("--tls=on", f"--user={TOKEN_LOGIN}", f"--passwordeval=echo {TOKEN}")
        for kind in ("xoauth2", "oauthbearer"):
            you = f"{kind}@one.test"
            self.assert_sent(msmtp(message(), [you], *self.options(port, *login, f"--auth={kind}")))
            self.assert_with("ESMTPSA", you)

    def test_dsn_and_lmtp(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "DSN"))
        empath = self.serving()
        port = empath.listen(kind="lmtp")
        empath.start()
        dsn = ("--dsn-notify=failure,delay", "--dsn-return=hdrs")
        self.assert_sent(msmtp(message(), [YOU], *self.options(empath.port, *dsn)))
        self.assertIn(b" RET=HDRS", self.arrived().mail)
        self.assertIn(b" NOTIFY=FAILURE,DELAY", self.arrived().rcpt[0])
        self.assert_sent(msmtp(message(), ["a@one.test", "b@one.test"], *self.options(port, "--protocol=lmtp")))
        self.assert_with("LMTP", "b@one.test")
