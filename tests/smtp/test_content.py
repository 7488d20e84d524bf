"""
Content on the wire: dots, the end, bare newlines, the header block.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.content import DotDecoder, DotEncoder
from empath.smtp.events import ContentChunk, ContentEnded, HeaderBlock
from empath.smtp.incoming import MAX_HEADER, IncomingContent, count_hops

PARTS = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"text", b"\xfc"]), max_size=20)
ROUGH = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n."]), max_size=20)


def encode(pieces: list[bytes]) -> bytes:
    """
    Encode content given in pieces.
    """
    encoder = DotEncoder()
    return b"".join(encoder.encode(piece) for piece in pieces) + encoder.finish()


def decode(pieces: list[bytes], normalize: bool = False) -> tuple[bytes, bool, bool, bytes]:
    """
    Decode what comes in pieces: content, whether it ended, whether a bare newline was in it, what follows.
    """
    decoder = DotDecoder(normalize)
    content = b""
    rest = b""
    for piece in pieces:
        if decoder.ended:
            rest += piece
        else:
            content += decoder.decode(piece)
            rest = decoder.rest
    return content, decoder.ended, decoder.bare_newline, rest


def single(data: bytes) -> list[bytes]:
    """
    Divide into single bytes.
    """
    return [data[at : at + 1] for at in range(len(data))]


class DotTests(SynchronousTestCase):
    """
    Dot transparency (RFC 5321 §4.5.2).
    """

    @settings(max_examples=200, deadline=None)
    @given(PARTS, PARTS)
    def test_round_trip(self, parts: list[bytes], other: list[bytes]) -> None:
        """
        What is encoded in any pieces and decoded in any others comes out the same, but for a missing last line end.
        """
        content = b"".join(parts)
        wire = encode(parts)
        self.assertEqual(wire, encode(single(content)))
        whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
        for pieces in ([wire, b"NOOP"], single(wire + b"NOOP"), [*other_division(wire, other), b"NOOP"]):
            self.assertEqual(decode(pieces), (whole, True, False, b"NOOP"))

    def test_stuffing_across_borders(self) -> None:
        """
        A dot is stuffed wherever the line end before it was cut.
        """
        for pieces in ([b"a\r\n", b".b"], [b"a\r", b"\n.b"], [b"a\r", b"\n", b".b"], [b"a", b"\r\n.b"], [b"a\r\n.b"]):
            self.assertEqual(encode(pieces), b"a\r\n..b\r\n.\r\n")
        self.assertEqual(encode([b".a"]), b"..a\r\n.\r\n")

    def test_empty(self) -> None:
        """
        An empty message is the dot alone.
        """
        self.assertEqual(encode([]), b".\r\n")
        self.assertEqual(decode([b".\r\n"]), (b"", True, False, b""))


def other_division(wire: bytes, parts: list[bytes]) -> list[bytes]:
    """
    Divide `wire` into pieces as long as `parts`.
    """
    pieces = []
    at = 0
    for part in parts:
        pieces.append(wire[at : at + len(part)])
        at += len(part)
    return [*pieces, wire[at:]]


class EndTests(SynchronousTestCase):
    """
    Only CRLF.CRLF ends the content, whatever other servers take for an end.
    """

    IMPOSTORS = (
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\r\n.\r\r\n",
        b"\n\r.\n\r",
        b"\r\n.\x00\r\n",
        b"\r\n.\r\r\n",
        b"\n.\r",
    )

    def test_impostors(self) -> None:
        """
        None of the published false ends ends anything; all with bare newlines are noticed.
        """
        for impostor in self.IMPOSTORS:
            wire = b"a" + impostor + b"MAIL FROM:<x>\r\n.\r\n"
            for normalize in (False, True):
                content, ended, bare, rest = decode([wire], normalize)
                self.assertTrue(ended)
                self.assertIn(b"MAIL FROM:<x>\r\n", content, impostor)
                self.assertEqual(rest, b"")
                self.assertEqual(bare, b"\x00" not in impostor, impostor)

    def test_normalized(self) -> None:
        """
        Bare newlines become CRLF, and dots behind them count as stuffed.
        """
        self.assertEqual(decode([b"a\nb\rc\r\n.\r\n"], True)[0], b"a\r\nb\r\nc\r\n")
        self.assertEqual(decode([b"a\n..b\n.\nc\r\n.\r\n"], True)[0], b"a\r\n.b\r\n\r\nc\r\n")
        self.assertEqual(decode([b"\n.\r\n.\r\n"], True)[0], b"\r\n\r\n")
        self.assertEqual(decode([b"a\n", b".b\r\n.\r\n"], True)[0], b"a\r\nb\r\n")  # a dot that comes later

    @settings(max_examples=200, deadline=None)
    @given(ROUGH, st.booleans())
    def test_division_means_nothing(self, parts: list[bytes], normalize: bool) -> None:
        """
        Whole and byte by byte give the same; normalized content has no bare newline.
        """
        wire = b"".join(parts) + b"\r\n.\r\n"
        whole = decode([wire], normalize)
        self.assertEqual(whole, decode(single(wire), normalize))
        if normalize:
            content = whole[0]
            self.assertEqual(content.count(b"\r"), content.count(b"\r\n"))
            self.assertEqual(content.count(b"\n"), content.count(b"\r\n"))


def receive(pieces: list[bytes]) -> tuple[list[bytes], bytes, list[ContentEnded]]:
    """
    Take content in: the header blocks told, all of the body, the ends told.
    """
    incoming = IncomingContent(normalize=False)
    events = [event for piece in pieces for event in incoming.receive(piece)]
    return (
        [event.data for event in events if isinstance(event, HeaderBlock)],
        b"".join(event.data for event in events if isinstance(event, ContentChunk)),
        [event for event in events if isinstance(event, ContentEnded)],
    )


class HeaderTests(SynchronousTestCase):
    """
    The header block is told once, and with the body it is all that came.
    """

    def check(self, content: bytes, header: bytes) -> None:
        """
        Check what is told of `content`, in one piece and in single bytes.
        """
        wire = encode([content])
        for pieces in ([wire], single(wire)):
            headers, body, ends = receive(pieces)
            self.assertEqual((headers, headers[0] + body), ([header], content))
            self.assertEqual([end.size for end in ends], [len(content)])

    def test_where_it_ends(self) -> None:
        """
        At the line end before the first empty line; without one, all is header block.
        """
        self.check(b"A: b\r\nC: d\r\n\r\nbody\r\n\r\nmore\r\n", b"A: b\r\nC: d\r\n")
        self.check(b"A: b\r\n\r\n", b"A: b\r\n")
        self.check(b"A: b\r\n", b"A: b\r\n")
        self.check(b"\r\nbody\r\n", b"")
        self.check(b"\r\n", b"")
        self.check(b"", b"")
        self.check(b"no header at all\r\n", b"no header at all\r\n")

    def test_too_long(self) -> None:
        """
        A header block beyond the bound is cut at its last line end before it, or taken for body without one.
        """
        line = b"X: " + b"y" * 95 + b"\r\n"
        content = line * (MAX_HEADER // len(line) + 10) + b"\r\nbody\r\n"
        kept = line * (MAX_HEADER // len(line))
        for pieces in ([encode([content])], [content[:100000], content[100000:], b".\r\n"]):
            headers, body, _ = receive(pieces)
            self.assertEqual((headers, headers[0] + body), ([kept], content))
        endless = b"x" * (MAX_HEADER + 10) + b"\r\n"
        headers, body, _ = receive([encode([endless])])
        self.assertEqual((headers, body), ([b""], endless))

    def test_exactly_at_the_bound(self) -> None:
        """
        The bound itself is allowed, in any division.
        """
        header = b"X: ".ljust(MAX_HEADER - 2, b"y") + b"\r\n"
        for content in (header + b"\r\nbody\r\n", header + b"Y: z\r\n\r\nbody\r\n"):
            for pieces in ([content], [content[: MAX_HEADER - 1], content[MAX_HEADER - 1 :]]):
                headers, body, _ = receive([*pieces, b".\r\n"])
                self.assertEqual((headers, body), ([header], content[MAX_HEADER:]))

    def test_spoiled(self) -> None:
        """
        Content with a bare newline is passed over from there on and told at its end.
        """
        self.assertEqual(receive([b"A: b\n\r\n\r\nbody\r\n.\r\n"]), ([], b"", [ContentEnded(0, False, True)]))

    def test_eight_bit(self) -> None:
        """
        A byte of 128 or more anywhere is noticed.
        """
        self.assertEqual(receive([b"A: b\r\n\r\n", b"\xfc\r\n.\r\n"])[2], [ContentEnded(11, True, False)])

    def test_hops(self) -> None:
        """
        Received fields are counted at the beginning of lines, in any case of letters.
        """
        header = (
            b"Received: a\r\nRECEIVED: b\r\n\treceived: folded\r\nX-Received: c\r\nReceived-SPF: d\r\nreceived:e\r\n"
        )
        self.assertEqual(count_hops(header), 3)
        self.assertEqual(count_hops(b""), 0)
