"""
The content of a message on its way to 7 bits: passed on, looked at, encoded; in pieces of any size (RFC 2045 §6).

No piece ends between CR and LF; what follows the last piece is the line end before a delimiter, or nothing.
"""

from __future__ import annotations

from typing import Final, Protocol

from empath.errors import EmpathError
from empath.mail.seven_bit_encoding import HOLD, bare_newline, coder
from empath.mail.seven_bit_entity import Encoding, Entity

_LONGEST_LINE: Final = 998  # RFC 5321 §4.5.3.1.6


class NotConvertible(EmpathError):
    """
    The message cannot be made 7-bit without breaking it; `reason` is fit for a report to its sender.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Content(Protocol):
    """
    Where the content of a region goes: each gives what is to be sent.
    """

    def write(self, piece: bytes) -> bytes:
        """
        Take the next piece.
        """

    def finish(self, delimited: bool) -> bytes:
        """
        End it: before a delimiter, or with the message.
        """


def seven_bit(piece: bytes) -> bool:
    """
    Tell whether all of a piece is ASCII without NUL, CR and LF standing together only (RFC 2045 §2.7).
    """
    return piece.isascii() and b"\0" not in piece and not bare_newline(piece)


class Verbatim:
    """
    Passes on what must not be changed, and raises NotConvertible where it would have to be.
    """

    __slots__ = ("_reason",)

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def write(self, piece: bytes) -> bytes:
        """
        Give the piece itself.
        """
        if not seven_bit(piece):
            raise NotConvertible(self._reason)
        return piece

    def finish(self, delimited: bool) -> bytes:
        """
        Give nothing more.
        """
        return b""


class Look:
    """
    Looks at a leaf's content to tell which encoding it needs; gives nothing out.
    """

    __slots__ = ("_bare", "_eight_bit", "_line", "_long", "_nul")

    def __init__(self) -> None:
        self._eight_bit = False
        self._nul = False
        self._bare = False
        self._long = False
        self._line = 0

    def write(self, piece: bytes) -> bytes:
        """
        Look at a piece.
        """
        self._eight_bit = self._eight_bit or not piece.isascii()
        self._nul = self._nul or b"\0" in piece
        self._bare = self._bare or bare_newline(piece)
        lengths = [len(line) for line in piece.split(b"\r\n")]
        lengths[0] += self._line
        self._line = lengths[-1]
        self._long = self._long or max(lengths) > _LONGEST_LINE
        return b""

    def finish(self, delimited: bool) -> bytes:
        """
        Give nothing.
        """
        return b""

    def encoding(self, entity: Entity) -> Encoding:
        """
        Tell the encoding that all seen so far needs; lines with NUL or bare newlines are no text (RFC 2046 §4.1.1).
        """
        if not (self._eight_bit or self._nul or self._bare or self._long):
            return Encoding.NONE
        return least_encoding(entity) if not (self._nul or self._bare) else Encoding.BASE64


def least_encoding(entity: Entity) -> Encoding:
    """
    Tell the encoding for content of this type: lines stay readable.
    """
    return Encoding.QUOTED_PRINTABLE if entity.text else Encoding.BASE64


class Leaf:
    """
    Gives a leaf with its header block: holds content back until it is known whether and how it has to be encoded.

    That is known from `encoding` if somebody looked at all of it before; else after HOLD bytes or at the end. Content
    longer than that is encoded even if it was 7-bit so far: what is to come is not known, and the label is sent first.
    """

    __slots__ = ("_coded", "_entity", "_held", "_length")

    def __init__(self, entity: Entity, encoding: Encoding | None) -> None:
        self._entity = entity
        self._held: list[bytes] = []
        self._length = 0
        self._coded: Content | None = None
        if encoding is not None:
            self._coded = coder(encoding)
            self._held.append(entity.header(encoding) + b"\r\n")

    def write(self, piece: bytes) -> bytes:
        """
        Take a piece; give what is decided.
        """
        if self._coded is not None:
            return self._released() + self._coded.write(piece)
        self._held.append(piece)
        self._length += len(piece)
        return self._decide()[0] if self._length > HOLD else b""

    def finish(self, delimited: bool) -> bytes:
        """
        Give all that was held back.
        """
        if self._coded is not None:
            return self._released() + self._coded.finish(delimited)
        begun, coded = self._decide()
        return begun + coded.finish(delimited)

    def _decide(self) -> tuple[bytes, Content]:
        """
        Choose the encoding by the first HOLD bytes, however they came.
        """
        held = self._released()
        look = Look()
        look.write(held if self._length <= HOLD else held[:HOLD].removesuffix(b"\r"))
        encoding = look.encoding(self._entity)
        if encoding is Encoding.NONE and self._length > HOLD:
            encoding = least_encoding(self._entity)
        self._coded = coded = coder(encoding)
        return self._entity.header(encoding) + b"\r\n" + coded.write(held), coded

    def _released(self) -> bytes:
        held = b"".join(self._held)
        self._held.clear()
        return held
