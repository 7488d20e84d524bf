"""
The structure of a MIME message, followed while it passes in pieces of any size (RFC 2046 §5).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import attrs

from empath.mail.seven_bit_content import Content, NotConvertible, Verbatim, seven_bit
from empath.mail.seven_bit_entity import NO_FIELD, Encoding, Entity, Kind, read_entity

_MOST_HEADER: Final = 1 << 18  # bytes of a header block; beyond, an entity is only passed on
_MOST_DEPTH: Final = 100  # multiparts within one another
_LONGEST_DELIMITER: Final = 998  # its padding included
_DELIMITER: Final = b"\r\n--"
_OUTSIDE: Final = "8-bit content stands outside the parts of a multipart"


@attrs.frozen(slots=True)
class _Multipart:
    delimiter: bytes
    digest: bool


class Walk(ABC):
    """
    Follows the structure of a message through pieces of any size; subclasses say what becomes of a leaf.

    Delimiter lines are recognized as a whole, as most readers do, innermost first (RFC 2046 §5.1.1, §5.1.2).
    `_content` takes what comes now, None in a header block. While `_fresh`, next in the buffer is a line end that was
    given out already, of the empty line or of a delimiter: it may be the one before the next delimiter, too.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_content",
        "_fresh",
        "_header_size",
        "_in_digest",
        "_lines",
        "_needle",
        "_stack",
        "_whole",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._stack: list[_Multipart] = []
        self._needle = b"\r\n"  # how each delimiter begins
        self._content: Content | None = None
        self._header(whole=True, in_digest=False)

    @abstractmethod
    def leaf(self, entity: Entity) -> Content:
        """
        Say what becomes of a leaf.
        """

    def walk(self, piece: bytes) -> bytes:
        """
        Take the next piece; give what is certain.
        """
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        out: list[bytes] = []
        while self._header_line(out) if self._content is None else self._region(self._content, out):
            pass
        return b"".join(out)

    def end(self) -> bytes:
        """
        Give what is left when the message ends.
        """
        rest = self._buffer[self._at :]
        if self._content is None:
            return b"".join(self._lines) + _checked(rest)
        out: list[bytes] = []
        if self._matching(rest[2:] if rest.startswith(_DELIMITER) else b"") is not None:
            return self._content.finish(True) + (rest[2:] if self._fresh else rest)
        self._flush(self._content, len(self._buffer), out)
        out.append(self._content.finish(False))
        return b"".join(out)

    def _header(self, *, whole: bool, in_digest: bool) -> None:
        """
        Begin a header block.
        """
        self._content = None
        self._fresh = False
        self._whole = whole
        self._in_digest = in_digest
        self._lines: list[bytes] = []
        self._header_size = 0

    def _header_line(self, out: list[bytes]) -> bool:
        """
        Take a line of a header block.
        """
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            return len(self._buffer) - self._at > _MOST_HEADER + len(b"\r") and self._give_up(out)
        line = self._buffer[self._at : end]
        if not line:
            self._enter(read_entity(self._lines, whole=self._whole, in_digest=self._in_digest), out)
        elif (level := self._matching(line)) is not None:
            out.extend(self._lines)
            self._delimited(level, line, end, out)
        elif max(self._header_size, len(line)) > _MOST_HEADER:
            return self._give_up(out)
        else:
            self._lines.append(_checked(line + b"\r\n"))
            self._header_size += len(line) + 2
            self._at = end + 2
        return True

    def _give_up(self, out: list[bytes]) -> bool:
        """
        Pass on an entity whose header block never ends.
        """
        out.extend(self._lines)
        self._content = Verbatim(NO_FIELD)
        return True

    def _enter(self, entity: Entity, out: list[bytes]) -> None:
        """
        Go into the body; the empty line is next in the buffer.
        """
        delimiter = b"--" + entity.boundary
        self._fresh = True
        match entity.kind:
            case Kind.LEAF:
                self._content = self.leaf(entity)
                return
            case Kind.MULTIPART if self._may_nest(delimiter):
                out.append(entity.header(Encoding.NONE))
                self._stack.append(_Multipart(delimiter, entity.digest))
                self._needle = self._common_beginning()
                self._content = Verbatim(_OUTSIDE)
            case Kind.MESSAGE:
                out.append(entity.header(Encoding.NONE))
                self._header(whole=True, in_digest=False)
                self._at += 2
            case _:
                out.append(entity.header())
                self._content = Verbatim(entity.reason or "multiparts cannot be told from one another")
        out.append(b"\r\n")

    def _common_beginning(self) -> bytes:
        """
        Tell how each delimiter begins that may come now: lines that do not begin so need no closer look.
        """
        delimiters = [b"\r\n" + multipart.delimiter for multipart in self._stack] or [b"\r\n"]
        first, last = min(delimiters), max(delimiters)
        length = next(
            (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
        )
        return first[:length]

    def _may_nest(self, delimiter: bytes) -> bool:
        """
        Tell whether a multipart can be told from those around it.
        """
        return len(self._stack) < _MOST_DEPTH and not any(
            other.delimiter in (delimiter, delimiter + b"--") or delimiter == other.delimiter + b"--"
            for other in self._stack
        )

    def _region(self, content: Content, out: list[bytes]) -> bool:
        """
        Take content up to the next delimiter.
        """
        buffer = self._buffer
        found = buffer.find(self._needle, self._at) if self._stack else -1
        while found >= 0:
            end = buffer.find(b"\r\n", found + 2)
            if end < 0 and len(buffer) - found <= _LONGEST_DELIMITER + len(b"\r\n\r"):
                self._flush(content, found, out)
                return False
            line = buffer[found + 2 : end] if end >= 0 else b""
            if (level := self._matching(line)) is not None:
                self._flush(content, found, out)
                out.append(content.finish(True) if self._fresh else content.finish(True) + b"\r\n")
                self._delimited(level, line, end, out)
                return True
            found = buffer.find(self._needle, found + 2)
        self._flush(content, len(buffer) - self._undecided(), out)
        return False

    def _undecided(self) -> int:
        """
        Tell how many of the last bytes may be the beginning of a delimiter, or of a line end.
        """
        begin = self._buffer.rfind(b"\r", max(self._at, len(self._buffer) - len(self._needle) + 1))
        return len(self._buffer) - begin if begin >= 0 and self._needle.startswith(self._buffer[begin:]) else 0

    def _flush(self, content: Content, end: int, out: list[bytes]) -> None:
        """
        Hand on content up to `end`.
        """
        begin = self._at + 2 if self._fresh else self._at
        if end < begin:
            return
        self._fresh = False
        self._at = end
        if end > begin:
            out.append(content.write(self._buffer[begin:end]))

    def _matching(self, line: bytes) -> int | None:
        """
        Tell which multipart a delimiter line belongs to.
        """
        if not line.startswith(b"--") or len(line) > _LONGEST_DELIMITER:
            return None
        bare = line.rstrip(b" \t")
        for level in range(len(self._stack) - 1, -1, -1):
            delimiter = self._stack[level].delimiter
            if bare.startswith(delimiter) and bare[len(delimiter) :] in (b"", b"--"):
                return level
        return None

    def _delimited(self, level: int, line: bytes, end: int, out: list[bytes]) -> None:
        """
        Go on behind a delimiter line, its own end at `end`: in the header block of the next part, or outside.
        """
        out.append(line + b"\r\n")
        multipart = self._stack[level]
        closed = line.rstrip(b" \t") != multipart.delimiter
        del self._stack[level if closed else level + 1 :]
        self._needle = self._common_beginning()
        self._fresh = closed
        self._at = end if closed else end + 2
        if closed:
            self._content = Verbatim(_OUTSIDE)
        else:
            self._header(whole=False, in_digest=multipart.digest)


def _checked(line: bytes) -> bytes:
    """
    Give a line of a header block back; what is not ASCII there is no matter of 8BITMIME but of SMTPUTF8 (RFC 6532).
    """
    if not seven_bit(line):
        raise NotConvertible("a header block holds 8-bit or control characters")
    return line
