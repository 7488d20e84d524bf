"""
PROXY headers and XCLIENT from clients that are not listed: nothing is gained.
"""

from __future__ import annotations

import contextlib
import struct
from typing import Any, Final

from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.harness import SENDER, message
from tests.e2e.program import Empath
from tests.e2e.serving import ServingCase, asked

STRANGER: Final = "127.0.0.9"  # not among those that may relay, nor among the proxies
RELAY: Final = {"networks": ["127.0.0.7/32", "192.0.2.0/24"], "domains": ["ours.test"], "recipients": "any"}
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V1: Final = b"PROXY TCP4 192.0.2.8 192.0.2.1 1234 25\r\n"
V2: Final = SIGNATURE + b"\x21\x11" + struct.pack(">H4s4s2H", 12, b"\xc0\0\2\x08", b"\xc0\0\2\1", 1234, 25)
LOCAL: Final = SIGNATURE + b"\x20\0\0\0"


class ForgedCase(ServingCase):
    """
    A stranger, of whom nothing may be relayed.
    """

    def instance(self, smtp: dict[str, Any]) -> Empath:
        """
        Start empath with these settings of [smtp].
        """
        empath = self.serving({"smtp": smtp, "relay": RELAY})
        empath.start()
        return empath

    def stranger(self, empath: Empath) -> Dialogue:
        """
        Connect as the stranger.
        """
        client = Dialogue(empath.port, source=STRANGER)
        self.addCleanup(client.close)
        return client

    def assert_stranger_still(self, empath: Empath, client: Dialogue) -> None:
        """
        Relaying is refused to this client, and mail for us is marked with the address that it really has.
        """
        client.say("RSET")
        self.assertEqual(client.say(f"MAIL FROM:<{SENDER}>").code, 250)
        refused = client.say("RCPT TO:<you@one.test>")
        self.assertEqual((refused.code, refused.lines[0][:5]), (550, "5.7.1"))
        client.say("RSET")
        self.assertEqual(client.post(SENDER, ["us@ours.test"], message()).code, 250)
        received = self.received("us@ours.test")
        self.assertIn(f"[{STRANGER}]", received)
        self.assertNotIn("192.0.2.", received)
        self.assertNotIn("told.test", received)
        self.assertEqual(asked(self.server, b"RCPT TO:<you@"), [])
        self.assertTrue(empath.alive())


class ForgedXclientTests(ForgedCase):
    """
    XCLIENT.
    """

    def test_xclient_is_refused_and_changes_nothing(self) -> None:
        for listed in ([], ["127.0.0.7/32"]):
            empath = self.instance({"xclient": listed})
            client = self.stranger(empath)
            self.assertNotIn("XCLIENT", str(client.greet()))
            for attributes in ("ADDR=192.0.2.7", "NAME=told.test", "LOGIN=admin", "ADDR=192.0.2.7 LOGIN=admin HELO=x"):
                heard = client.say(f"XCLIENT {attributes}")
                self.assertIn(heard.code, (502, 550), str(heard))
            self.assert_stranger_still(empath, client)
            empath.stop()
            self.server.stored.clear()


class ForgedProxyTests(ForgedCase):
    """
    PROXY headers.
    """

    def test_a_header_from_somebody_else_is_a_syntax_error_in_smtp(self) -> None:
        empath = self.instance({"proxies": ["127.0.0.7/32"]})
        client = self.stranger(empath)
        client.send(V1)
        self.assertEqual(client.reply().code, 220)
        self.assertEqual(client.reply().code, 500)
        self.assertEqual(client.say("EHLO client.test").code, 250)
        self.assert_stranger_still(empath, client)

    def test_a_binary_header_from_somebody_else_gains_nothing(self) -> None:
        for smtp in ({}, {"proxies": ["127.0.0.7/32"]}):
            empath = self.instance(smtp)
            for header in (V1, V2, LOCAL):
                self.try_to_relay(empath, header)
            self.assertEqual(self.server.stored, [])
            client = self.stranger(empath)
            client.greet()
            self.assert_stranger_still(empath, client)
            empath.stop()
            self.server.stored.clear()

    def try_to_relay(self, empath: Empath, header: bytes) -> None:
        """
        Say the header and a whole transaction at once; whatever is answered.
        """
        client = self.stranger(empath)
        with contextlib.suppress(Closed, OSError, ValueError):
            client.send(
                header + b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<you@one.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
            )
            while client.reply().code != 221:
                pass
        client.close()

    def test_a_proxy_that_says_no_header_is_not_served(self) -> None:
        empath = self.instance({"proxies": ["127.0.0.7/32"]})
        client = self.proxied(empath)
        client.send(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<you@one.test>\r\nDATA\r\n")
        with contextlib.suppress(Closed, OSError):
            while True:
                self.assertGreaterEqual(client.reply().code, 400)
        self.assertEqual(self.server.stored, [])

    def proxied(self, empath: Empath) -> Dialogue:
        """
        Connect as the listed proxy.
        """
        client = Dialogue(empath.port, source="127.0.0.7")
        self.addCleanup(client.close)
        return client

    def test_a_listed_proxys_header_may_come_byte_by_byte(self) -> None:
        empath = self.instance({"proxies": ["127.0.0.7/32"]})
        for nth, header in enumerate((V1, V2)):
            client = self.proxied(empath)
            for at in range(len(header)):
                client.send(header[at : at + 1])
            client.greet()
            self.assertEqual(client.post(SENDER, [f"you{nth}@one.test"], message()).code, 250)
            self.assertIn("[192.0.2.8]", self.received(f"you{nth}@one.test"))

    def test_a_proxy_that_does_not_know_its_client_relays_nothing_for_it(self) -> None:
        empath = self.instance({"proxies": ["127.0.0.7/32"]})
        client = self.proxied(empath)
        client.send(b"PROXY UNKNOWN\r\n")
        with contextlib.suppress(Closed):
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}>")
            self.assertEqual(client.say("RCPT TO:<you@one.test>").code, 550)

    def test_a_listed_proxys_nonsense_ends_the_connection(self) -> None:
        empath = self.instance({"proxies": ["127.0.0.7/32"]})
        for header in (b"PROXY TCP4 999.0.2.8 192.0.2.1 1 25\r\n", b"PROXY " + b"x" * 200, SIGNATURE + b"\x31\x11\0\0"):
            client = self.proxied(empath)
            with contextlib.suppress(Closed, OSError):
                client.send(header + b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<you@one.test>\r\n")
                while True:
                    self.assertGreaterEqual(client.reply().code, 400)
        self.assertEqual(self.server.stored, [])
        self.assertTrue(empath.alive())
