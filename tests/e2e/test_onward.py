"""
What the extensions become on the way out: to a Postfix that offers everything, and to servers that lack something.
"""

from __future__ import annotations

import re
import smtplib
from email import message_from_string
from email.message import Message

from tests.e2e.debian_peers import Postfix
from tests.e2e.harness import SENDER, message, smarthost
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import says
from tests.e2e.serving import YOU, ServingCase, asked, parsed
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options, Stored

LARGE = b"From: <sender@origin.test>\r\nSubject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 20_000
WITHOUT_8BIT = ("PIPELINING", "SIZE 1000000000", "ENHANCEDSTATUSCODES")


class OnwardCase(ServingCase):
    """
    Clients use smtplib, the reports come to `server` unless a test says otherwise.
    """

    def give(
        self, empath: Empath, content: bytes, *options: str, to: str = YOU, rcpt_options: tuple[str, ...] = ()
    ) -> None:
        """
        Give empath a message.
        """
        with smtplib.SMTP("127.0.0.1", empath.port, "client.test", timeout=30) as client:
            client.ehlo()
            client.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
            client.sendmail(SENDER, [to], content, options, rcpt_options)

    def offering(self, *extensions: str) -> Empath:
        """
        Start empath in front of a server that offers just these extensions.
        """
        self.server.options = Options(extensions=extensions)
        empath = self.serving()
        empath.start()
        return empath

    def report(self) -> tuple[Message, Message, Stored]:
        """
        Wait for the report to the sender; gives its fields of the message and of the first recipient (RFC 3464).
        """
        stored = self.arrived(SENDER)
        self.assertEqual(stored.sender, "")
        whole = parsed(stored)
        self.assertEqual(whole.get_content_type(), "multipart/report")
        [status] = [part for part in whole.iter_parts() if "delivery-status" in part.get_content_type()]
        text = status.as_string().replace("\r\n", "\n")  # Python does not take the UTF-8 form apart (RFC 6533)
        blocks = [message_from_string(block) for block in text.split("\n\n")[1:] if block.strip()]
        return blocks[0], blocks[1], stored


class PostfixTests(OnwardCase):
    """
    Postfix as the next hop; what it reports to senders goes to the storing server.
    """

    def setUp(self) -> None:
        super().setUp()
        self.address = "127.0.0.31"
        self.port = free_port(self.address)
        main = (
            f"relayhost = [{self.server.address}]:{self.server.port}",
            "smtputf8_enable = yes",
            "debug_peer_list = 127.0.0.0/8",
            "debug_peer_level = 1",
        )
        self.postfix = Postfix(self.address, self.port, "one.test", self.folder / "postfix", main)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()

    def instance(self) -> Empath:
        """
        Start empath in front of Postfix, for one.test.
        """
        onward = {"domains": {"one.test": {"mx_override": f"{self.address}:{self.port}"}}}
        empath = self.serving({"delivery": {**smarthost(self.server)["delivery"], **onward}})
        empath.start()
        return empath

    def commands(self, verb: str) -> list[str]:
        """
        The commands that Postfix was given and that begin with `verb`.
        """
        return re.findall(rf"< unknown\[127\.[0-9.]*\]: ({verb}.*)", self.postfix.log())

    def wait_kept(self) -> bytes:
        """
        Wait for the one message that Postfix keeps.
        """
        wait_until("kept", lambda: len(self.postfix.kept()) == 1)
        return self.postfix.kept()[0].content

    def test_a_success_that_was_asked_for_is_told_by_the_last_hop(self) -> None:
        empath = self.instance()
        notify = ("NOTIFY=SUCCESS", "ORCPT=rfc822;you@elsewhere.test")
        self.give(empath, message(), "ENVID=QQ314", "RET=HDRS", rcpt_options=notify)
        self.wait_kept()
        self.assertIn(" ENVID=QQ314", self.commands("MAIL")[-1])
        self.assertIn(" RET=HDRS", self.commands("MAIL")[-1])
        self.assertIn(" NOTIFY=SUCCESS", self.commands("RCPT")[-1])
        of_message, of_recipient, _ = self.report()
        self.assertEqual(of_message["Original-Envelope-Id"], "QQ314")
        self.assertIn("postfix.test", of_message["Reporting-MTA"])
        self.assertEqual(of_recipient["Action"], "delivered")
        self.assertIn("you@elsewhere.test", of_recipient["Original-Recipient"])
        self.assertEqual(len(self.server.arrived(SENDER)), 1)

    def test_large_mail_goes_in_chunks_and_arrives_whole(self) -> None:
        empath = self.instance()
        self.give(empath, LARGE)
        self.assertTrue(self.wait_kept().endswith(LARGE.replace(b"\r\n", b"\n")))
        self.assertTrue(self.commands("BDAT")[-1].endswith("LAST"))
        self.assertEqual(self.commands("DATA"), [])

    def test_addresses_and_headers_in_utf8(self) -> None:
        empath = self.instance()
        content = "From: <sender@origin.test>\r\nSubject: Grüße\r\n\r\nhi\r\n".encode()
        self.give(empath, content, "SMTPUTF8", "BODY=8BITMIME", to="jürgen@one.test")
        self.assertIn("Subject: Grüße\n".encode(), self.wait_kept())
        self.assertIn("SMTPUTF8", self.commands("MAIL")[-1])
        self.give(empath, message(), to="plain@one.test")
        wait_until("both", lambda: len(self.postfix.kept()) == 2)
        self.assertNotIn("SMTPUTF8", self.commands("MAIL")[-1])

    def test_eight_bit_mail_is_declared(self) -> None:
        empath = self.instance()
        content = message() + "Grüße\r\n".encode()
        self.give(empath, content, "BODY=8BITMIME")
        self.assertTrue(self.wait_kept().endswith(content.replace(b"\r\n", b"\n")))
        self.assertIn("BODY=8BITMIME", self.commands("MAIL")[-1])


