"""
Hostile and clumsy input over real sockets: each has its reply, and the process goes on.
"""

from __future__ import annotations

import re

from tests.e2e.dialogue import Closed, Dialogue, Heard
from tests.e2e.harness import SENDER, EndToEndTestCase, message
from tests.e2e.storing import StoringSmtpServer

YOU = "you@one.test"


class InputTests(EndToEndTestCase):
    """
    One instance that relays for 127.0.0.1 only; every test ends with a message that must go through.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server: StoringSmtpServer = self.peer("127.0.0.11")
        limits = {"max_message_size": "100KiB", "max_errors": 5, "max_recipients": 3, "timeouts": {"command": "3s"}}
        relay = {"networks": ["127.0.0.1/32"], "domains": ["ours.test"], "recipients": "any"}
        self.instance = self.to_peer(self.server, {"smtp": limits, "relay": relay})
        self.client = self.connect()
        self.client.greet()

    def connect(self, source: str = "127.0.0.1") -> Dialogue:
        """
        Open one more connection.
        """
        client = Dialogue(self.instance.port, source=source)
        self.addCleanup(client.close)
        return client

    def assert_heard(self, heard: Heard, code: int, status: str = "") -> None:
        """
        The reply has this code, and every line of it begins with this enhanced status code.
        """
        self.assertEqual(heard.code, code, str(heard))
        for line in heard.lines:
            self.assertTrue(line.startswith(status), str(heard))

    def assert_well(self, client: Dialogue | None = None) -> None:
        """
        The process lives and takes mail, on `client` if given; only that one arrives.
        """
        with Dialogue(self.instance.port) as fresh:
            if client is None:
                fresh.greet()
            self.assert_heard((client or fresh).post(SENDER, ["well@one.test"], message()), 250, "2.0.0 Ok: queued as ")
        self.wait_arrived(self.server, "well@one.test")
        self.assertEqual(len(self.server.stored), 1)
        self.assertIsNone(self.instance.running().exit_code)

    def begin(self) -> None:
        """
        Go on to 354.
        """
        self.assert_heard(self.client.say(f"MAIL FROM:<{SENDER}>"), 250, "2.1.0")
        self.assert_heard(self.client.say(f"RCPT TO:<{YOU}>"), 250, "2.1.5")
        self.assert_heard(self.client.say("DATA"), 354)

    def test_an_over_long_command_line_is_refused(self) -> None:
        self.assert_heard(self.client.say("NOOP " + "x" * 100_000), 500, "5.5.2")
        self.assert_well(self.client)

    def test_an_endless_command_line_does_not_fill_memory(self) -> None:
        before = self.instance.memory()
        for _ in range(200):
            self.client.send(b"y" * 100_000)
        self.client.send(b"\r\n")
        self.assert_heard(self.client.reply(), 500, "5.5.2")
        self.assertLess(self.instance.memory() - before, 10_000_000)
        self.assert_well()

    def test_a_bare_line_feed_in_a_command_is_refused(self) -> None:
        self.client.send(b"NOOP\nNOOP\r\n")
        self.assert_heard(self.client.reply(), 500, "5.5.2")
        self.assert_well(self.client)

    def test_nul_and_eight_bit_commands_are_refused(self) -> None:
        for line in (b"NO\0OP", b"\xff\xfe\xfd", b"MAIL FROM:<a\0b@one.test>", b"EHLO \xff"):
            heard = self.client.say(line)
            self.assertIn(heard.code, (500, 501), str(heard))
        self.assert_well(self.client)

    def test_commands_in_the_wrong_order_are_503(self) -> None:
        fresh = self.connect()
        fresh.reply()
        self.assert_heard(fresh.say(f"MAIL FROM:<{SENDER}>"), 503)
        self.assert_heard(self.client.say(f"RCPT TO:<{YOU}>"), 503, "5.5.1")
        self.assert_heard(self.client.say("DATA"), 503, "5.5.1")
        self.client.say(f"MAIL FROM:<{SENDER}>")
        self.assert_heard(self.client.say(f"MAIL FROM:<{SENDER}>"), 503, "5.5.1")
        self.client.say("RSET")
        self.assert_well(self.client)

    def test_unknown_commands_syntax_and_parameters_have_their_codes(self) -> None:
        for line, code, status in (
            ("FROBNICATE", 500, "5.5.2"),
            ("MAIL FROM:nobody", 501, "5.1.7"),
            (f"MAIL FROM:<{SENDER}> COLOUR=red", 555, "5.5.4"),
            (f"MAIL FROM:<{SENDER}> SIZE=999999999", 552, "5.3.4"),
        ):
            self.assert_heard(self.client.say(line), code, status)
        self.assert_heard(self.client.say("VRFY you"), 252, "2.0.0")
        self.assert_well(self.client)

    def test_too_many_errors_end_the_session_with_421(self) -> None:
        self.assertEqual([self.client.say("WHAT").code for _ in range(5)], [500] * 5)
        self.assert_heard(self.client.reply(), 421, "4.7.0")
        self.assertTrue(self.client.at_end())
        self.assert_well()

    def test_too_many_recipients_are_452(self) -> None:
        self.client.say(f"MAIL FROM:<{SENDER}>")
        heard = [self.client.say(f"RCPT TO:<r{nth}@one.test>") for nth in range(4)]
        self.assertEqual([each.code for each in heard], [250, 250, 250, 452])
        self.assert_heard(heard[-1], 452, "4.5.3")
        self.client.say("RSET")
        self.assert_well(self.client)

    def test_content_beyond_the_limit_is_552_after_its_end(self) -> None:
        self.begin()
        self.client.send((b"z" * 1000 + b"\r\n") * 200 + b".\r\n")
        self.assert_heard(self.client.reply(), 552, "5.3.4")
        self.assert_well(self.client)

    def test_a_mail_loop_is_554(self) -> None:
        self.begin()
        self.client.send(b"Received: from a by b; today\r\n" * 101 + b"\r\nx\r\n.\r\n")
        self.assert_heard(self.client.reply(), 554, "5.4.6")
        self.assert_well(self.client)

    def test_an_untrusted_address_may_not_relay_but_may_send_to_our_domains(self) -> None:
        stranger = self.connect(source="127.0.0.2")
        stranger.greet()
        stranger.say(f"MAIL FROM:<{SENDER}>")
        self.assert_heard(stranger.say(f"RCPT TO:<{YOU}>"), 550, "5.7.1")
        self.assert_heard(stranger.say("RCPT TO:<any@ours.test>"), 250, "2.1.5")
        self.assert_well()

    def test_smuggling_is_refused_whole(self) -> None:
        inner = f"MAIL FROM:<evil@one.test>\r\nRCPT TO:<{YOU}>\r\nDATA\r\nsmuggled\r\n".encode()
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n\r.\n"):
            self.client = self.connect()
            self.client.greet()
            self.begin()
            self.client.send(b"Subject: x\r\n\r\nouter" + end + inner + b".\r\n")
            self.assert_heard(self.client.reply(), 550, "5.5.2")
            self.assert_heard(self.client.say("NOOP"), 250, "2.0.0")
        self.assert_well(self.client)

    def test_replies_to_pipelined_commands_keep_their_order(self) -> None:
        self.client.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{YOU}>\r\nBAD\r\nNOOP\r\nRSET\r\nVRFY x\r\n".encode())
        self.assertEqual([self.client.reply().code for _ in range(6)], [250, 250, 500, 250, 250, 252])
        self.assert_well(self.client)

    def test_a_session_byte_by_byte_is_as_good_as_any(self) -> None:
        for byte in f"MAIL FROM:<{SENDER}>\r\n".encode():
            self.client.send(bytes([byte]))
        self.assert_heard(self.client.reply(), 250, "2.1.0")
        self.client.say("RSET")
        self.assert_well(self.client)

    def test_silence_ends_with_421_after_the_time_limit(self) -> None:
        self.assert_heard(self.client.reply(), 421, "4.4.2")
        self.assertTrue(self.client.at_end())
        self.assert_well()

    def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(self) -> None:
        self.begin()
        self.client.send(b"Subject: half\r\n\r\nand then")
        self.client.close()
        self.assert_well()

    def test_the_first_replies_are_the_contracts(self) -> None:
        fresh = self.connect()
        self.assertEqual(str(fresh.reply()), "220 mx.empath.test ESMTP empath")
        heard = fresh.say("EHLO client.test")
        self.assertEqual(heard.lines[0], "mx.empath.test greets client.test")
        words = {line.split()[0] for line in heard.lines[1:]}
        self.assertLessEqual({"SIZE", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}, words)
        self.assertIn(f"SIZE {100 * 1024}", heard.lines)
        heard = fresh.post(SENDER, [YOU], message())
        self.assertRegex(str(heard), r"\A250 2\.0\.0 Ok: queued as [0-9A-HJKMNP-TV-Z]{26}\Z")
        self.assert_heard(fresh.say("QUIT"), 221, "2.0.0")
        self.assertTrue(fresh.at_end())

    def test_random_bytes_do_not_harm(self) -> None:
        noise = bytes(range(256)) * 40
        for shift in range(3):
            client = self.connect()
            client.reply()
            try:
                client.send(noise[shift:] + b"\r\n" * 20)
                while re.match("[245]", str(client.reply())):
                    pass
            except (Closed, ConnectionError):
                pass
        self.assert_well()
