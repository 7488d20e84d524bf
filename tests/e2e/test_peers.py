"""
The peers are evidence only if they keep what they get: they are tested here without empath.
"""

from __future__ import annotations

import smtplib

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.debian_peers import Postfix, SmtpSink, smtp_source, swaks
from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.ports import free_port
from tests.e2e.processes import temporary_folder, wait_until
from tests.e2e.sameness import first_difference, relayed_difference
from tests.e2e.scripted import Close, says
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.unbound import LocalDns, mail_zone, null_mx

AWKWARD = (
    b"Subject: x\r\n\r\n.dot\r\n..two\r\n.\rcr\n.lf\r\n" + b"y" * 100000 + b"\r\n" + bytes(range(128, 256)) + b"\r\n"
)
PLAIN = b"Subject: x\r\n\r\n.dot\r\n..two\r\n" + b"y" * 100000 + b"\r\n" + bytes(range(128, 256)) + b"\r\n"


class PeerTests(SynchronousTestCase):
    """
    Each peer keeps a message byte for byte.
    """

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.port = free_port("127.0.0.1", "127.0.0.31")

    def storing(self) -> StoringSmtpServer:
        """
        Start a storing server that ends with the test.
        """
        server = StoringSmtpServer("127.0.0.31", self.port)
        server.start()
        self.addCleanup(server.stop)
        return server

    def test_storing_server_keeps_every_byte(self) -> None:
        server = self.storing()
        with Dialogue(self.port, "127.0.0.31") as client:
            client.greet()
            self.assertEqual(client.post("a@b.test", ["c@d.test", "e@d.test"], AWKWARD).code, 250)
        [stored] = server.stored
        self.assertEqual(first_difference(stored.content or b"", AWKWARD), "")
        self.assertEqual(stored.size, len(AWKWARD))
        self.assertEqual((stored.sender, stored.recipients), ("a@b.test", ("c@d.test", "e@d.test")))

    def test_storing_server_takes_pipelined_commands_and_an_empty_message(self) -> None:
        server = self.storing()
        with Dialogue(self.port, "127.0.0.31") as client:
            client.greet()
            client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@d.test>\r\nDATA\r\n.\r\nQUIT\r\n")
            self.assertEqual([client.reply().code for _ in range(2)], [250, 250])
            self.assertEqual([client.reply().code for _ in range(3)], [354, 250, 221])
        self.assertEqual(server.stored[0].content, b"")

    def test_storing_server_follows_its_script(self) -> None:
        server = self.storing()
        server.script.on("RCPT", says(451, "4.3.0 later"), times=1)
        server.script.on("RCPT", says(550, "5.1.1 no"), argument="no@")
        server.script.on("CONTENT", Close(), times=1)
        with Dialogue(self.port, "127.0.0.31") as client:
            client.greet()
            client.say("MAIL FROM:<a@b.test>")
            heard = [client.say(f"RCPT TO:<{name}@d.test>").code for name in ("yes", "yes", "no")]
            self.assertEqual(heard, [451, 250, 550])
            client.say("DATA")
            client.send(b"x\r\n.\r\n")
            self.assertRaises(Closed, client.reply)
        self.assertEqual(len(server.arrived("yes@d.test")), 1)

    def test_smtp_sink_keeps_every_byte_but_the_form_of_line_ends(self) -> None:
        sink = SmtpSink("127.0.0.31", self.port, self.folder / "sink")
        sink.start()
        self.addCleanup(sink.stop)
        with smtplib.SMTP("127.0.0.31", self.port) as client:
            client.sendmail("a@b.test", ["c@d.test"], PLAIN)
        [dumped] = sink.dumped()
        self.assertEqual(first_difference(dumped.content, PLAIN.replace(b"\r\n", b"\n")), "")
        self.assertEqual(dumped.recipients, ("c@d.test",))

    def test_postfix_keeps_every_byte_but_the_form_of_line_ends(self) -> None:
        postfix = Postfix("127.0.0.31", self.port, "d.test", self.folder / "postfix")
        self.addCleanup(postfix.stop)
        postfix.start()
        with smtplib.SMTP("127.0.0.31", self.port) as client:
            client.sendmail("a@b.test", ["c@d.test"], PLAIN)
        wait_until("kept", lambda: len(postfix.kept()) == 1)
        [kept] = postfix.kept()
        self.assertEqual(first_difference(kept.content, PLAIN.replace(b"\r\n", b"\n")), "")
        self.assertEqual(kept.recipients, ("c@d.test",))

    def test_debian_clients_reach_a_storing_server(self) -> None:
        server = self.storing()
        server.address, self.port = "127.0.0.1", free_port()
        server.stop()
        server.port = self.port
        server.start()
        smtp_source(self.port, "a@b.test", "c@d.test", 20, sessions=4)
        swaks(self.port, "a@b.test", "swaks@d.test", "hello")
        self.assertEqual(len(server.stored), 21)
        self.assertEqual(len({each.recipients for each in server.stored}), 21)

    def test_comparing_allows_one_received_header_and_nothing_else(self) -> None:
        trace = b"Received: from a\r\n\tby b;\r\n\tSat\r\n"
        self.assertEqual(relayed_difference(trace + PLAIN, PLAIN), "")
        for wrong in (PLAIN, trace + trace + PLAIN, trace + PLAIN[:-3], b"X: y\r\n" + trace + PLAIN):
            self.assertNotEqual(relayed_difference(wrong, PLAIN), "")

    def test_local_dns_serves_its_zone_and_changes_it(self) -> None:
        dns = LocalDns(self.folder / "dns")
        self.addCleanup(dns.stop)
        dns.serve(mail_zone("one.test", "127.0.0.11", "127.0.0.12") + null_mx("null.test"))
        dns.serve(null_mx("one.test"))
        dns.stop()
        dns.resume()
