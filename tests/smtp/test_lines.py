"""
Lines end with CRLF and nothing else.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.lines import LineBuffer, LineFault

LIMIT = 6


def lines_of(pieces: list[bytes]) -> list[bytes | LineFault]:
    """
    Give all lines and faults of what comes in pieces.
    """
    buffer = LineBuffer(LIMIT)
    found = []
    for piece in pieces:
        buffer.append(piece)
        while (line := buffer.next_line()) is not None:
            found.append(line)
    return found


class LineTests(SynchronousTestCase):
    """
    What is a line and what is not.
    """

    def test_only_crlf_ends_a_line(self) -> None:
        """
        A bare CR or LF spoils the line it stands in, up to the next CRLF.
        """
        for spoiled in (b"a\nb\r\n", b"a\rb\r\n", b"\r\r\n", b"\n\r\n", b"a\n"):
            self.assertEqual(lines_of([spoiled, b"ok\r\n"])[0], LineFault.BARE_NEWLINE, spoiled)
        self.assertEqual(lines_of([b"a\nb\r\nok\r\n"]), [LineFault.BARE_NEWLINE, b"ok"])

    def test_limit_counts_the_line_end(self) -> None:
        """
        A line of exactly the limit is given, a longer one is told once and passed over.
        """
        self.assertEqual(lines_of([b"abcd\r\nabcde\r\nok\r\n"]), [b"abcd", LineFault.TOO_LONG, b"ok"])
        self.assertEqual(lines_of([b"abcdefghijklmnopq", b"rst", b"\r", b"\nok\r\n"]), [LineFault.TOO_LONG, b"ok"])

    def test_rest_can_be_taken(self) -> None:
        """
        What follows the last line read is handed over whole.
        """
        buffer = LineBuffer(LIMIT)
        buffer.append(b"DATA\r\ncontent")
        self.assertEqual((buffer.next_line(), len(buffer)), (b"DATA", 7))
        self.assertEqual((buffer.take(), len(buffer), buffer.next_line()), (b"content", 0, None))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([b"a", b"bcd", b"\r", b"\n", b"\r\n", b"e" * 9]), max_size=20))
    def test_division_means_nothing(self, pieces: list[bytes]) -> None:
        """
        Whole, in pieces and byte by byte give the same.
        """
        whole = b"".join(pieces)
        single = [whole[at : at + 1] for at in range(len(whole))]
        self.assertEqual(lines_of([whole]), lines_of(pieces))
        self.assertEqual(lines_of([whole]), lines_of(single))
