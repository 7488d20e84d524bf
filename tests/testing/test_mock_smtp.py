"""
Requirements on MockSmtpServer: it is a good server, and misbehaves exactly as it is told.
"""

from __future__ import annotations

import base64

from twisted.internet.interfaces import IProtocolFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.testing import Disconnected, MockSmtpServer, NoReply
from tests.testing.support import CONTENT, Pair

MAIL = "MAIL FROM:<a@b.example>"
RCPT = "RCPT TO:<c@d.example>"


class UsualTests(SynchronousTestCase):
    """
    A server that is told nothing.
    """

    def setUp(self) -> None:
        self.pair = Pair()
        self.server, self.client = self.pair.server, self.pair.client

    def test_it_keeps_messages_without_dot_stuffing(self) -> None:
        """
        The envelope with its parameters, the content as it was before it was sent, and when.
        """
        verifyObject(IProtocolFactory, self.server)
        self.assertEqual(self.pair.send("c@d.example", "e@d.example", parameters="SIZE=30"), "250 2.0.0 Ok: kept")
        (message,) = self.server.messages
        self.assertEqual((message.sender, message.recipients), ("a@b.example", ("c@d.example", "e@d.example")))
        self.assertEqual((message.content, message.parameters), (CONTENT, ("SIZE=30",)))
        self.assertEqual((message.header, message.body), (b"Subject: x", b".hidden\r\nend\r\n"))
        self.assertEqual(message.at, self.pair.world.seconds())
        self.assertEqual(self.server.arrived("e@d.example"), [message])
        self.assertEqual(self.server.commands[1:3], ["MAIL FROM:<a@b.example> SIZE=30", RCPT])
        self.assertEqual((self.server.sessions[0].name, self.server.sessions[0].peer), ("client.example", "192.0.2.7"))

    def test_content_in_pieces(self) -> None:
        """
        The final dot is found wherever the bytes are divided; a dot alone is an empty message.
        """
        for content, kept in ((b".\r\n", b""), (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"), (b"..a\r\n.\r\n", b".a\r\n")):
            self.client.ehlo()
            for line in (MAIL, RCPT, "DATA"):
                self.client.command(line)
            for at in range(len(content)):
                self.client.write(content[at : at + 1])
            self.assertEqual(self.client.reply()[:3], "250")
            self.assertEqual(self.server.messages[-1].content, kept)
            self.assertEqual(self.client.quit()[:3], "221")
            self.assertEqual(self.server.open, 0)

    def test_pipelining(self) -> None:
        """
        Commands that come at once are answered in their order.
        """
        self.client.ehlo()
        self.client.write(f"{MAIL}\r\n{RCPT}\r\nDATA\r\n".encode())
        codes = [self.client.reply()[:3] for _ in range(3)]
        self.client.write(b"x\r\n.\r\nNOOP\r\nQUIT\r\n")
        self.assertEqual(
            codes + [self.client.reply()[:3] for _ in range(3)], ["250", "250", "354", "250", "250", "221"]
        )

    def test_commands_out_of_order(self) -> None:
        """
        Each has its 503, and what cannot be read its 50z.
        """
        self.client.connect()
        said = [self.client.command(line)[:3] for line in (MAIL, "EHLO x", RCPT, "DATA", MAIL, MAIL, "DATA", RCPT)]
        self.assertEqual(said, ["503", "250", "503", "503", "250", "503", "503", "250"])
        lines = ("RSET", "DATA", "WHAT", "", "EHLO", "MAIL FROM:a", "MAIL TO:<a>", "VRFY a", "HELO y", "x" * 5000)
        said = [self.client.command(line)[:3] for line in lines]
        self.assertEqual(said, ["250", "503", "500", "500", "501", "501", "501", "252", "250", "500"])

    def test_parameters_that_were_not_offered(self) -> None:
        """
        A client may use only what EHLO listed, and no more octets than SIZE.
        """
        self.client.ehlo()
        said = [self.client.command(f"{MAIL} {word}")[:3] for word in ("RET=HDRS", "SMTPUTF8", "X=1", "SIZE=99999999")]
        self.assertEqual(said, ["555", "555", "555", "552"])
        self.assertEqual(self.client.command(f"{MAIL} BODY=8BITMIME SIZE=junk")[:3], "250")
        self.assertEqual(self.client.command(f"{RCPT} NOTIFY=NEVER")[:3], "555")
        self.assertEqual(self.client.command("BDAT 3 LAST")[:3], "502")
        self.assertEqual(self.client.command("STARTTLS")[:3] if self.client.connected else "gone", "gone")


class OfferedTests(SynchronousTestCase):
    """
    Keywords, TLS and logins.
    """

    def test_keywords_are_kept(self) -> None:
        """
        DSN and CHUNKING work once EHLO lists them.
        """
        builder = MockSmtpServer().with_ehlo_response(250, "mx.example", "DSN", "CHUNKING", "SIZE 100")
        pair = Pair(builder)
        self.assertEqual(pair.client.ehlo(), "250-mx.example\n250-DSN\n250-CHUNKING\n250 SIZE 100")
        for line in (f"{MAIL} RET=HDRS", f"{RCPT} NOTIFY=NEVER"):
            self.assertEqual(pair.client.command(line)[:3], "250")
        pair.client.write(b"BDAT 4\r\n.\r\nxBDAT 2 LAST\r\ny.")
        self.assertEqual([pair.client.reply()[:3] for _ in range(2)], ["250", "250"])
        (message,) = pair.server.messages
        self.assertEqual((message.content, message.recipient_parameters), (b".\r\nxy.", (("NOTIFY=NEVER",),)))
        for line in (MAIL, RCPT, "DATA"):
            pair.client.command(line)
        pair.client.write(b"x" * 101 + b"\r\n.\r\n")
        self.assertEqual(pair.client.reply()[:3], "552")

    def test_a_refused_chunk_spoils_the_others(self) -> None:
        """
        RFC 3030 §2: what follows a failed BDAT fails too, until RSET.
        """
        builder = MockSmtpServer().with_ehlo_response(250, "x", "CHUNKING").with_response("BDAT", 1, 451, "4.3.0 no")
        pair = Pair(builder)
        pair.client.ehlo()
        for line in (MAIL, RCPT):
            pair.client.command(line)
        pair.client.write(b"BDAT 1\r\nxBDAT 1 LAST\r\ny")
        self.assertEqual([pair.client.reply()[:3] for _ in range(2)], ["451", "503"])
        self.assertEqual(pair.server.messages, [])

    def test_tls(self) -> None:
        """
        STARTTLS is real; the session begins anew, and the message tells.
        """
        pair = Pair(MockSmtpServer().with_starttls())
        self.assertIn("250 STARTTLS", pair.client.ehlo())
        self.assertEqual(pair.client.starttls()[:3], "220")
        self.assertEqual(pair.client.command(MAIL)[:3], "503")
        self.assertNotIn("STARTTLS", pair.client.ehlo())
        self.assertEqual(pair.send()[:3], "250")
        self.assertTrue(pair.server.messages[0].tls)

    def test_tls_that_fails(self) -> None:
        """
        Refused with a reply, or broken in the handshake; offered in both cases.
        """
        pair = Pair(MockSmtpServer().with_starttls_failure())
        self.assertIn("250 STARTTLS", pair.client.ehlo())
        self.assertEqual(pair.client.starttls(), "454 4.7.0 TLS is not available")
        self.assertEqual(pair.send()[:3], "250")
        pair = Pair(MockSmtpServer().with_starttls_failure(220))
        pair.client.ehlo()
        self.assertEqual(pair.client.starttls()[:3], "220")
        self.assertFalse(pair.client.connected)

    def test_logins(self) -> None:
        """
        AUTH PLAIN with and without its initial response; no mail without it.
        """
        pair = Pair(MockSmtpServer().with_login("tim", "secret"))
        self.assertIn("250 AUTH PLAIN", pair.client.ehlo())
        token = base64.b64encode(b"\0tim\0secret").decode()
        said = (MAIL, "AUTH LOGIN", "AUTH PLAIN ***", "AUTH PLAIN AHRpbQBubw==", "AUTH PLAIN", token, "AUTH PLAIN x")
        self.assertEqual(
            [pair.client.command(line)[:3] for line in said], ["530", "504", "501", "535", "334", "235", "503"]
        )
        self.assertEqual(pair.send()[:3], "250")
        self.assertEqual(pair.server.messages[0].login, "tim")


class ScriptedTests(SynchronousTestCase):
    """
    Servers that misbehave.
    """

    def test_refusals(self) -> None:
        """
        Each step as it is told, and nothing is kept of what was refused.
        """
        plain = MockSmtpServer()
        for builder, wanted in (
            (plain.with_greeting(554, "5.3.2 no"), "554 5.3.2 no"),
            (plain.with_mail_from_response(550, "5.7.1 no"), "550 5.7.1 no"),
            (plain.with_rcpt_to_response(550, "5.1.1 unknown"), "550 5.1.1 unknown"),
            (plain.with_data_response(451, "4.3.0 no"), "451 4.3.0 no"),
            (plain.with_content_response(554, "5.6.0 no"), "554 5.6.0 no"),
            (plain.with_ehlo_response(502, "5.5.1 no"), "502 5.5.1 no"),
        ):
            pair = Pair(builder)
            self.assertEqual(pair.send(), wanted)
            self.assertEqual(pair.server.messages, [])

    def test_one_recipient_and_one_time(self) -> None:
        """
        A recipient's own answer, and the nth of a step counted over all sessions.
        """
        pair = Pair(MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown", "e@d.example"))
        self.assertEqual(pair.send("c@d.example", "e@d.example")[:3], "250")
        self.assertEqual(pair.client.refused, {"e@d.example": "550 5.1.1 unknown"})
        self.assertEqual(pair.server.messages[0].recipients, ("c@d.example",))
        pair = Pair(MockSmtpServer().with_response("RCPT", 2, 450, "4.2.0 later"))
        self.assertEqual([pair.send()[:3] for _ in range(3)], ["250", "450", "250"])
        pair.server.behave(MockSmtpServer().with_response("rcpt", 1, 451, "4.3.0 no"))
        self.assertEqual([pair.send()[:3] for _ in range(2)], ["451", "250"])

    def test_time(self) -> None:
        """
        Slow answers keep their order, a late greeting is late, and silence is for ever.
        """
        pair = Pair(MockSmtpServer().with_connection_delay(5).with_slow_response("MAIL", 7))
        begun = pair.world.seconds()
        self.assertEqual(pair.client.connect()[:3], "220")
        self.assertEqual(pair.world.seconds() - begun, 5.0)
        pair.client.ehlo()
        pair.client.write(f"{MAIL}\r\nNOOP\r\n".encode())
        self.assertRaises(NoReply, pair.client.reply, 6.0)
        self.assertEqual([pair.client.reply() for _ in range(2)], ["250 2.1.0 Ok", "250 2.0.0 Ok"])
        pair = Pair(MockSmtpServer().with_silence("RCPT"))
        self.assertRaises(NoReply, pair.send)
        pair.server.close()
        pair.world.settle()
        self.assertEqual((pair.server.open, pair.world.getDelayedCalls()), (0, []))

    def test_the_network(self) -> None:
        """
        A break after so many answered commands, at a command or at the content; pieces; a reply that is lost.
        """
        for commands, messages in ((0, 0), (2, 0), (4, 0), (5, 1)):
            pair = Pair(MockSmtpServer().with_network_error_after(commands))
            if messages:
                self.assertEqual(pair.send()[:3], "250")
            else:
                self.assertRaises(Disconnected, pair.send)
            self.assertEqual(len(pair.server.messages), messages)
        pair = Pair(MockSmtpServer().with_partial_writes(1))
        self.assertEqual(pair.send()[:3], "250")
        self.assertEqual(pair.client.quit()[:3], "221")
        pair = Pair(MockSmtpServer().with_lost_reply("CONTENT"))
        self.assertRaises(Disconnected, pair.send)
        self.assertEqual(len(pair.server.messages), 1)

    def test_nonsense(self) -> None:
        """
        Bytes that are no reply come as they are.
        """
        pair = Pair(MockSmtpServer().with_malformed_response("RCPT", b"999 what\r\n"))
        self.assertEqual(pair.send(), "999 what")
        pair = Pair(MockSmtpServer().with_malformed_response("GREETING"))
        self.assertIn("nonsense", pair.client.connect())

    def test_content_wanted_for_nobody(self) -> None:
        """
        A script may ask for content where there is no recipient, or no transaction at all.
        """
        pair = Pair(MockSmtpServer().with_data_response(354, "go").with_rcpt_to_response(550, "5.1.1 no"))
        pair.client.ehlo()
        for lines in ((MAIL, RCPT, "DATA"), ("DATA",)):
            said = [pair.client.command(line)[:3] for line in lines]
            self.assertEqual(said[-1], "354")
            pair.client.write(b".\r\n")
            self.assertEqual(pair.client.reply()[:3], "250")
        kept = [(each.sender, each.recipients, each.content) for each in pair.server.messages]
        self.assertEqual(kept, [("a@b.example", (), b""), ("", (), b"")])

    def test_what_cannot_be_scripted(self) -> None:
        """
        A step that does not exist and an empty write are errors; delays need a clock.
        """
        self.assertRaises(ValueError, MockSmtpServer().with_silence, "HELLO")
        self.assertRaises(ValueError, MockSmtpServer().with_partial_writes, 0)
        pair = Pair(MockSmtpServer().with_slow_response("EHLO", 1.0))
        pair.server.clock = None
        pair.client.connect()
        self.assertRaises(RuntimeError, pair.client.ehlo)
