"""
xtext: how ESMTP parameters carry any printable ASCII text (RFC 3461 §4).
"""

from __future__ import annotations

import re
from typing import Final

_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")
_HEX_PAIR: Final = re.compile(r"\+([0-9A-F]{2})")
_ENCODED: Final = re.compile(r"[^!-*,-<>-~]")


def is_xtext(text: str) -> bool:
    """
    Tell whether `text` is xtext.
    """
    return _XTEXT.fullmatch(text) is not None


def encode_xtext(text: str) -> str:
    """
    Write text as xtext; ValueError for what is not ASCII.
    """
    if not text.isascii():
        raise ValueError("xtext holds ASCII only")
    return _ENCODED.sub(lambda match: f"+{ord(match[0]):02X}", text)


def decode_xtext(text: str) -> str:
    """
    Read xtext; what is none stays as it is.
    """
    return _HEX_PAIR.sub(lambda match: chr(int(match[1], 16)), text)
