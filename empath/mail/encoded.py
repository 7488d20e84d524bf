"""
Values of header fields that are not ASCII, written in ASCII (RFC 2047): mail without SMTPUTF8 can carry them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from email.utils import formataddr, getaddresses
from typing import Final

_ADDRESSES: Final = frozenset(
    prefix + name
    for prefix in ("", "resent-")
    for name in ("from", "sender", "reply-to", "to", "cc", "bcc", "return-path")
)
_ROOM: Final = 45  # octets that base64 makes 60 characters of: an encoded-word has at most 75
_WORD: Final = r"[^ \t\x80-\U0010ffff]*[^\x00-\x7f][^ \t]*"  # with a character that is not ASCII
_WORDS: Final = re.compile(rf"{_WORD}(?:[ \t]+{_WORD})*")


def encode_value(name: str, value: str) -> str:
    """
    Write the value of a field of this name in encoded-words; ValueError where it holds an address that is not ASCII.
    """
    if name.lower() in _ADDRESSES:
        return _encode_addresses(name, value)
    return _WORDS.sub(lambda match: encode_words(match[0]), value)


def encode_words(text: str) -> str:
    """
    Write text as encoded-words with blanks between them, which who reads them drops.
    """
    words = []
    piece = b""
    for character in text:
        octets = character.encode()
        if len(piece) + len(octets) > _ROOM:
            words.append(piece)
            piece = b""
        piece += octets
    words.append(piece)
    return " ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _encode_addresses(name: str, value: str) -> str:
    """
    Encode the names that stand with addresses.
    """
    pairs = getaddresses([value])
    if not all(address.isascii() and "@" in address for _, address in pairs):
        raise ValueError(f"an address in {name} is not ASCII, and the message was not sent with SMTPUTF8: {value!r}")
    return ", ".join(
        formataddr((phrase, address)) if phrase.isascii() else f"{encode_words(phrase)} <{address}>"
        for phrase, address in pairs
    )
