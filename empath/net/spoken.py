"""
What is common to all who overhear a dialogue: lines put together of the octets that came, and fit to be seen.
"""

from __future__ import annotations

from typing import Final

from empath.smtp.masking import Masking

LONGEST_LINE: Final = 4096  # octets of a line that has no end so far


class Spoken:
    """
    The half of a tap (see `empath.smtp.tap.Tap`) that hears what is said. Subclasses take each line by `_take` and by
    `_take_words`, and the content that came before it by `_take_content`. `side` is "server" where we are the server.

    A peer's line without end is cut.
    """

    __slots__ = ("_content", "_masking", "_partial", "_skipping", "side")

    def __init__(self, side: str, joined: bool, password: str) -> None:
        self.side = side
        self._masking = Masking(joined=joined)
        self._masking.password(password)
        self._partial = b""
        self._skipping = False
        self._content = 0

    # For subclasses to fill in

    def _take(self, line: bytes, text: str, from_us: bool) -> None:
        """
        Take a line: `line` is as it was said, without its CRLF, for its own eyes only, `text` what may be seen of it.
        """
        raise NotImplementedError

    def _take_words(self, text: str) -> None:
        """
        Take what the peer said that is no command and no reply.
        """
        raise NotImplementedError

    def _take_content(self, octets: int) -> None:
        """
        Take note of content.
        """
        raise NotImplementedError

    # What the session tells

    def heard(self, octets: bytes) -> None:
        """
        See `Tap.heard`.
        """
        *lines, rest = (self._partial + octets).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._line(line.removesuffix(b"\r"), from_us=False)
        if len(rest) > LONGEST_LINE:
            if not self._skipping:
                self._line(rest, from_us=False)
            self._skipping, rest = True, b""
        self._partial = rest

    def said(self, octets: bytes) -> None:
        """
        See `Tap.said`.
        """
        if octets:
            for line in octets.removesuffix(b"\r\n").split(b"\r\n"):
                self._line(line, from_us=True)

    def secret(self, octets: bytes) -> None:
        """
        See `Tap.secret`.
        """
        self._flush()
        self._take_words(self._masking.response(octets))

    def faulty(self, words: str) -> None:
        """
        See `Tap.faulty`.
        """
        self._flush()
        self._take_words(f"[a line with a fault: {words}]")

    def content(self, octets: int) -> None:
        """
        See `Tap.content`; it is told as one, before the next line.
        """
        self._content += octets

    def _finish(self) -> None:
        """
        Tell what came of a line that will have no end.
        """
        if self._partial and not self._skipping:
            self._line(self._partial, from_us=False)
        self._partial = b""
        self._flush()

    def _line(self, line: bytes, *, from_us: bool) -> None:
        self._flush()
        is_reply = from_us is (self.side == "server")
        self._take(line, self._masking.reply(line) if is_reply else self._masking.command(line), from_us)

    def _flush(self) -> None:
        """
        Tell of content before anything else is told.
        """
        if self._content:
            octets, self._content = self._content, 0
            self._take_content(octets)
