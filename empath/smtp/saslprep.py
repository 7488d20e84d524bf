"""
SASLprep (RFC 4013): how login names and passwords are made comparable, a profile of stringprep (RFC 3454).
"""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

_PROHIBITED: Final = (  # RFC 4013 §2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """
    Prepare a login name or password; ValueError for what SASLprep prohibits.

    Code points that Unicode 3.2 did not know pass (RFC 3454 §7: queries may hold them), so that what is stored and what
    is asked for are always treated alike.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = (" " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char))
    found = unicodedata.normalize("NFKC", "".join(mapped))
    if any(prohibits(char) for char in found for prohibits in _PROHIBITED):
        raise ValueError("a character that SASLprep prohibits")
    if any(map(stringprep.in_table_d1, found)) and not _runs_right_to_left(found):
        raise ValueError("right-to-left and left-to-right text are mixed")
    return found


def _runs_right_to_left(text: str) -> bool:
    """
    Tell whether text with right-to-left characters keeps to RFC 3454 §6.
    """
    return (
        stringprep.in_table_d1(text[0])
        and stringprep.in_table_d1(text[-1])
        and not any(map(stringprep.in_table_d2, text))
    )
