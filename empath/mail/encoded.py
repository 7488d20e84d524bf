"""
Values of header fields that are not ASCII, written in ASCII (RFC 2047): mail without SMTPUTF8 can carry them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

_ADDRESSES: Final = frozenset(
    prefix + name
    for prefix in ("", "resent-")
    for name in ("from", "sender", "reply-to", "to", "cc", "bcc", "return-path")
)
_ROOM: Final = 45  # octets that base64 makes 60 characters of: an encoded-word has at most 75
_BLANKS: Final = re.compile(r"([ \t]++)")
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_MAILBOXES: Final = re.compile(rf',?(?:{_QUOTED}|[^",])++|,')  # those of a list, each with the comma before it
_NAMED: Final = re.compile(rf'(,?[ \t]*+)({_QUOTED}|[^"<>()]*[^"<>() \t])[ \t]*+(<[!-;=?-~]+@[!-;=?-~]+>[ \t]*+)')
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


def encode_value(name: str, value: str) -> str:
    """
    Write the value of a field of this name in encoded-words; ValueError where it holds an address that is not ASCII.
    """
    if name.lower() in _ADDRESSES:
        return _encode_addresses(name, value)
    return _encode_text(value)


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


def _encode_text(text: str) -> str:
    """
    Encode the words that are not ASCII; those next to each other together, with the blanks between them.
    """
    words: list[str] = []  # each word, and what is between two
    for number, word in enumerate(_BLANKS.split(text)):
        if number % 2 or word.isascii() or len(words) < 2 or words[-2].isascii():
            words.append(word)
        else:
            words[-2:] = [words[-2] + words[-1] + word]
    return "".join(word if word.isascii() else encode_words(word) for word in words)


def _encode_addresses(name: str, value: str) -> str:
    """
    Encode the names that stand with addresses; those that are ASCII stay as they are.
    """
    return "".join(part if part.isascii() else _encode_mailbox(name, part) for part in _MAILBOXES.findall(value))


def _encode_mailbox(name: str, text: str) -> str:
    match = _NAMED.fullmatch(text)
    if match is None:
        raise ValueError(f"{name} holds an address that is not ASCII, and there is no SMTPUTF8: {text[:100]!r}")
    comma, phrase, address = match.groups()
    words = _QUOTED_PAIR.sub(r"\1", phrase[1:-1]) if phrase.startswith('"') else phrase
    return f"{comma}{encode_words(words)} {address}"