class LackingTests(OnwardCase):
    """
    Next hops that lack an extension which a message needs.
    """

    MIME = (
        "From: <sender@origin.test>\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="=b="\r\n\r\npreamble\r\n--=b=\r\n'
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n--=b=\r\n"
        "Content-Type: text/html; charset=utf-8\r\n\r\n<p>only ascii</p>\r\n--=b=--\r\n"
    ).encode()

    def test_without_8bitmime_the_parts_are_encoded(self) -> None:
        empath = self.offering(*WITHOUT_8BIT)
        self.give(empath, self.MIME, "BODY=8BITMIME")
        stored = self.arrived()
        self.assertTrue((stored.content or b"").isascii())
        self.assertNotIn(b"BODY", stored.mail)
        first, second = parsed(stored).iter_parts()
        self.assertEqual(first.get_content().strip(), "Grüße aus Köln")
        self.assertIn(first["Content-Transfer-Encoding"], ("quoted-printable", "base64"))
        self.assertEqual(second.get_content().strip(), "<p>only ascii</p>")

    def test_without_8bitmime_what_was_signed_is_not_touched(self) -> None:
        empath = self.offering(*WITHOUT_8BIT)
        signed = self.MIME.replace(b"multipart/mixed;", b'multipart/signed; protocol="application/pgp-signature";')
        self.give(empath, signed, "BODY=8BITMIME")
        _, of_recipient, _ = self.report()
        self.assertEqual(of_recipient["Action"], "failed")
        self.assertEqual(of_recipient["Status"], "5.6.3")
        self.assertEqual(self.server.arrived(YOU), [])

    def test_without_smtputf8_the_sender_is_told_5_6_7(self) -> None:
        empath = self.offering(*DEFAULT_EXTENSIONS)
        self.give(empath, message(), "SMTPUTF8", "BODY=8BITMIME", to="jürgen@one.test")
        _, of_recipient, stored = self.report()
        self.assertEqual((of_recipient["Action"], of_recipient["Status"]), ("failed", "5.6.7"))
        self.assertTrue(stored.mail.isascii() and stored.rcpt[0].isascii())
        self.assertEqual(len(asked(self.server, b"MAIL")), 1)

    def test_smtputf8_is_asked_for_only_if_it_is_needed(self) -> None:
        empath = self.offering(*DEFAULT_EXTENSIONS)
        self.give(empath, message(), "SMTPUTF8", "BODY=8BITMIME")
        self.assertNotIn(b"SMTPUTF8", self.arrived().mail)

    def test_without_dsn_a_success_is_answered_by_our_own_report(self) -> None:
        empath = self.offering(*DEFAULT_EXTENSIONS)
        notify = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;you@elsewhere.test")
        self.give(empath, message(), "ENVID=QQ314", rcpt_options=notify)
        self.assertNotIn(b"ENVID", self.arrived().mail)
        self.assertNotIn(b"NOTIFY", self.arrived().rcpt[0])
        of_message, of_recipient, _ = self.report()
        self.assertEqual(of_message["Original-Envelope-Id"], "QQ314")
        self.assertEqual((of_recipient["Action"], of_recipient["Status"][0]), ("relayed", "2"))
        self.assertIn("you@elsewhere.test", of_recipient["Original-Recipient"])

    def test_notify_never_is_never_answered(self) -> None:
        empath = self.offering(*DEFAULT_EXTENSIONS)
        self.server.script.on("RCPT", says(550, "5.1.1 unknown"), argument="never@")
        self.give(empath, message(), to="never@one.test", rcpt_options=("NOTIFY=NEVER",))
        empath.wait_logged("never@one.test", "status=bounced")
        self.give(empath, message(), to="last@one.test")
        self.arrived("last@one.test")
        self.assertEqual(self.server.arrived(SENDER), [])

    def test_a_message_larger_than_the_offered_size_is_returned_unsent(self) -> None:
        empath = self.offering("PIPELINING", "SIZE 100000", "8BITMIME", "ENHANCEDSTATUSCODES")
        self.give(empath, LARGE)
        _, of_recipient, _ = self.report()
        self.assertEqual((of_recipient["Action"], of_recipient["Status"]), ("failed", "5.3.4"))
        self.assertEqual(len(asked(self.server, b"MAIL")), 1)

    def test_the_peers_limits_are_obeyed(self) -> None:
        """
        RFC 9422: no more recipients in a transaction, and no more transactions in a session, than it says.
        """
        empath = self.offering(*DEFAULT_EXTENSIONS, "LIMITS MAILMAX=2 RCPTMAX=3")
        yous = [f"you{nth}@one.test" for nth in range(10)]
        self.send(empath, yous)
        for you in yous:
            self.arrived(you)
        self.assertLessEqual(max(len(each.rcpt) for each in self.server.stored), 3)
        self.assertGreaterEqual(self.server.connections, 2)

    def test_chunks_to_a_server_that_offers_them(self) -> None:
        empath = self.offering(*DEFAULT_EXTENSIONS, "CHUNKING")
        self.give(empath, LARGE)
        self.assert_relayed(self.arrived().content, LARGE)
        self.assertTrue(asked(self.server, b"BDAT"))
        self.assertEqual(asked(self.server, b"DATA"), [])
