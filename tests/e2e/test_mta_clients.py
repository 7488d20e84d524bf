"""
Other MTAs as our clients, TLS with a verified certificate required: Postfix's smtp(8), its lmtp(8), and Exim.
"""

from __future__ import annotations

import os
import smtplib
import stat

from tests.e2e.clients import exim
from tests.e2e.debian_peers import Postfix
from tests.e2e.harness import SENDER, message
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME
from tests.e2e.serving import OTHER_NAME, YOU, ServingCase, parsed
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options

PIPED = (b"x" * 76 + b"\r\n") * 10_000


class PostfixTests(ServingCase):
    """
    Postfix takes mail from a program and has empath as its next hop.
    """

    def postfix(self, *main: str) -> Postfix:
        """
        Start Postfix with these lines of main.cf.
        """
        self.postfix_port = free_port("127.0.0.31")
        postfix = Postfix("127.0.0.31", self.postfix_port, "nowhere.test", self.folder / "postfix", main)
        self.addCleanup(postfix.stop)
        postfix.start()
        return postfix

    def secured(self, port: int, *more: str) -> Postfix:
        """
        Start Postfix, which gives everything to empath's `port` if its certificate is for our name.
        """
        return self.postfix(
            f"relayhost = [127.0.0.1]:{port}",
            "smtp_tls_security_level = secure",
            f"smtp_tls_secure_cert_match = {HOSTNAME}",
            f"smtp_tls_servername = {HOSTNAME}",
            f"smtp_tls_CAfile = {self.authority_file}",
            "smtp_tls_loglevel = 1",
            *more,
        )

    def give(self, recipients: list[str], content: bytes, *options: str, rcpt_options: tuple[str, ...] = ()) -> None:
        """
        Give Postfix a message.
        """
        with smtplib.SMTP("127.0.0.31", self.postfix_port, timeout=30) as client:
            client.sendmail(SENDER, recipients, content, options, rcpt_options)

    def test_a_verified_certificate_chunks_and_dsn_parameters(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "DSN"))
        empath = self.serving()
        postfix = self.secured(self.starttls(empath))
        empath.start()
        yous = ["you@one.test", "a@one.test", "b@two.test"]
        self.give(yous, message() + PIPED, "ENVID=abc", "RET=HDRS", rcpt_options=("NOTIFY=FAILURE",))
        for you in yous:
            stored = self.arrived(you)
            self.assertIn(PIPED, stored.content or b"")
        self.assertIn(b"ENVID=abc", stored.mail)
        self.assertIn(b"RET=HDRS", stored.mail)
        self.assertIn(b"NOTIFY=FAILURE", stored.rcpt[0])
        self.assertIn("with ESMTPS", self.received())
        self.assertIn("Verified TLS connection established to", postfix.log())
        self.assertIn("status=sent (250 2.0.0 Ok: queued as", postfix.log())

    def test_many_messages_over_one_tls_connection(self) -> None:
        empath = self.serving()
        postfix = self.secured(self.implicit(empath), "smtp_tls_wrappermode = yes", "smtp_tls_connection_reuse = yes")
        empath.start()
        yous = [f"you{nth}@one.test" for nth in range(20)]
        for you in yous:
            self.give([you], message())
        for you in yous:
            self.arrived(you)
        self.assertIn("TLS connection established to", postfix.log())

    def test_a_certificate_for_another_name_is_not_good_enough(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, **self.issue("other", OTHER_NAME))
        postfix = self.secured(port)
        empath.start()
        self.give([YOU], message())
        wait_until("deferred", lambda: "status=deferred" in postfix.log())
        self.assertIn("Server certificate not verified", postfix.log())
        self.assertEqual(self.server.stored, [])

    def test_smtputf8(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "SMTPUTF8"))
        empath = self.serving()
        self.secured(self.starttls(empath), "smtputf8_enable = yes")
        empath.start()
        with smtplib.SMTP("127.0.0.31", self.postfix_port, timeout=30) as client:
            client.ehlo()
            client.command_encoding = "utf-8"
            client.sendmail(SENDER, ["jürgen@one.test"], "Subject: Grüße\r\n\r\nhi\r\n".encode(), ["SMTPUTF8"])
        self.assertIn(b"SMTPUTF8", self.arrived("jürgen@one.test").mail)
        self.assert_with("UTF8SMTPS", "jürgen@one.test")

    def test_lmtp_over_tcp(self) -> None:
        empath = self.serving()
        port = empath.listen(kind="lmtp")
        postfix = self.postfix(f"default_transport = lmtp:inet:127.0.0.1:{port}")
        empath.start()
        yous = ["a@one.test", "b@one.test", "c@one.test"]
        self.give(yous, message())
        for you in yous:
            self.arrived(you)
        wait_until("all told", lambda: postfix.log().count("status=sent (250 2.0.0") == len(yous))
        self.assert_with("LMTP", yous[0])

    def test_lmtp_over_a_unix_socket_under_tls(self) -> None:
        empath = self.serving({"relay": {"networks": ["127.0.0.0/8", "unix"]}})
        socket = self.folder / "lmtp.socket"
        self.starttls(empath, kind="lmtp", endpoint=f"unix:{socket}:mode=666")
        self.postfix(
            f"default_transport = lmtp:unix:{socket}",
            "lmtp_tls_security_level = secure",
            f"lmtp_tls_secure_cert_match = {HOSTNAME}",
            f"lmtp_tls_CAfile = {self.authority_file}",
        )
        empath.start()
        self.assertTrue(stat.S_ISSOCK(os.stat(socket).st_mode))
        self.give([YOU], message())
        self.assert_with("LMTPS")


class EximTests(ServingCase):
    """
    Exim 4.96, GnuTLS.
    """

    def test_a_verified_certificate_and_chunks(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        content = b"From: <sender@origin.test>\nSubject: hello\n\n" + PIPED.replace(b"\r\n", b"\n")
        log = exim(content, SENDER, [YOU, "two@one.test"], port, self.folder / "exim", self.authority_file)
        self.assertIn("CV=yes", log)
        self.assertIn("K C=", log)  # by BDAT
        self.assertIn("Completed", log)
        self.assert_with("ESMTPS")
        self.assertIn("exim.test", self.received())
        self.assertEqual(parsed(self.arrived("two@one.test"))["Subject"], "hello")
        self.assertIn(PIPED, self.arrived().content or b"")
