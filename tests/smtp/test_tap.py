"""
What sessions let be overheard.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.client_chunks import CHUNK_SIZE
from empath.smtp.client_events import Terms
from empath.smtp.sasl import Credentials
from empath.smtp.tap import Tap
from tests.smtp.client_driver import CONTENT, PIPELINING, SENT, Driver, consignment
from tests.smtp.recording_tap import RecordingTap
from tests.smtp.server_peer import QUEUE_ID, Peer, rules

ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"


class ServerTests(SynchronousTestCase):
    """
    A server's session tells lines, secrets and content apart, as only it can.
    """

    def overheard(self, peer: Peer, *turns: bytes) -> list[str]:
        """
        Let a client say some turns, tell what was overheard.
        """
        recording = RecordingTap()
        tap: Tap = recording
        peer.send(b"EHLO client.example\r\n")
        peer.session.tap = tap
        for turn in turns:
            peer.send(turn)
        return recording.told

    def test_a_transaction(self) -> None:
        """
        Commands as they are read, replies as they are sent, content as octets with its final dot.
        """
        said = self.overheard(Peer(rules()), ENVELOPE + b"DATA\r\n", b"x: y\r\n\r\nz\r\n.\r\nNOOP\r\n")
        self.assertEqual(said[:3], ["< MAIL FROM:<a@b.example>", "< RCPT TO:<c@d.example>", "< DATA"])
        self.assertTrue(said[5].startswith("> 354"))
        self.assertEqual(said[6:8], ["content 14", "< NOOP"])
        self.assertEqual(said[8:], [f"> 250 2.0.0 Ok: queued as {QUEUE_ID}", "> 250 2.0.0 Ok"])

    def test_chunks(self) -> None:
        """
        BDAT is a line, its octets are content, also those of a chunk that is refused.
        """
        said = self.overheard(Peer(rules()), ENVELOPE + b"BDAT 4\r\nx:y\r", b"BDAT 1 LAST\r\n\n")
        self.assertEqual(
            [each for each in said if each[0] != ">"][2:], ["< BDAT 4", "content 4", "< BDAT 1 LAST", "content 1"]
        )
        refused = self.overheard(Peer(rules()), b"BDAT 5\r\nMAI", b"L ")
        self.assertEqual(refused[:3], ["< BDAT 5", "content 3", "content 2"])

    def test_logins(self) -> None:
        """
        A response to a challenge is a secret whatever it looks like; so is one that gives up.
        """
        peer = Peer(rules(auth=True), mechanisms=("PLAIN", "LOGIN"), cleartext=True)
        said = self.overheard(peer, b"AUTH LOGIN\r\nQUIT\r\nMTIzNA==\r\n", b"RSET\r\n")
        self.assertEqual([each for each in said if each[0] != ">"], ["< AUTH LOGIN", "secret", "secret", "< RSET"])

    def test_lines_with_faults(self) -> None:
        """
        What is wrong with them is told, not the line, of which not all is kept.
        """
        said = self.overheard(Peer(rules()), b"NOOP \n\r\n" + b"x" * 5000 + b"\r\n")
        faults = ["< [a line with a fault: bare newline]", "< [a line with a fault: too long]"]
        self.assertEqual([each for each in said if each[0] == "<"], faults)

    def test_counts(self) -> None:
        """
        A session tells how many messages it took, and how many errors count since then.
        """
        peer = Peer(rules())
        peer.send(b"EHLO c\r\nNONSENSE\r\nNONSENSE\r\n")
        self.assertEqual((peer.session.messages, peer.session.errors), (0, 2))
        peer.send(ENVELOPE + b"DATA\r\nx\r\n.\r\n")
        self.assertEqual((peer.session.messages, peer.session.errors), (1, 0))


class ClientTests(SynchronousTestCase):
    """
    A client's session tells what it sends apart in the same way.
    """

    def driver(self, terms: Terms | None = None) -> tuple[Driver, list[str]]:
        """
        Make a session that is overheard.
        """
        driver = Driver() if terms is None else Driver(terms)
        recording = RecordingTap()
        driver.session.tap = recording
        return driver, recording.told

    def test_a_transaction(self) -> None:
        """
        From the greeting on: lines both ways, content as it goes over the wire.
        """
        driver, told = self.driver()
        driver.say(b"220 hello\r\n", PIPELINING).begin(consignment())
        driver.say(b"250 a\r\n250 b\r\n354 c\r\n", b"250 2.0.0 d\r\n")
        self.assertEqual(told[:2], ["< 220 hello", "> EHLO client.example.net"])
        self.assertEqual(told[6:9], ["> MAIL FROM:<a@example.net> SIZE=23", "> RCPT TO:<b@example.org>", "> DATA"])
        content = [int(each.split()[1]) for each in told if each.startswith("content")]
        self.assertEqual(sum(content), len(SENT))
        self.assertEqual(told[-1], "< 250 2.0.0 d")
        self.assertEqual(driver.session.host, "mx.example.org")

    def test_the_last_transaction(self) -> None:
        """
        QUIT behind the final dot is a line of its own.
        """
        driver, told = self.driver()
        driver.say(b"220 hello\r\n", PIPELINING).begin(consignment(), last=True)
        driver.say(b"250 a\r\n250 b\r\n354 c\r\n")
        self.assertEqual(told[-1], "> QUIT")

    def test_chunks(self) -> None:
        """
        Each BDAT is a line, once, however many pieces its chunk comes in.
        """
        driver, told = self.driver()
        driver.content = b"x" * (CHUNK_SIZE + 10)
        driver.say(b"220 hello\r\n", b"250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n")
        driver.begin(consignment(chunked=True, size=len(driver.content)))
        driver.say(b"250 a\r\n250 b\r\n", b"250 c\r\n")
        lines = [each for each in told if each.startswith(("> BDAT", "content"))]
        sizes = [f"> BDAT {CHUNK_SIZE}", f"content {CHUNK_SIZE}", "> BDAT 10 LAST", "content 10"]
        self.assertEqual(lines, sizes)
        self.assertNotIn(f"content {len(CONTENT)}", told)

    def test_logins(self) -> None:
        """
        They are told as they are: whoever listens has to mask them.
        """
        driver, told = self.driver(Terms("c", "mx", secured=True, credentials=Credentials("user", "secret")))
        driver.say(b"220 x\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"235 in\r\n")
        self.assertEqual(told[-2:], ["> AUTH PLAIN AHVzZXIAc2VjcmV0", "< 235 in"])
