"""
Reads a server's replies (RFC 5321 §4.2) from bytes that arrive in pieces of any size, within fixed bounds.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.reply import Reply

LINE_KEPT: Final = 2048  # bytes of a line; the rest of a longer one is dropped (RFC 5321 §4.5.3.1.5 allows 512)
MAX_LINES: Final = 128
MAX_BYTES: Final = 65536  # of one reply, with what was dropped
_REMEMBERED: Final = 8


@attrs.frozen(slots=True)
class Garbled:
    """
    What the server sent is no reply; nothing that follows it can be trusted. `detail` says what is wrong, for a log.
    """

    detail: str


class ReplyReader:
    """
    Collects bytes and gives whole replies. Lines end with CRLF; a bare LF is taken too, since some servers send it.

    A code that is not between 200 and 599, lines whose codes differ, more than MAX_LINES lines or MAX_BYTES bytes are
    garbled. Once `next_reply` has given a Garbled, the reader is of no more use.
    """

    __slots__ = ("_at", "_buffer", "_code", "_dropped", "_lines", "_remembered", "_total")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._dropped = 0
        self._total = 0
        self._code = b""
        self._lines: list[bytes] = []
        self._remembered: dict[bytes, Reply] = {}

    def feed(self, data: bytes) -> None:
        """
        Take what the server sent.
        """
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    @property
    def residue(self) -> bool:
        """
        Whether bytes, or lines of an unfinished reply, are left.
        """
        return bool(self._lines) or self._at < len(self._buffer)

    def next_reply(self) -> Reply | Garbled | None:
        """
        Give the next whole reply, None until more bytes come.
        """
        while (end := self._buffer.find(b"\n", self._at)) >= 0:
            raw = self._buffer[self._at : end]
            self._total += len(raw) + self._dropped + 1
            self._at = end + 1
            self._dropped = 0
            if self._total > MAX_BYTES:
                return Garbled("a reply without end")
            ended = self._line(raw[:LINE_KEPT].removesuffix(b"\r"))
            if ended is not None:
                return ended
        return self._hold()

    def _line(self, line: bytes) -> Reply | Garbled | None:
        """
        Take one line: a reply at its last, None before.
        """
        code, mark = line[:3], line[3:4]
        if not (len(code) == 3 and code.isdigit() and b"200" <= code <= b"599" and mark in (b"", b" ", b"-")):
            return Garbled("a line that is no reply")
        if self._lines and code != self._code:
            return Garbled("a reply with two codes")
        if mark != b"-":
            return self._whole(code, line)
        self._code = code
        self._lines.append(line[4:])
        return Garbled("a reply of too many lines") if len(self._lines) >= MAX_LINES else None

    def _whole(self, code: bytes, line: bytes) -> Reply:
        """
        Make the reply that `line` ends. Those of one line repeat in a session ("250 2.1.5 Ok") and are remembered.
        """
        self._total = 0
        if self._lines:
            lines = [*self._lines, line[4:]]
            self._lines = []
            return Reply.heard(int(code), [text.decode("utf-8", "replace") for text in lines])
        reply = self._remembered.get(line)
        if reply is None:
            reply = Reply.heard(int(code), [line[4:].decode("utf-8", "replace")])
            if len(self._remembered) < _REMEMBERED:
                self._remembered[line] = reply
        return reply

    def _hold(self) -> Garbled | None:
        """
        Keep the beginning of an unfinished line, and count what is dropped of it.
        """
        rest = len(self._buffer) - self._at
        if self._total + self._dropped + rest > MAX_BYTES:
            return Garbled("a reply without end")
        if rest > LINE_KEPT:
            self._dropped += rest - LINE_KEPT
            self._buffer = self._buffer[self._at : self._at + LINE_KEPT]
            self._at = 0
        return None
