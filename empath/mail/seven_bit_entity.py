"""
What the header block of a MIME entity says of its body, as far as a conversion to 7 bits needs it (RFC 2045, 2046).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

import attrs

IDENTITIES: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})  # encodings that encode nothing
NO_FIELD: Final = "a header block holds a line that is no field"
_LONGEST_BOUNDARY: Final = 900  # RFC 2046 §5.1.1 allows 70; a delimiter has to fit into a line
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_TYPE: Final = re.compile(rb"\s*([^\s;/()\"=]+)\s*/\s*([^\s;/()\"=]+)\s*(?=;|\Z)")
_PARAMETER: Final = re.compile(
    rb'\s*;\s*+(?:([^\s=;"()]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^\s;"()]++)\s*)?+(?=;|\Z)', re.DOTALL
)
_COMMENT: Final = re.compile(rb"\([^()\\]*+\)")
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_SEALED: Final = {
    b"multipart/signed": "8-bit content is covered by a signature",
    b"multipart/encrypted": "8-bit content is part of an encrypted message",
    b"message/partial": "a fragment of a message holds 8-bit content",
    b"message/external-body": "a reference to an external body holds 8-bit content",
}


class Encoding(Enum):
    """
    What becomes of a leaf's content.
    """

    NONE = b"7bit"
    QUOTED_PRINTABLE = b"quoted-printable"
    BASE64 = b"base64"


class Kind(Enum):
    """
    What has to be done with an entity: convert its parts, the message it holds or itself, or leave it alone.
    """

    MULTIPART = "multipart"
    MESSAGE = "message"
    LEAF = "leaf"
    SEALED = "sealed"


@attrs.frozen(slots=True)
class Entity:
    """
    An entity: `fields` are its header fields as they are, line ends included, `whole` is False for a body part.

    `boundary` is that of a multipart, `digest` tells that its parts are messages by default (RFC 2046 §5.1.5). `text`
    tells that a leaf is made of lines. `reason` is why a sealed one cannot be converted.
    """

    fields: tuple[bytes, ...]
    whole: bool
    kind: Kind
    boundary: bytes = b""
    digest: bool = False
    text: bool = False
    reason: str = ""

    def header(self, encoding: Encoding | None = None) -> bytes:
        """
        Write the header block without the empty line: as it is, or as it must be for content in another encoding.

        Content that is not encoded needs a change only where a label claims more than 7 bits. Content that is encoded
        needs the fields without which nobody decodes it; what never said its type gets charset unknown-8bit (RFC 1428).
        """
        if encoding is None or (encoding is Encoding.NONE and self._transfer_encoding in (b"", b"7bit")):
            return b"".join(self.fields)
        label = b"Content-Transfer-Encoding: " + encoding.value + b"\r\n"
        kept = [field for field in self.fields if _name(field) != b"content-transfer-encoding"]
        if encoding is not Encoding.NONE:
            names = {_name(field) for field in kept}
            if self.whole and b"mime-version" not in names:
                kept.append(b"MIME-Version: 1.0\r\n")
            if b"content-type" not in names:
                kept.append(b"Content-Type: text/plain; charset=unknown-8bit\r\n")
        return b"".join(kept) + label

    @property
    def _transfer_encoding(self) -> bytes:
        values = _values(self.fields, b"content-transfer-encoding")
        return _token(values[0]) if values else b""


def read_entity(lines: list[bytes], *, whole: bool, in_digest: bool) -> Entity:
    """
    Read a header block, given as lines with their line ends; whatever is ambiguous makes a sealed entity.
    """
    fields = _fields(lines)
    if fields is None:
        return Entity(tuple(lines), whole, Kind.SEALED, reason=NO_FIELD)
    types = _values(fields, b"content-type")
    encodings = {_token(value) for value in _values(fields, b"content-transfer-encoding")}
    if len(set(types)) > 1 or len(encodings) > 1:
        return Entity(fields, whole, Kind.SEALED, reason="a field of MIME stands twice in a header block")
    default = b"message/rfc822" if in_digest else b"text/plain"
    value = types[0] if types else default
    encoding = encodings.pop() if encodings else b""
    return _classified(fields, whole, value, encoding)


def _classified(fields: tuple[bytes, ...], whole: bool, value: bytes, encoding: bytes) -> Entity:
    """
    Tell an entity's kind from the value of Content-Type and the transfer encoding.
    """

    def sealed(reason: str) -> Entity:
        return Entity(fields, whole, Kind.SEALED, reason=reason)

    match = _TYPE.match(value)
    lowered = value.lower()
    media = b"%s/%s" % (match[1].lower(), match[2].lower()) if match else b""
    if media in _SEALED:
        return sealed(_SEALED[media])
    if encoding not in IDENTITIES:
        return sealed("what is labelled as encoded is 8-bit")
    if media == b"message/rfc822":
        return Entity(fields, whole, Kind.MESSAGE)
    if match is None and (b"multipart" in lowered or b"message" in lowered):
        return sealed("the type of 8-bit content cannot be read")
    if not media.startswith(b"multipart/"):
        return Entity(fields, whole, Kind.LEAF, text=lowered.startswith((b"text", b"message")))
    boundary = _boundary(value[match.end() :]) if match else b""
    if not boundary:
        return sealed("the boundary of a multipart cannot be read")
    return Entity(fields, whole, Kind.MULTIPART, boundary, digest=media == b"multipart/digest")


def _fields(lines: list[bytes]) -> tuple[bytes, ...] | None:
    """
    Join lines to fields; None if one is neither the beginning nor the continuation of a field.
    """
    fields: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1].append(line)
        elif _FIELD.match(line):
            fields.append([line])
        else:
            return None
    return tuple([b"".join(each) for each in fields])


def _name(field: bytes) -> bytes:
    """
    Tell a field's name in lower case.
    """
    return field[: field.index(b":")].rstrip(b" \t").lower()


def _values(fields: tuple[bytes, ...], name: bytes) -> list[bytes]:
    """
    Tell the values of all fields of a name, unfolded.
    """
    return [
        field[field.index(b":") + 1 :].replace(b"\r\n", b"").strip(b" \t") for field in fields if _name(field) == name
    ]


def _token(value: bytes) -> bytes:
    """
    Read the value of Content-Transfer-Encoding.
    """
    return _COMMENT.sub(b"", value).strip(b" \t").lower()


def _boundary(parameters: bytes) -> bytes:
    """
    Find the boundary among the parameters of a multipart; b"" where readers may differ about what it is.
    """
    found: set[bytes] = set()
    at = 0
    while match := _PARAMETER.match(parameters, at):
        at = match.end()
        name = (match[1] or b"").lower()
        if name.startswith(b"boundary*"):  # RFC 2231 §3: known to few
            return b""
        if name == b"boundary":
            found.add(_unquoted(match[2]).rstrip(b" \t"))
    if at < len(parameters) or len(found) != 1:
        return b""
    boundary = found.pop()
    return boundary if len(boundary) <= _LONGEST_BOUNDARY else b""


def _unquoted(value: bytes) -> bytes:
    """
    Read a token or a quoted string.
    """
    return _QUOTED_PAIR.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
