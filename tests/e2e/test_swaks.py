"""
swaks 20201014 from Debian: every option of its that asks something of a server.
"""

from __future__ import annotations

from typing import Final

from tests.e2e.clients import Ran, swaks
from tests.e2e.program import HOSTNAME
from tests.e2e.serving import LOGIN, PASSWORD, YOU, ServingCase, asked, scram_verifier

FROM: Final = "sender@origin.test"
ENVELOPE: Final = ("--from", FROM, "--to", YOU)
RELAY: Final = {"networks": ["127.0.0.0/8"], "domains": ["ours.test"], "recipients": "any"}
CREDENTIALS: Final = ("--auth-user", LOGIN, "--auth-password", PASSWORD)


class SwaksCase(ServingCase):
    """
    swaks against one listener at a time.
    """

    def swaks(self, port: int, *options: str) -> Ran:
        """
        Send one message to `port` of 127.0.0.1.
        """
        return swaks("--server", "127.0.0.1", "--port", str(port), *ENVELOPE, *options)


class PlainTests(SwaksCase):
    """
    Without encryption, without a login.
    """

    def test_plain_helo_pipelined_and_in_steps(self) -> None:
        empath = self.serving()
        empath.start()
        for nth, options in enumerate(([], ["--pipeline"], ["--protocol", "SMTP"], ["--header", "X-Test: yes"])):
            you = f"you{nth}@one.test"
            self.assert_sent(self.swaks(empath.port, "--to", you, *options))
            self.assertIn("This is a test mailing", (self.arrived(you).content or b"").decode())
        self.assert_with("ESMTP", "you1@one.test")
        self.assert_with("SMTP", "you2@one.test")

    def test_quitting_and_dropping_at_every_stage_leaves_nothing(self) -> None:
        empath = self.serving()
        empath.start()
        for stage in ("CONNECT", "FIRST-HELO", "MAIL", "RCPT"):
            self.assert_sent(self.swaks(empath.port, "--quit-after", stage))
            self.swaks(empath.port, "--drop-after", stage)
        self.swaks(empath.port, "--drop-after-send", "DATA")
        self.assert_sent(self.swaks(empath.port, "--to", "last@one.test"))
        self.arrived("last@one.test")
        self.assertEqual(len(self.server.stored), 1)

    def test_ipv6_and_a_unix_socket(self) -> None:
        empath = self.serving({"relay": {"networks": ["127.0.0.0/8", "::1/128", "unix"]}})
        socket = self.folder / "smtp.socket"
        empath.listen(endpoint=f"unix:{socket}:mode=666")
        port = empath.listen()
        empath.listen(endpoint=f"tcp6:{port}:interface=\\:\\:1")
        empath.start()
        self.assert_sent(swaks("--socket", str(socket), "--from", FROM, "--to", "unix@one.test"))
        self.arrived("unix@one.test")
        self.assert_sent(swaks("-6", "--server", "::1", "--port", str(port), "--from", FROM, "--to", "six@one.test"))
        self.assertIn("[IPv6:::1]", self.received("six@one.test"))


