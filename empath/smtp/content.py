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
