"""
xtext: how ESMTP parameters carry any printable ASCII text (RFC 3461 §4).
"""

from __future__ import annotations

import re
from typing import Final

_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")
_HEX_PAIR: Final = re.compile(r"\+([0-9A-F]{2})")
_ESCAPED: Final = re.compile(r"[\x00- +=\\\x7f]")  # in utf-8-addr-unitext (RFC 6533 §3)
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


def original_recipient(text: str) -> str:
    """
    Write an address as the value of ORCPT (RFC 3461 §4.2, RFC 6533 §3).
    """
    if text.isascii():
        return f"rfc822;{encode_xtext(text)}"
    return f"utf-8;{_ESCAPED.sub(escape, text)}"


def escape(match: re.Match[str]) -> str:
    """
    Write a character as RFC 6533 §3 has it in an address of type utf-8.
    """
    return f"\\x{{{ord(match[0]):02X}}}"
