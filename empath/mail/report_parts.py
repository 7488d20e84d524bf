"""
The parts of a multipart/report (RFC 6522), decoded: one level deep, and never more than is looked at.
"""

from __future__ import annotations

import binascii
import re
from quopri import decodestring
from typing import Final

import attrs

from empath.mail.header import Header

MOST_PARTS: Final = 10
LONGEST_PART: Final = 64 * 1024  # octets of a part that are read
LONGEST_FIELD: Final = 2000  # characters of a Content-Type
_DEFAULT: Final = "text/plain"
_TYPE: Final = re.compile(r"\s*([^\s;/()\"=]+/[^\s;/()\"=]+)")
_PARAMETER: Final = re.compile(r';\s*([^\s=;"()]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^\s;"()]++)')
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


@attrs.frozen(slots=True)
class Part:
    """
    A body part: `kind` is its media type in lower case, `content` its decoded beginning, lines ended by LF.
    """

    kind: str
    content: bytes


@attrs.frozen(slots=True)
class MediaType:
    """
    What Content-Type says: `kind` in lower case, and its parameters by their names in lower case.
    """

    kind: str
    parameters: dict[str, str]


def media_type(header: Header) -> MediaType:
    """
    Read Content-Type (RFC 2045 §5.1); what cannot be read is text/plain.
    """
    value = (header.get("Content-Type") or "")[:LONGEST_FIELD]
    match = _TYPE.match(value)
    if match is None:
        return MediaType(_DEFAULT, {})
    parameters = {
        each[1].lower(): _QUOTED_PAIR.sub(r"\1", each[2][1:-1]) if each[2].startswith('"') else each[2]
        for each in _PARAMETER.finditer(value, match.end())
    }
    return MediaType(match[1].lower(), parameters)


def parts_of(header: Header, body: bytes) -> tuple[Part, ...]:
    """
    Divide the body of a message, of which `body` is at least the beginning; one part where it has no others.
    """
    lines = body.replace(b"\r\n", b"\n").removeprefix(b"\n")
    media = media_type(header)
    boundary = media.parameters.get("boundary", "")
    if not media.kind.startswith("multipart/"):
        return (_part(header, lines),)
    if not boundary:
        return ()
    delimiter = b"\n--" + boundary.encode()
    found = []
    for each in (b"\n" + lines).split(delimiter, MOST_PARTS + 1)[1 : MOST_PARTS + 1]:
        if each.startswith(b"--"):
            break
        block, content = _divided(each.partition(b"\n")[2])
        found.append(_part(Header(block), content))
    return tuple(found)


def fields_of(content: bytes) -> list[Header]:
    """
    Read groups of fields, which empty lines part (RFC 3464 §2.1, RFC 5965 §3).
    """
    groups = [group for group in content.split(b"\n\n", 2 * MOST_PARTS) if group.strip()]
    return [Header(group.lstrip(b"\n") + b"\n") for group in groups]


def _divided(part: bytes) -> tuple[bytes, bytes]:
    """
    Divide a part into header block and content.
    """
    if part.startswith(b"\n"):
        return b"", part[1:]
    block, _, content = part.partition(b"\n\n")
    return block[:LONGEST_PART] + b"\n", content


def _part(header: Header, content: bytes) -> Part:
    encoding = (header.get("Content-Transfer-Encoding") or "").strip().lower()
    content = content[:LONGEST_PART]
    if encoding == "base64":
        content = _from_base64(content)
    elif encoding == "quoted-printable":
        content = decodestring(content)
    return Part(media_type(header).kind, content.replace(b"\r\n", b"\n"))


def _from_base64(content: bytes) -> bytes:
    """
    Decode what may be cut off, and hold what belongs to no base64 (RFC 2045 §6.8).
    """
    text = _NO_BASE64.sub(b"", content)
    text = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
