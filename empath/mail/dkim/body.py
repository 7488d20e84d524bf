"""
The hash of a body as DKIM sees it (RFC 6376 §3.4.3, §3.4.4, §3.7), over pieces of any size.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, Protocol

_CRLF: Final = b"\r\n"
_EMPTY_LINES: Final = _CRLF * 4096
_ENDS_REVERSED: Final = re.compile(rb"(?:\n\r)*+")


class Canonical(Protocol):
    """
    A body on its way to a hash.
    """

    def update(self, piece: bytes) -> None:
        """
        Take the next piece.
        """

    def digest(self) -> bytes:
        """
        Tell the hash of the whole; nothing may come any more.
        """


class SimpleBody:
    """
    The body as it is, but for empty lines at its end; one without a line end at its end gets one, the empty one too.
    """

    __slots__ = ("_ends", "_hash", "_held")

    def __init__(self) -> None:
        self._hash = sha256()
        self._ends = 0  # line ends that may be the last ones
        self._held = b""  # a CR that may begin another one

    def update(self, piece: bytes) -> None:
        """
        See `Canonical`.
        """
        if not piece:
            return
        if self._held:
            piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], b"\r"
        text = piece.rstrip(_CRLF)
        tail = piece[len(text) :]
        ends = len(tail) // 2
        if tail != _CRLF * ends:
            ends = len(_ENDS_REVERSED.match(tail[::-1])[0]) // 2  # type: ignore[index]  # it matches always
            text = piece[: len(piece) - 2 * ends]
        if text:
            self._put_ends(self._ends)
            self._hash.update(text)
            self._ends = 0
        self._ends += ends

    def digest(self) -> bytes:
        """
        See `Canonical`.
        """
        if self._held:
            self._put_ends(self._ends)
            self._hash.update(self._held)
        self._hash.update(_CRLF)
        return self._hash.digest()

    def _put_ends(self, count: int) -> None:
        """
        Hash so many line ends, which may be more than one wants to hold at once.
        """
        while count > 0:
            self._hash.update(_EMPTY_LINES[: 2 * count])
            count -= len(_EMPTY_LINES) // 2


class RelaxedBody:
    """
    The body with blanks at line ends dropped, others made one space, and no empty lines at the end. An empty body stays
    empty.
    """

    __slots__ = ("_held", "_simple", "_some")

    def __init__(self) -> None:
        self._simple = SimpleBody()
        self._held = b""  # what may belong to blanks that go on, or to a line end
        self._some = False  # whether there is a line that is not empty

    def update(self, piece: bytes) -> None:
        """
        See `Canonical`.
        """
        text = squeezed(self._held + piece if self._held else piece)
        keep = len(text)
        if text.endswith(b"\r"):
            keep -= 1
        if text.endswith(b" ", 0, keep):
            keep -= 1
        self._held = text[keep:]
        self._put(text[:keep] if self._held else text)

    def digest(self) -> bytes:
        """
        See `Canonical`.
        """
        self._put(b"" if self._held == b" " else self._held)
        return self._simple.digest() if self._some else sha256().digest()

    def _put(self, text: bytes) -> None:
        if b" \r\n" in text:
            text = text.replace(b" \r\n", _CRLF)
        if not self._some:
            self._some = bool(text) and text != _CRLF * (len(text) // 2)
        self._simple.update(text)


def squeezed(text: bytes) -> bytes:
    """
    Make one space of each row of spaces and tabs.
    """
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text
