"""
Packets: bytes out, bytes in, whatever the pieces they come in.
"""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.builtin.milter.codec import (
    CHUNK,
    MAX_PACKET,
    Actions,
    Command,
    Flags,
    MilterError,
    Packets,
    connect_content,
    macro_packet,
    offer,
    offer_packet,
    packet,
    texts,
)


class PacketTests(SynchronousTestCase):
    """
    Cutting the stream into packets.
    """

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(Command), st.binary(max_size=50))), st.lists(st.integers(1, 30)))
    def test_pieces_mean_what_the_whole_means(self, said: list[tuple[Command, bytes]], sizes: list[int]) -> None:
        """
        Packets come out as they went in, wherever the stream is cut.
        """
        stream = b"".join(packet(command, content) for command, content in said)
        packets, found, at = Packets(), list[tuple[bytes, bytes]](), 0
        for size in [*sizes, len(stream)]:
            found += packets.feed(stream[at : at + size])
            at += size
        self.assertEqual(found, [(command.value, content) for command, content in said])

    def test_no_packet_is_empty_or_huge(self) -> None:
        """
        A length of nothing, or of more than a bound, is an error at once.
        """
        for length in (0, MAX_PACKET + 1, 0xFFFFFFFF):
            with self.assertRaises(MilterError):
                list(Packets().feed(struct.pack("!I", length) + b"h"))
        self.assertEqual(list(Packets().feed(struct.pack("!I", MAX_PACKET) + b"h")), [])

    def test_a_new_body_of_any_length(self) -> None:
        """
        It is given in the pieces that come, and not kept until all of it is there; an empty one is given as well.
        """
        packets, size = Packets(), 3 * MAX_PACKET
        wire = (
            struct.pack("!I", 1 + size) + b"b" + b"x" * size + struct.pack("!I", 1) + b"b" + struct.pack("!I", 1) + b"c"
        )
        found = [each for at in range(0, len(wire), 50_000) for each in packets.feed(wire[at : at + 50_000])]
        self.assertEqual(b"".join(piece for name, piece in found if name == b"b"), b"x" * size)
        self.assertTrue(all(len(piece) <= 50_000 for _, piece in found))
        self.assertEqual(found[-2:], [(b"b", b""), (b"c", b"")])

    def test_octet_by_octet(self) -> None:
        """
        A packet of the largest size takes no more time in small pieces than in large ones.
        """
        packets, wire = Packets(), struct.pack("!I", MAX_PACKET) + b"h" + b"x" * (MAX_PACKET - 1)
        found = [each for at in range(0, len(wire), 3) for each in packets.feed(wire[at : at + 3])]
        self.assertEqual(found, [(b"h", b"x" * (MAX_PACKET - 1))])


class WritingTests(SynchronousTestCase):
    """
    What we write.
    """

    def test_a_nul_cannot_end_a_text_early(self) -> None:
        """
        It is left out.
        """
        self.assertEqual(texts("a\0b", b"c"), b"ab\0c\0")

    def test_clients_by_family(self) -> None:
        """
        IPv4, IPv6, UNIX socket, and nobody knows.
        """
        self.assertEqual(connect_content("a.test", "192.0.2.7", 258), b"a.test\x004\x01\x02192.0.2.7\0")
        self.assertEqual(connect_content("a.test", "2001:db8::1", 25), b"a.test\x006\x00\x192001:db8::1\0")
        self.assertEqual(connect_content("localhost", "unix", 0), b"localhost\0L\0\0unix\0")
        self.assertEqual(connect_content("unknown", "", 0), b"unknown\0U")

    def test_macros(self) -> None:
        """
        The command that they are for, then names and values.
        """
        written = macro_packet(Command.MAIL, [("i", "Q1"), ("{mail_addr}", "")])
        self.assertEqual(written, struct.pack("!I", 20) + b"DMi\0Q1\0{mail_addr}\0\0")

    def test_macros_that_no_packet_can_hold(self) -> None:
        """
        They are left out: libmilter would hang up.
        """
        rest = "y" * (CHUNK - len(b"Ei\0Q1\0v\0\0"))
        values = [("i", "Q1"), ("{msg_id}", "x" * CHUNK), ("v", rest), ("j", "")]
        written = macro_packet(Command.END_OF_MESSAGE, values)
        self.assertEqual(written, struct.pack("!I", 1 + CHUNK) + b"DEi\0Q1\0v\0" + rest.encode() + b"\0")

    def test_each_version_offers_what_it_knows(self) -> None:
        """
        Versions before 6 know less to leave out and less to change; that refused recipients be told is never offered.
        """
        self.assertEqual(offer_packet(offer(2)), struct.pack("!IcIII", 13, b"O", 2, 0x3F, 0x7F))
        self.assertEqual(offer(3).flags, Flags(0x17F))
        self.assertEqual(offer(4).flags, Flags(0x37F))
        self.assertEqual((offer(6).flags, offer(6).actions), (Flags(0x1FF7FF), Actions(0x1FF)))
