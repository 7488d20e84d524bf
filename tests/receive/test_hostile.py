"""
Clients that mean no good, or send no sense.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.receive.support import BEGIN, World

SMUGGLING = [
    end + b"MAIL FROM:<evil@x.example>" + line + b"RCPT TO:<victim@d.example>" + line + b"DATA" + line
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\n\r.\r\n")
    for line in (b"\r\n", b"\n")
]


class HostileTests(SynchronousTestCase):
    """
    None of it gets further than a reply.
    """

    def test_smuggling(self) -> None:
        """
        No published false end of content lets a second message in.
        """
        for attempt in SMUGGLING:
            world = World()
            client = world.begun()
            said = client.say(b"Subject: x\r\n\r\nbody" + attempt + b"smuggled\r\n.\r\n")
            self.assertEqual(said, b"550 5.5.2 bare CR or LF in the message\r\n", attempt)
            self.assertEqual((world.stored, world.refusals()), ([], ["DATA 550 5.5.2 bare CR or LF in the message"]))

    def test_flood_of_errors(self) -> None:
        """
        Nonsense without end is cut off after max_errors.
        """
        world = World()
        client = world.connect()
        client.heard()
        said = client.say(b"\x16\x03\x01 nonsense\r\n" * 10000)
        self.assertEqual(said.count(b"\r\n"), 21)
        self.assertTrue(said.endswith(b"421 4.7.0 too many errors\r\n"))
        self.assertTrue(client.hung_up)
        client.lose()
        self.assertEqual(world.reasons(), ["errors"])

    def test_other_protocols(self) -> None:
        """
        HTTP, and a message without its commands, are sent away at the first line.
        """
        for first in (b"GET / HTTP/1.1\r\n", b"CONNECT mx:25 HTTP/1.1\r\n", b"Host: x\r\n"):
            client = World().connect()
            client.heard()
            self.assertEqual(client.say(first + BEGIN), b"421 4.7.0 this is SMTP, goodbye\r\n")
            self.assertTrue(client.hung_up)

    def test_never_ending_line(self) -> None:
        """
        A line without end costs one reply and no memory.
        """
        client = World().connect()
        client.heard()
        said = b"".join(client.say(b"x" * 65536) for _ in range(100))
        self.assertEqual(said, b"500 5.5.2 line too long\r\n")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.binary(max_size=60) | st.sampled_from([BEGIN, b"\r\n.\r\n", b"QUIT\r\n"]), max_size=8))
    def test_anything(self, pieces: list[bytes]) -> None:
        """
        Whatever is sent, every reply is one, and the connection leaves nothing behind when it ends.
        """
        world = World()
        client = world.connect()
        said = client.heard() + b"".join(client.say(piece) for piece in pieces)
        client.lose()
        for line in said.removesuffix(b"\r\n").split(b"\r\n"):
            self.assertRegex(line, rb"^[2-5]\d\d[ -]")
        self.assertEqual((world.clock.getDelayedCalls(), world.sessions.count), ([], 0))
        self.assertEqual(self.flushLoggedErrors(), [])
