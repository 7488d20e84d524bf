"""
The encodings of content for 7 bits, in pieces of any size: none, quoted-printable, base64 (RFC 2045 §6.7, §6.8).
"""

from __future__ import annotations

import binascii
from typing import Final, assert_never

from empath.mail.seven_bit_entity import Encoding

HOLD: Final = 65536  # of a line or a leaf in memory
_QP_LINE: Final = 76
_BASE64_GROUP: Final = 57  # bytes that make a line of 76 characters


def bare_newline(piece: bytes) -> bool:
    """
    Tell whether a CR or an LF stands alone.
    """
    return not piece.count(b"\r\n") == piece.count(b"\n") == piece.count(b"\r")


class Unchanged:
    """
    Gives a leaf as it is: that it can stay so was seen before.
    """

    def write(self, piece: bytes) -> bytes:
        """
        Give the piece itself.
        """
        return piece

    def finish(self, delimited: bool) -> bytes:
        """
        Give nothing more.
        """
        return b""


class QuotedPrintable:
    """
    Encodes lines; a CR or an LF that stands alone becomes =0D or =0A, so no content is lost whatever it is.

    Soft breaks in lines longer than HOLD depend on the pieces. Dots are safe by the transport's own rule; "From " is
    not changed, since SMTP does not change it.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def write(self, piece: bytes) -> bytes:
        """
        Encode the lines that are complete, and of an endless line what is too much to keep.
        """
        piece = self._rest + piece
        end = piece.rfind(b"\r\n") + 2
        if end < 2:
            end = 0
        self._rest = piece[end:]
        encoded = _quoted(piece[:end]) if end else b""
        if len(self._rest) > HOLD:
            encoded += _softly_ended(_quoted(self._rest))
            self._rest = b""
        return encoded

    def finish(self, delimited: bool) -> bytes:
        """
        Encode the last line; if the message ends without a line end, so does what is decoded.
        """
        if not self._rest:
            return b""
        encoded = _quoted(self._rest)
        return encoded if delimited else _softly_ended(encoded)


def _quoted(lines: bytes) -> bytes:
    """
    Encode lines, the last one perhaps without its end.
    """
    if bare_newline(lines):
        return b"\r\n".join([_quoted_line(line) for line in lines.split(b"\r\n")])
    if b"\n" in lines:  # else b2a_qp breaks lines with LF
        return binascii.b2a_qp(lines)
    return binascii.b2a_qp(b"\r\n" + lines)[2:]


def _quoted_line(line: bytes) -> bytes:
    """
    Encode a line without its end; what stands alone in it is no line end.
    """
    if b"\r" not in line and b"\n" not in line:
        return binascii.b2a_qp(line + b"\r\n")[:-2]
    return binascii.b2a_qp(line, istext=False).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _softly_ended(encoded: bytes) -> bytes:
    """
    Add a soft line break, and another one where there is no room for it.
    """
    if len(encoded) - (encoded.rfind(b"\n") + 1) >= _QP_LINE:
        encoded = encoded[:-1] + b"=\r\n" + encoded[-1:]
    return encoded + b"=\r\n"


class Base64:
    """
    Encodes bytes, in lines of 76 characters.
    """

    __slots__ = ("_begun", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def write(self, piece: bytes) -> bytes:
        """
        Encode what makes whole lines.
        """
        piece = self._rest + piece
        end = len(piece) - len(piece) % _BASE64_GROUP
        self._rest = piece[end:]
        return self._lines(piece[:end])

    def finish(self, delimited: bool) -> bytes:
        """
        Encode the rest; the line end before a delimiter is not ours.
        """
        encoded = self._lines(self._rest)
        return encoded + b"\r\n" if self._begun and not delimited else encoded

    def _lines(self, whole: bytes) -> bytes:
        """
        Encode lines, a line end between each two.
        """
        if not whole:
            return b""
        encoded = binascii.b2a_base64(whole, newline=False)
        lines = [encoded[at : at + 76] for at in range(0, len(encoded), 76)]
        if self._begun:
            lines.insert(0, b"")
        self._begun = True
        return b"\r\n".join(lines)


def coder(encoding: Encoding) -> Unchanged | QuotedPrintable | Base64:
    """
    Make what encodes.
    """
    match encoding:
        case Encoding.NONE:
            return Unchanged()
        case Encoding.QUOTED_PRINTABLE:
            return QuotedPrintable()
        case Encoding.BASE64:
            return Base64()
        case _ as never:
            assert_never(never)
