"""
Lines as SMTP has them: only CRLF ends one (RFC 5321 §2.3.8), and none is longer than it may be.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_CRLF: Final = b"\r\n"


class LineFault(Enum):
    """
    Why a line is not given out; the rest of it, up to the next CRLF, is passed over.
    """

    TOO_LONG = "too long"
    BARE_NEWLINE = "bare newline"  # a CR or an LF that is not part of a CRLF


class LineBuffer:
    """
    Bytes in, lines out. Never keeps more of one line than `limit`, which counts the CRLF.

    A fault is told once, as soon as it can be seen, and the same for any division of the bytes into pieces.
    """

    __slots__ = ("_at", "_bytes", "_passing", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = b""
        self._at = 0
        self._passing = False

    def __len__(self) -> int:
        return len(self._bytes) - self._at

    def append(self, received: bytes) -> None:
        """
        Take the next bytes from the peer.
        """
        if self._at == len(self._bytes):
            self._bytes = received
        else:
            self._bytes = self._bytes[self._at :] + received
        self._at = 0

    def next_line(self) -> bytes | LineFault | None:
        """
        Give the next line without its CRLF, or what is wrong with it; None until more bytes come.
        """
        if self._passing and not self._pass_over():
            return None
        at = self._at
        if at == len(self._bytes):
            return None
        end = self._bytes.find(_CRLF, at, at + self.limit)
        if end < 0:
            return self._unfinished()
        self._at = end + 2
        line = self._bytes[at:end]
        if b"\r" in line or b"\n" in line:
            return LineFault.BARE_NEWLINE
        return line

    def take_some(self, most: int) -> bytes:
        """
        Give at most so many of the bytes that are left: they are no line.
        """
        at = self._at
        taken = self._bytes[at : at + most]
        self._at = at + len(taken)
        return taken

    def take(self) -> bytes:
        """
        Give all bytes that are left: what follows is no line.
        """
        left = self._bytes[self._at :]
        self._bytes, self._at = b"", 0
        return left

    def _unfinished(self) -> LineFault | None:
        begun = self._bytes[self._at : self._at + self.limit]
        if b"\n" in begun or b"\r" in begun[:-1]:
            self._passing = True
            return LineFault.BARE_NEWLINE
        if len(begun) == self.limit:
            self._passing = True
            return LineFault.TOO_LONG
        return None

    def _pass_over(self) -> bool:
        end = self._bytes.find(_CRLF, self._at)
        if end < 0:
            self._bytes = b"\r" if self._bytes.endswith(b"\r") else b""
            self._at = 0
            return False
        self._at = end + 2
        self._passing = False
        return True
