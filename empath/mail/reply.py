"""
SMTP replies (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |$)")
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

MAX_LINE: Final = 512  # octets of a reply line, its end included (RFC 5321 §4.5.3.1.5)


@attrs.frozen(slots=True)
class Reply:
    """
    One reply: a code from 200 to 599, an enhanced status code whose class agrees with it or None, and lines of text.

    `lines` are without code, enhanced code and line end. A reply of our own making raises ValueError where the codes
    do not agree; what a peer said is made with `heard`, which never raises.
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"no reply code: {self.code}")
        if self.enhanced is not None and not (
            (match := _ENHANCED.fullmatch(self.enhanced)) and int(match[1]) == self.code // 100
        ):
            raise ValueError(f"enhanced status code {self.enhanced} does not agree with {self.code}")
        if not self.lines or any(_UNSAFE.search(line) for line in self.lines):
            raise ValueError("the text of a reply needs a line, and no control characters")

    @classmethod
    def of(cls, text: str) -> Reply:
        """
        Read a reply written as it is sent on one line, such as "550 5.7.1 not here"; ValueError if it is none,
        TypeError for what is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f'a reply is one text, such as "550 5.7.1 not here", and not {text!r}')
        code, _, rest = text.partition(" ")
        if not (len(code) == 3 and code.isascii() and code.isdigit()):
            raise ValueError(f'no reply: {text!r}; it begins with its code, as "550 5.7.1 not here" does')
        match = _ENHANCED.match(rest)
        if match is None:
            return cls(int(code), None, (rest,))
        return cls(int(code), rest[: match.end(3)], (rest[match.end() :],))

    @classmethod
    def heard(cls, code: int, lines: list[str]) -> Reply:
        """
        Take what a peer said: control characters become "?", an enhanced code that contradicts the code is dropped.
        """
        clean = [_UNSAFE.sub("?", line) for line in lines] or [""]
        match = _ENHANCED.match(clean[0])
        if match is None or int(match[1]) != code // 100:
            return cls(code, None, tuple(clean))
        enhanced = clean[0][: match.end(3)]
        return cls(code, enhanced, tuple(line.removeprefix(enhanced).removeprefix(" ") for line in clean))

    def encode(self) -> bytes:
        """
        Spell the reply out as it goes over the wire, every line with code and enhanced code (RFC 2034 §4). What is
        longer than a line may be goes on in the next (RFC 5321 §4.5.3.1.5).
        """
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if len(self.lines) == 1:
            whole = f"{self.code} {prefix}{self.lines[0]}\r\n".encode()
            if len(whole) <= MAX_LINE:
                return whole
        room = MAX_LINE - len(f"{self.code} {prefix}\r\n")
        lines = [part for line in self.lines for part in _folded(line.encode(), room)]
        last = len(lines) - 1
        begin = prefix.encode()
        return b"".join(
            b"%d%b%b%b\r\n" % (self.code, b" " if i == last else b"-", begin, line) for i, line in enumerate(lines)
        )

    def __str__(self) -> str:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {prefix}{' '.join(self.lines)}".rstrip()

    @property
    def positive(self) -> bool:
        """
        Whether the request was done (2yz) or goes on (3yz).
        """
        return self.code < 400

    @property
    def transient(self) -> bool:
        """
        Whether the same request may succeed later (4yz).
        """
        return 400 <= self.code < 500

    @property
    def status(self) -> str:
        """
        The enhanced status code, or the general one of the reply's class where there is none: never empty (RFC 3463).
        """
        return self.enhanced or ("2.0.0" if self.positive else f"{self.code // 100}.0.0")


def _folded(line: bytes, room: int) -> Iterator[bytes]:
    """
    Cut a line into pieces of at most `room` octets: at blanks if there are any, never within a character.
    """
    while len(line) > room:
        end = line.rfind(b" ", 1, room + 1)
        if end < 0:
            end = room
            while line[end] & 0xC0 == 0x80:  # a continuation byte of UTF-8
                end -= 1
        yield line[:end]
        line = line[end:].removeprefix(b" ")
    yield line
