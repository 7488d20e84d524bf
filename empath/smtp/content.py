"""
The content of a message on the wire: dot transparency (RFC 5321 §4.5.2), in pieces of any size.
"""

from __future__ import annotations


class DotEncoder:
    """
    Makes content ready for DATA: a line that begins with "." gets another one, whatever the division into pieces.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def encode(self, piece: bytes) -> bytes:
        """
        Give the next piece as it goes over the wire.
        """
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._tail == b"\r\n" and piece.startswith(b"."):
            stuffed = b"." + stuffed
        elif self._tail.endswith(b"\r") and piece.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._tail = piece[-2:] if len(piece) > 1 else (self._tail + piece)[-2:]
        return stuffed

    def finish(self) -> bytes:
        """
        Give what ends the content: CRLF where the last line has none, then the dot.
        """
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


class DotDecoder:
    """
    Takes the content out of DATA: only CRLF.CRLF ends it, whatever the division into pieces.

    Pieces that are given out never end between CR and LF. A CR or an LF that stands alone sets `bare_newline`; with
    `normalize` it becomes a CRLF instead, and a dot behind it counts as stuffed, since who sends such lines stuffs
    them. It can never be part of the end.
    """

    __slots__ = ("_after_bare", "_fresh", "_held", "_normalize", "bare_newline", "ended", "rest")

    def __init__(self, normalize: bool = False) -> None:
        self._normalize = normalize
        self._held = b"\r\n"  # the line end before the first line: that of the DATA command
        self._fresh = True
        self._after_bare = False
        self.bare_newline = False
        self.ended = False
        self.rest = b""

    def decode(self, received: bytes) -> bytes:
        """
        Give the content in the next bytes. Once `ended`, `rest` is what follows the final dot.
        """
        held = self._held + received
        end = held.find(b"\r\n.\r\n")
        if end >= 0:
            piece = held[: end + 2]
            self.rest = held[end + 5 :]
            self._held = b""
            self.ended = True
        elif kept := _undecided(held):
            piece, self._held = held[:-kept], held[-kept:]
        else:
            piece, self._held = held, b""
        return self._clean(piece) if piece else b""

    def _clean(self, piece: bytes) -> bytes:
        """
        Unstuff the dots and look for bare newlines, by counting (hot-path rule P6).
        """
        unstuffed = piece.replace(b"\r\n.", b"\r\n") if b"\r\n." in piece else piece  # a search costs half
        line_ends = unstuffed.count(b"\r\n")
        if self._after_bare or unstuffed.count(b"\n") != line_ends or unstuffed.count(b"\r") != line_ends:
            self.bare_newline = True
            if self._normalize:
                unstuffed = self._straighten(piece)
        if self._fresh:
            self._fresh = False
            return unstuffed[2:]
        return unstuffed

    def _straighten(self, piece: bytes) -> bytes:
        """
        Make every line end a CRLF, then unstuff; a piece that ends with LF while nothing is held ends with a bare one.
        """
        lines = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        straight = lines.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n")
        if self._after_bare and piece.startswith(b"."):
            straight = straight[1:]
        self._after_bare = piece.endswith(b"\n")
        return straight


def _undecided(held: bytes) -> int:
    """
    Tell how many of the last bytes may be the beginning of the end.
    """
    for beginning in (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r"):
        if held.endswith(beginning):
            return len(beginning)
    return 0