class TlsTests(SwaksCase):
    """
    STARTTLS, implicit TLS, certificates of both sides.
    """

    def test_starttls_with_our_certificate_verified(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        verify = ("--tls-sni", HOSTNAME, "--tls-verify", "--tls-ca-path", str(self.authority_file))
        ran = self.swaks(port, "--tls", *verify)
        self.assert_sent(ran)
        self.assertIn("TLS started", ran.output)
        self.assert_with("ESMTPS")
        self.assertIn("TLSv1.3", self.received())
        self.assert_sent(self.swaks(port, "--to", "optional@one.test", "--tls-optional-strict", *verify))
        self.assert_sent(self.swaks(port, "--to", "plain@one.test"))
        self.assert_with("ESMTP", "plain@one.test")

    def test_implicit_tls_in_the_two_versions_that_there_are(self) -> None:
        empath = self.serving()
        port = self.implicit(empath)
        empath.start()
        for name, version in (("twelve", "tlsv1_2"), ("thirteen", "tlsv1_3")):
            ran = self.swaks(port, "--to", f"{name}@one.test", "--tls-on-connect", "--tls-protocol", version)
            self.assert_sent(ran)
            self.assert_with("ESMTPS", f"{name}@one.test")
        for weak in (("--tls-protocol", "tlsv1_1"), ("--tls-protocol", "tlsv1_2", "--tls-cipher", "AES128-SHA")):
            ran = self.swaks(port, "--tls-on-connect", *weak)
            self.assertNotEqual(ran.code, 0, ran.output)

    def test_a_client_certificate_is_verified(self) -> None:
        empath = self.serving()
        port = self.implicit(empath, client_ca=str(self.authority_file))
        empath.start()
        mine = self.issue("client", "client.test")
        options = ("--tls-on-connect", "--tls-cert", mine["certificate"], "--tls-key", mine["private_key"])
        self.assert_sent(self.swaks(port, *options))
        self.arrived()

    def test_starttls_is_not_offered_where_it_is_not_configured(self) -> None:
        empath = self.serving()
        empath.start()
        ran = self.swaks(empath.port, "--tls")
        self.assertNotEqual(ran.code, 0)
        self.assertNotIn("STARTTLS", ran.output.partition("EHLO")[2].partition("***")[0])


class AuthTests(SwaksCase):
    """
    Logins.
    """

    def test_plain_and_login_under_tls(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, auth=True)
        empath.start()
        for kind in ("PLAIN", "LOGIN"):
            you = f"{kind.lower()}@one.test"
            self.assert_sent(self.swaks(port, "--to", you, "--tls", "--auth", kind, *CREDENTIALS))
            self.assert_with("ESMTPSA", you)
        ran = self.swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", "wrong")
        self.assertNotEqual(ran.code, 0)
        self.assertIn("535 5.7.8", ran.output)
        self.assertNotIn("s3cret", empath.log())

    def test_auth_is_not_offered_without_tls_unless_allowed(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, auth=True)
        allowed = empath.listen(auth=True, auth_cleartext=True)
        empath.start()
        ran = self.swaks(port, "--auth", "PLAIN", *CREDENTIALS)
        self.assertNotEqual(ran.code, 0)
        self.assertNotIn("250-AUTH", ran.output)
        self.assert_sent(self.swaks(allowed, "--auth", "PLAIN", *CREDENTIALS))
        self.assert_with("ESMTPA")

    def test_required_auth_refuses_mail_without_it(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, auth="required")
        empath.start()
        ran = self.swaks(port, "--tls")
        self.assertIn("530 5.7.0", ran.output)
        self.assert_sent(self.swaks(port, "--tls", "--auth", "PLAIN", *CREDENTIALS))
        self.arrived()

    def test_scram_verifiers_are_good_for_plain_too(self) -> None:
        self.users.write_text(f"{LOGIN}:{scram_verifier(PASSWORD)}\n")
        empath = self.serving()
        port = self.starttls(empath, auth=True)
        empath.start()
        ran = self.swaks(port, "--tls", "--auth", "PLAIN", *CREDENTIALS)
        self.assert_sent(ran)
        self.assertIn("SCRAM-SHA-256", ran.output)
        self.arrived()


class LmtpTests(SwaksCase):
    """
    RFC 2033.
    """

    def test_lmtp_has_a_reply_for_each_recipient(self) -> None:
        empath = self.serving()
        port = empath.listen(kind="lmtp")
        empath.start()
        ran = self.swaks(port, "--protocol", "LMTP", "--to", "a@one.test,b@one.test")
        self.assert_sent(ran)
        self.assertEqual(ran.output.count("queued as"), 2, ran.output)
        self.assert_with("LMTP", "a@one.test")
        self.assertNotEqual(self.swaks(port).code, 0)


class ProxiedTests(SwaksCase):
    """
    Addresses that a listed peer tells of somebody else: PROXY and XCLIENT.
    """

    def test_proxy_headers_of_both_versions_tell_the_client(self) -> None:
        empath = self.serving({"smtp": {"proxies": ["127.0.0.7/32"]}, "relay": RELAY})
        empath.start()
        binary = ("--proxy-protocol", "STREAM", "--proxy-command", "PROXY")
        for nth, (version, family, source, dest, *more) in enumerate(
            (
                ("1", "TCP4", "192.0.2.8", "192.0.2.1"),
                ("1", "TCP6", "2001:db8::8", "2001:db8::1"),
                ("2", "AF_INET", "192.0.2.8", "192.0.2.1", *binary),
                ("2", "AF_INET6", "2001:db8::8", "2001:db8::1", *binary),
            )
        ):
            told = ("--proxy-version", version, "--proxy-family", family, "--proxy-source", source, *more)
            ports = ("--proxy-source-port", "1234", "--proxy-dest", dest, "--proxy-dest-port", "25")
            options = ("--local-interface", "127.0.0.7", *told, *ports)
            you = f"us{nth}@ours.test"
            self.assert_sent(self.swaks(empath.port, "--to", you, *options))
            self.assertIn(f"{source}])", self.received(you))
            self.assertIn("550 5.7.1", self.swaks(empath.port, *options).output)
        self.assertEqual(asked(self.server, b"RCPT TO:<you@"), [])

    def test_xclient_tells_the_client(self) -> None:
        empath = self.serving({"smtp": {"xclient": ["127.0.0.1/32"]}, "relay": RELAY})
        empath.start()
        options = ("--xclient-addr", "192.0.2.7", "--xclient-name", "told.test", "--xclient-helo", "helo.test")
        for nth, more in enumerate(([], ["--xclient-port", "4321", "--xclient-delim"], ["--xclient-proto", "ESMTP"])):
            you = f"us{nth}@ours.test"
            self.assert_sent(self.swaks(empath.port, "--to", you, *more, *options))
            self.assertIn("192.0.2.7", self.received(you))
        self.assertIn("550 5.7.1", self.swaks(empath.port, *options).output)

    def test_xclient_login_counts_as_a_login(self) -> None:
        empath = self.serving({"smtp": {"xclient": ["127.0.0.1/32"]}, "relay": RELAY})
        empath.start()
        options = ("--xclient-addr", "192.0.2.7", "--xclient-login", "alice")
        self.assert_sent(self.swaks(empath.port, *options))
        self.arrived()
