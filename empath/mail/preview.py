"""
The beginning of a message for people to see: its fields with encoded-words read (RFC 2047), and some of its text.

Whatever a message is made of, what is shown of it is text, bounded in size; control characters are left in it.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from empath.mail.header import Header

MOST_FIELDS: Final = 300
LONGEST: Final = 4000  # characters of a value
SHOWN: Final = 1024  # characters of a body
BINARY: Final = "[binary]"

_TAIL: Final = 16  # octets at the end that may be half of a character, or of what shifts between sets
_WORD: Final = re.compile(r"=\?([^?\s]+)\?([BbQq])\?([!->@-~]*)\?=")
_BETWEEN: Final = re.compile(r"(\?=)[ \t]+(?==\?[^?\s]+\?[BbQq]\?)")
_HEX: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_CHARSET: Final = re.compile(r"""charset[ \t]*=[ \t]*"?([^\s";]+)""", re.IGNORECASE)
_KNOWN: Final = re.compile(
    r"utf-?8|us-ascii|ascii|(?:iso-?8859|windows|cp)-?\d{1,4}|koi8-[ru]|gb2312|gbk|gb18030|big5|hz-gb-2312"
    r"|euc-(?:jp|kr)|shift[_-]jis|iso-2022-(?:jp|kr)|ks_c_5601-1987|tis-620",
    re.IGNORECASE,
)


def fields_of(block: bytes) -> tuple[tuple[str, str], ...]:
    """
    Give the fields of a header block in their order, the first 300, each with no more than 4,000 characters.
    """
    fields = Header(block).fields()[:MOST_FIELDS]
    return tuple([(name[:LONGEST], decode_words(value[:LONGEST])[:LONGEST]) for name, value in fields])


def decode_words(value: str) -> str:
    """
    Read the encoded-words in a value; what cannot be read stays as it is.
    """
    if "=?" not in value:
        return value
    return _WORD.sub(_decoded, _BETWEEN.sub(r"\1", value))


def _decoded(word: re.Match[str]) -> str:
    charset = word[1].partition("*")[0]  # a language may follow (RFC 2231 §5)
    octets = word[3].encode("ascii")
    try:
        if word[2] in "Bb":
            octets = b64decode(octets + b"=" * (-len(octets) % 4), validate=True)
        else:
            octets = _HEX.sub(lambda pair: bytes.fromhex(pair[1].decode()), octets.replace(b"_", b" "))
    except ValueError:
        return word[0]
    text = _text(octets, charset)
    return word[0] if text is None else text


def text_of(header: bytes, beginning: bytes, whole: bool) -> str:
    """
    Give the first 1,024 characters of a body, with its empty line before it; "[binary]" for what is no text.

    `beginning` are its first octets, 8 KiB are more than enough, and `whole` tells that these are all. The charset is
    the one that is declared for the whole body, else UTF-8. Nothing is decoded but characters.
    """
    body = beginning.removeprefix(b"\r\n")
    if b"\0" in body:
        return BINARY
    declared = _CHARSET.search(Header(header).get("Content-Type") or "")
    text = _text(body, declared[1], whole) if declared is not None else None
    if text is None:
        text = _text(body, "utf-8", whole)
    return BINARY if text is None else text.replace("\r\n", "\n")[:SHOWN]


def _text(octets: bytes, charset: str, whole: bool = True) -> str | None:
    """
    Read octets as text, None if they are none, or the charset is unknown; what was cut at the end may be half a
    character.
    """
    if not _KNOWN.fullmatch(charset):
        return None
    try:
        return _stored(octets.decode(charset))
    except UnicodeDecodeError as error:
        if whole or error.start < len(octets) - _TAIL:
            return None
        return _stored(octets[: error.start].decode(charset, "replace"))
    except LookupError:
        return None


def _stored(text: str) -> str:
    """
    Leave out halves of surrogates, which no JSON can hold.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
