"""
Python's smtplib: SMTP, SMTP_SSL, LMTP, as programs use them.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from tests.e2e.harness import SENDER, message
from tests.e2e.program import HOSTNAME
from tests.e2e.serving import LOGIN, PASSWORD, YOU, ServingCase, asked, parsed
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options

UTF8_YOU = "jürgen@one.test"


class SmtplibTests(ServingCase):
    """
    smtplib in the test's own process; it connects to 127.0.0.1 and verifies a name of the certificate.
    """

    def connect(self, port: int) -> smtplib.SMTP:
        """
        Connect to `localhost`, which our certificate names.
        """
        client = smtplib.SMTP("localhost", port, "client.test", timeout=30)
        self.addCleanup(client.close)
        return client

    def note(self, subject: str = "hello") -> EmailMessage:
        """
        Write a message.
        """
        note = EmailMessage()
        note["From"], note["To"], note["Subject"] = SENDER, YOU, subject
        note.set_content("Grüße\n")
        return note

    def test_starttls_and_every_login_that_it_knows(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, auth=True)
        empath.start()
        for method in ("auth_plain", "auth_login"):
            for initial in (True, False):
                client = self.connect(port)
                client.starttls(context=self.context())
                client.ehlo()
                client.user, client.password = LOGIN, PASSWORD
                code, _ = client.auth(method[5:].upper(), getattr(client, method), initial_response_ok=initial)
                self.assertEqual(code, 235)
        client.send_message(self.note())
        client.quit()
        self.assert_with("ESMTPSA")
        self.assertEqual(parsed(self.arrived()).get_content().split(), ["Grüße"])

    def test_a_wrong_password_is_535_and_the_session_goes_on(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, auth=True)
        empath.start()
        client = self.connect(port)
        client.starttls(context=self.context())
        for name in (LOGIN, "nobody"):
            refused = self.assertRaises(smtplib.SMTPAuthenticationError, client.login, name, "wrong")
            self.assertEqual((refused.smtp_code, refused.smtp_error[:5]), (535, b"5.7.8"))
        client.login(LOGIN, PASSWORD)
        client.quit()

    def test_implicit_tls_with_the_name_verified(self) -> None:
        empath = self.serving()
        port = self.implicit(empath)
        empath.start()
        with smtplib.SMTP_SSL("localhost", port, "client.test", timeout=30, context=self.context()) as client:
            client.send_message(self.note())
        self.assert_with("ESMTPS")

    def test_what_was_said_before_starttls_is_forgotten(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        client = self.connect(port)
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(YOU)
        self.assertEqual(client.docmd("STARTTLS")[0], 503)
        client.rset()
        client.starttls(context=self.context())
        self.assertEqual(client.docmd("DATA")[0], 503)
        self.assertEqual(client.docmd("MAIL", f"FROM:<{SENDER}>")[0], 503)
        client.ehlo()
        self.assertFalse(client.has_extn("starttls"))
        self.assertEqual(client.mail(SENDER)[0], 250)
        self.assertEqual(client.docmd("DATA")[0], 503)

    def test_cleartext_behind_starttls_ends_the_connection(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        client = self.connect(port)
        client.ehlo()
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@origin.test>\r\n")
        self.assertRaises((smtplib.SMTPServerDisconnected, ssl.SSLError, OSError), self.encrypt, client)
        self.assertEqual(asked(self.server, b"MAIL"), [])

    def encrypt(self, client: smtplib.SMTP) -> None:
        """
        Read the reply to STARTTLS and go on with TLS.
        """
        client.getreply()
        assert client.sock is not None
        client.sock = self.context().wrap_socket(client.sock, server_hostname="localhost")

    def test_smtputf8(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "SMTPUTF8"))
        empath = self.serving()
        empath.start()
        client = self.connect(empath.port)
        note = self.note("Grüße aus Köln")
        note.replace_header("To", UTF8_YOU)
        client.send_message(note)
        client.quit()
        stored = self.arrived(UTF8_YOU)
        self.assertIn(b"SMTPUTF8", stored.mail)
        self.assertIn("Subject: Grüße aus Köln\r\n".encode(), stored.content or b"")
        self.assert_with("UTF8SMTP", UTF8_YOU)

    def test_dsn_parameters_reach_the_next_hop(self) -> None:
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, "DSN"))
        empath = self.serving()
        empath.start()
        client = self.connect(empath.port)
        client.ehlo()
        self.assertTrue(client.has_extn("dsn"))
        client.sendmail(
            SENDER,
            [YOU],
            message(),
            mail_options=["RET=HDRS", "ENVID=QQ+2B314"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;you@elsewhere.test"],
        )
        stored = self.arrived()
        self.assertIn(b" RET=HDRS", stored.mail)
        self.assertIn(b" ENVID=QQ+2B314", stored.mail)
        self.assertIn(b" NOTIFY=SUCCESS,FAILURE", stored.rcpt[0])
        self.assertIn(b" ORCPT=rfc822;you@elsewhere.test", stored.rcpt[0])

    def test_wrong_dsn_parameters_are_refused(self) -> None:
        empath = self.serving()
        empath.start()
        client = self.connect(empath.port)
        client.ehlo()
        for option in ("RET=ALL", "ENVID=a+zz", "ENVID=", "SIZE=x"):
            self.assertIn(client.mail(SENDER, [option])[0], (501, 555), option)
        client.mail(SENDER)
        for option in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=", "ORCPT=nothing", "ORCPT=rfc822;a+zz"):
            self.assertIn(client.rcpt(YOU, [option])[0], (501, 555), option)
        self.assertEqual(client.rcpt(YOU)[0], 250)

    def test_lmtp_over_tcp_and_over_a_unix_socket(self) -> None:
        empath = self.serving({"relay": {"networks": ["127.0.0.0/8", "unix"]}})
        socket = self.folder / "lmtp.socket"
        port = empath.listen(kind="lmtp")
        empath.listen(kind="lmtp", endpoint=f"unix:{socket}:mode=666")
        empath.start()
        for nth, client in enumerate((smtplib.LMTP("127.0.0.1", port), smtplib.LMTP(str(socket)))):
            yous = [f"a{nth}@one.test", f"b{nth}@one.test"]
            self.assertEqual(client.sendmail(SENDER, yous, message()), {})
            self.assertEqual(client.getreply()[0], 250)  # smtplib leaves the second recipient's reply unread
            client.quit()
            self.assert_with("LMTP", yous[0])

    def test_submission_mends_what_a_program_left_out(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, kind="submission", auth=True)
        empath.start()
        client = self.connect(port)
        client.starttls(context=self.context())
        self.assertRaises(smtplib.SMTPSenderRefused, client.sendmail, SENDER, [YOU], message())
        client.login(LOGIN, PASSWORD)
        client.sendmail(SENDER, [YOU], f"From: <{SENDER}>\r\nBcc: hidden@one.test\r\nReturn-Path: <x@y>\r\n\r\nhi\r\n")
        client.quit()
        arrived = parsed(self.arrived())
        self.assertEqual((arrived["Bcc"], arrived["Return-Path"]), (None, None))
        self.assertTrue(arrived["Date"])
        self.assertIn(f"@{HOSTNAME}>", str(arrived["Message-ID"]))

    def test_submission_lets_a_login_use_its_own_addresses_only(self) -> None:
        senders = self.file("senders", f"{LOGIN}: {SENDER}\n".encode())
        empath = self.serving({"auth": {"senders": str(senders)}})
        port = self.starttls(empath, kind="submission", auth=True)
        empath.start()
        client = self.connect(port)
        client.starttls(context=self.context())
        client.login(LOGIN, PASSWORD)
        refused = self.assertRaises(smtplib.SMTPSenderRefused, client.sendmail, "boss@origin.test", [YOU], message())
        self.assertEqual((refused.smtp_code, refused.smtp_error[:5]), (553, b"5.7.1"))
        client.sendmail(SENDER, [YOU], message())
        self.assert_with("ESMTPSA")
