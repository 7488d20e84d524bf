"""
The header fields that a milter wants written. Pure; MilterError for what would be none.

A milter often gives back what the client wrote, which nobody but the client is to blame for: what a header block can
hold on its way in is mended here where it cannot be written again.
"""

from __future__ import annotations

import re
from typing import Final

from empath.mail.header import field
from empath.modules.builtin.milter.codec import MilterError

_LONGEST: Final = 900  # octets of a word, or of a line: with the name they fit 998 (RFC 5322 §2.1.1)
_WIDEST: Final = 4  # octets of a character
_LINE_END: Final = re.compile(r"\r?\n")
_ALONE: Final = re.compile(r"\r(?!\n)")
_LONG_WORD: Final = re.compile(rf"[^ \t\r\n]{{{_LONGEST}}}(?=[^ \t\r\n])")
_LONG_WIDE_WORD: Final = re.compile(rf"[^ \t\r\n]{{{_LONGEST // _WIDEST}}}(?=[^ \t\r\n])")
_BLANKS: Final = " \t"


def read_field(name: bytes, value: bytes, utf8: bool) -> tuple[str, str]:
    """
    Read a field, and be sure that it can be written: as it is if `utf8`, else in ASCII.
    """
    known, text = name.decode(errors="replace"), read_value(value)
    try:
        field(known, text, utf8)
    except ValueError as error:
        raise MilterError(str(error)) from error
    return known, text


def read_value(raw: bytes) -> str:
    """
    Read a value, its lines divided by LF or CRLF: without lines that are empty, a CR that stands alone as a blank, and
    with a blank in words that no line could hold.
    """
    text = _ALONE.sub(" ", raw.decode(errors="replace"))
    text = (_LONG_WORD if text.isascii() else _LONG_WIDE_WORD).sub(r"\g<0> ", text)
    first, *folded = _LINE_END.split(text)
    lines = [first, *(line for line in folded if line.strip(_BLANKS))]
    if len(lines) > 1 and max(len(line.encode()) for line in lines) > _LONGEST and _is_folded(lines):
        return "".join(lines)  # to be folded anew
    return "\r\n".join(lines)


def _is_folded(lines: list[str]) -> bool:
    return all(line[0] in _BLANKS for line in lines[1:])
