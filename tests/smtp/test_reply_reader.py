"""
Replies from bytes.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.reply import Reply
from empath.smtp.reply_reader import LINE_KEPT, MAX_BYTES, MAX_LINES, Garbled, ReplyReader


def read(*pieces: bytes) -> list[Reply | Garbled]:
    """
    Read all replies up to the first garbled one.
    """
    reader = ReplyReader()
    told: list[Reply | Garbled] = []
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.next_reply()) is not None:
            told.append(reply)
            if isinstance(reply, Garbled):
                return told
    return told


def bytewise(data: bytes) -> list[bytes]:
    """
    Cut into bytes.
    """
    return [data[i : i + 1] for i in range(len(data))]


class ReplyReaderTests(SynchronousTestCase):
    """
    What servers say, well and badly.
    """

    def test_one_line(self) -> None:
        """
        A reply of one line has a code, an enhanced code and a text.
        """
        self.assertEqual(read(b"250 2.1.5 Ok\r\n"), [Reply(250, "2.1.5", ("Ok",))])

    def test_several_lines(self) -> None:
        """
        A reply of several lines is one reply, also where the text is missing.
        """
        self.assertEqual(
            read(b"250-a\r\n250-\r\n250 b\r\n220\r\n"), [Reply(250, None, ("a", "", "b")), Reply(220, None, ("",))]
        )

    def test_bare_line_feed(self) -> None:
        """
        A line that ends with LF alone is taken, as Postfix does.
        """
        self.assertEqual(read(b"250-a\n250 b\n"), [Reply(250, None, ("a", "b"))])

    def test_garbage(self) -> None:
        """
        What is no reply is garbled: no code, a code out of range, another mark, an empty line.
        """
        for line in (
            b"hello\r\n",
            b"\r\n",
            b"25\r\n",
            b"199 x\r\n",
            b"600 x\r\n",
            b"250x\r\n",
            "２５０ x\r\n".encode(),
        ):
            self.assertEqual(read(line), [Garbled("a line that is no reply")], line)

    def test_two_codes(self) -> None:
        """
        The codes of a reply's lines have to agree.
        """
        self.assertEqual(read(b"250-a\r\n550 b\r\n"), [Garbled("a reply with two codes")])

    def test_long_line(self) -> None:
        """
        Of a long line the beginning is kept, however it arrives; the next reply is whole.
        """
        data = b"250 " + b"x" * 10000 + b"\r\n220 next\r\n"
        expected = [Reply(250, None, ("x" * (LINE_KEPT - 4),)), Reply(220, None, ("next",))]
        self.assertEqual(read(data), expected)
        self.assertEqual(read(*bytewise(data)), expected)

    def test_endless_line(self) -> None:
        """
        A line without end is given up, and memory stays bounded.
        """
        self.assertEqual(read(*[b"x" * 1000] * 70), [Garbled("a reply without end")])
        self.assertEqual(read(b"250 " + b"x" * MAX_BYTES + b"\r\n"), [Garbled("a reply without end")])

    def test_too_many_lines(self) -> None:
        """
        A reply of too many lines is given up.
        """
        self.assertEqual(read(b"250-x\r\n" * MAX_LINES), [Garbled("a reply of too many lines")])
        self.assertEqual(len(read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")), 1)

    def test_hostile_text(self) -> None:
        """
        Control characters and bytes that are no UTF-8 do no harm.
        """
        (reply,) = read(b"550 5.7.1 a\x00\x1b\xff\r\n")
        self.assertEqual(str(reply), "550 5.7.1 a??\ufffd")

    def test_repeated_replies_are_equal(self) -> None:
        """
        Remembering replies changes nothing, and is bounded.
        """
        lines = b"".join(b"250 %d\r\n250 %d\r\n" % (i, i) for i in range(20))
        self.assertEqual([str(reply) for reply in read(lines)], [f"250 {i // 2}" for i in range(40)])

    def test_residue(self) -> None:
        """
        It is known whether anything is left.
        """
        reader = ReplyReader()
        self.assertFalse(reader.residue)
        reader.feed(b"220 x\r\n2")
        self.assertIsInstance(reader.next_reply(), Reply)
        self.assertTrue(reader.residue)
        reader.feed(b"50-y\r\n")
        self.assertIsNone(reader.next_reply())
        self.assertTrue(reader.residue)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([b"250 ok\r\n", b"250-a\r\n", b"\n", b"x" * 3000])))
    )
    def test_whole_equals_bytewise(self, pieces: list[bytes]) -> None:
        """
        The division into pieces does not matter.
        """
        data = b"".join(pieces)
        self.assertEqual(read(data), read(*bytewise(data)))
