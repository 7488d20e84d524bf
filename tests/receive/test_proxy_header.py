"""
Requirements on PROXY headers as octets.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.receive.proxy_header import LONGEST_BLOCK, SIGNATURE, Header, Malformed, read_header

TCP4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"
TCP6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 25\r\n"


def block(command: int, family: int, rest: bytes, version: int = 2) -> bytes:
    """
    Write a header of version 2.
    """
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(rest)) + rest


def inet(source: str, port: int, extra: bytes = b"") -> bytes:
    """
    Write the header of version 2 of a TCP client.
    """
    address = ip_address(source)
    ports = struct.pack("!HH", port, 25)
    return block(1, 0x11 if address.version == 4 else 0x21, address.packed * 2 + ports + extra)


V2_TCP4 = inet("192.0.2.7", 56324)
V2_UNIX = block(1, 0x31, b"/run/x".ljust(108, b"\0") * 2)
WHOLE = (TCP4, TCP6, V2_TCP4, inet("2001:db8::7", 1), V2_UNIX, block(0, 0, b""), b"PROXY UNKNOWN\r\n")
HEADERS = st.sampled_from(WHOLE) | st.binary(max_size=60)


class LineTests(SynchronousTestCase):
    """
    Version 1.
    """

    def test_the_client_is_the_source(self) -> None:
        """
        Of either family; addresses come out as they are usually written.
        """
        self.assertEqual(read_header(TCP4), Header(len(TCP4), ("192.0.2.7", 56324)))
        self.assertEqual(read_header(TCP6), Header(len(TCP6), ("2001:db8::7", 56324)))
        long = b"PROXY TCP6 2001:0DB8:0:0:0:0:0:0007 ::1 0 65535\r\n"
        self.assertEqual(read_header(long), Header(len(long), ("2001:db8::7", 0)))

    def test_an_unknown_client_has_no_address(self) -> None:
        """
        Whatever stands behind UNKNOWN.
        """
        for line in (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff:f::1 ffff::1 65535 65535\r\n",
            b"PROXY UNKNOWN \n\x00\r\n",
        ):
            self.assertEqual(read_header(line), Header(len(line), None))

    def test_what_is_behind_the_header_does_not_belong_to_it(self) -> None:
        """
        Not even another header.
        """
        self.assertEqual(read_header(TCP4 + TCP6), Header(len(TCP4), ("192.0.2.7", 56324)))

    def test_what_no_proxy_writes_is_malformed(self) -> None:
        """
        Addresses of the other family or none at all, ports that are none, other spaces, other line ends.
        """
        for said in (
            b"TCP4 2001:db8::7 2001:db8::1 1 25",
            b"TCP6 192.0.2.7 192.0.2.1 1 25",
            b"TCP4 192.0.2.256 192.0.2.1 1 25",
            b"TCP4 192.0.2.007 192.0.2.1 1 25",
            b"TCP4 192.0.2 192.0.2.1 1 25",
            b"TCP6 fe80::1%eth0 ::1 1 25",
            b"TCP4 192.0.2.7 192.0.2.1 65536 25",
            b"TCP4 192.0.2.7 192.0.2.1 1 99999",
            b"TCP4 192.0.2.7 192.0.2.1 01 25",
            b"TCP4 192.0.2.7 192.0.2.1 -1 25",
            b"TCP4 192.0.2.7 192.0.2.1 1 25 ",
            b"TCP4  192.0.2.7 192.0.2.1 1 25",
            b"TCP4 192.0.2.7 192.0.2.1 1",
            b"TCP4 192.0.2.7 192.0.2.1 1 25\n",
            b"TCP4",
            b"UDP4 192.0.2.7 192.0.2.1 1 25",
            b"UNKNOWNS",
            b"unknown",
            b"",
        ):
            self.assertIsInstance(read_header(b"PROXY " + said + b"\r\n"), Malformed, said)
        self.assertIsInstance(read_header(b"proxy TCP4 192.0.2.7 192.0.2.1 1 25\r\n"), Malformed)

    def test_a_line_ends_within_107_octets(self) -> None:
        """
        One more is not waited for.
        """
        longest = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
        self.assertEqual(read_header(longest), Header(107, None))
        self.assertIsInstance(read_header(b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n"), Malformed)
        self.assertIsNone(read_header(longest[:-1]))


class BlockTests(SynchronousTestCase):
    """
    Version 2.
    """

    def test_the_client_is_the_source(self) -> None:
        """
        Of either family; vectors behind the addresses are passed over.
        """
        self.assertEqual(read_header(V2_TCP4 + b"EHLO"), Header(28, ("192.0.2.7", 56324)))
        self.assertEqual(read_header(inet("2001:db8::7", 9)), Header(52, ("2001:db8::7", 9)))
        vectors = b"\x04\x00\x03abc" + b"\x20\x00\x05\x01\x00\x00\x00\x00"
        self.assertEqual(read_header(inet("192.0.2.7", 9, vectors)), Header(28 + len(vectors), ("192.0.2.7", 9)))

    def test_local_and_unspecified_have_no_address(self) -> None:
        """
        The proxy's own connections, and clients that are not on an IP network; whatever else the header holds.
        """
        for header in (
            block(0, 0, b""),
            block(0, 0x11, b"\0" * 12),
            block(0, 0xFF, b"x"),
            block(1, 0, b"xyz"),
            V2_UNIX,
        ):
            self.assertEqual(read_header(header), Header(len(header), None))

    def test_what_no_proxy_writes_is_malformed(self) -> None:
        """
        Other versions, commands and families, datagrams, and addresses that are cut off.
        """
        body = b"\0" * 36
        for header in (
            block(1, 0x11, body, version=1),
            block(1, 0x11, body, version=3),
            block(2, 0x11, body),
            block(15, 0x00, body),
            block(1, 0x12, body),
            block(1, 0x22, body),
            block(1, 0x10, body),
            block(1, 0x01, body),
            block(1, 0x41, body),
            block(1, 0x11, body[:11]),
            block(1, 0x21, body[:35]),
            block(1, 0x31, b"\0" * 215),
        ):
            self.assertIsInstance(read_header(header), Malformed, header)

    def test_a_block_fits_into_536_octets(self) -> None:
        """
        A longer one is refused before it has come.
        """
        self.assertEqual(read_header(inet("192.0.2.7", 9, b"\0" * 508)), Header(LONGEST_BLOCK, ("192.0.2.7", 9)))
        self.assertIsInstance(read_header(inet("192.0.2.7", 9, b"\0" * 509)[:16]), Malformed)

    def test_nothing_else_is_a_header(self) -> None:
        """
        An SMTP command, a TLS handshake, silence broken by an empty line.
        """
        for said in (b"EHLO x\r\n", b"\x16\x03\x01", b"\r\n.", b"P ", b"PROXY\t"):
            self.assertIsInstance(read_header(said), Malformed, said)


class DivisionTests(SynchronousTestCase):
    """
    However the octets are divided.
    """

    def test_every_part_of_a_header_waits_for_the_rest(self) -> None:
        """
        Nothing is decided early.
        """
        for header in WHOLE:
            for end in range(len(header)):
                self.assertIsNone(read_header(header[:end]), header[:end])

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from(WHOLE) | st.binary(max_size=60),
        st.binary(max_size=40),
        st.integers(0, 80),
        st.binary(max_size=3),
    )
    def test_more_octets_change_no_decision(self, header: bytes, behind: bytes, at: int, noise: bytes) -> None:
        """
        Once it is a header it stays the same header, once it is none it stays none; nothing raises.
        """
        stream = header[:at] + noise + header[at:] + behind
        decided = None
        for end in range(len(stream) + 1):
            found = read_header(stream[:end])
            if decided is None:
                decided = found
            elif isinstance(decided, Header):
                self.assertEqual(found, decided)
            else:
                self.assertIsInstance(found, Malformed)
