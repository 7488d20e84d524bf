"""
Made-up MIME messages, and what Python's email package reads in a message.
"""

from __future__ import annotations

import binascii
import re
from email import message_from_bytes
from email.message import Message
from typing import Final, cast

from hypothesis import strategies as st

BOUNDARIES: Final = ("b", "b1", "=_a b", "----=_Part_7", "x'()+_,-./:=?")
TEXT_TYPES: Final = (None, "text/plain", 'text/plain; charset="utf-8"', "TEXT/HTML; charset=iso-8859-1", "text")
OTHER_TYPES: Final = ("application/octet-stream", "image/png; name=x.png", "application/pkcs7-mime; smime-type=x")
CHANGED: Final = frozenset({"content-transfer-encoding", "mime-version", "content-type"})


def _line(text: bytes) -> bytes:
    return text.replace(b"\r", b"").replace(b"\n", b"").replace(b"--", b"-+")


LINES: Final = st.one_of(
    st.binary(max_size=30).map(_line),
    st.sampled_from(
        [b"", b".", b"..", b"From me", b" ", b"x\t ", b"=3D", b"\xff" * 200, b"y" * 1200, b"-", b"z" * 76, b"\x00"]
    ),
    st.text(max_size=40).map(lambda text: _line(text.encode(errors="replace"))),
)
TEXTS: Final = st.lists(LINES, max_size=6).map(b"\r\n".join)
BINARIES: Final = st.one_of(st.binary(max_size=200), TEXTS).map(lambda content: content.replace(b"--", b"-+"))


def _fields(media: str | None, encoding: str | None, folded: bool) -> bytes:
    fields = ["Content-Description: a part\r\n"]
    if media is not None:
        fields.append(
            f"{'content-TYPE:' if folded else 'Content-Type:'} {media}\r\n".replace("; ", ";\r\n\t" if folded else "; ")
        )
    if encoding is not None:
        fields.append(f"Content-Transfer-Encoding: {encoding}\r\n")
    return "".join(fields).encode()


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    """
    Make a leaf: header block, empty line, content.
    """
    text = draw(st.booleans())
    media = draw(st.sampled_from(TEXT_TYPES if text else OTHER_TYPES))
    content = draw(TEXTS if text else BINARIES)
    encoding = draw(st.sampled_from([None, "7bit", "8bit", "8BIT (raw)", " Binary", "base64", "Quoted-Printable"]))
    if encoding == "base64":
        content = binascii.b2a_base64(content[:57], newline=False)
    elif encoding == "Quoted-Printable":
        content = re.sub(rb"\r(?!\n)", b"=0D", binascii.b2a_qp(b"\r\n" + content)[2:])  # it leaves one at the end
    return _fields(media, encoding, draw(st.booleans())) + b"\r\n" + content


def multiparts(children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """
    Make a multipart of parts, or a message in a message.
    """
    return st.one_of(_multiparts(children), st.builds(_enclosed, children, st.sampled_from([None, "8bit", "7bit"])))


def _enclosed(child: bytes, encoding: str | None) -> bytes:
    return _fields("message/rfc822", encoding, False) + b"\r\nSubject: inner\r\nMIME-Version: 1.0\r\n" + child


@st.composite
def _multiparts(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    parts = draw(st.lists(children, min_size=1, max_size=3))
    free = [boundary for boundary in BOUNDARIES if not any(f'="{boundary}"'.encode() in part for part in parts)]
    if not free:
        return parts[0]
    boundary = draw(st.sampled_from(free))
    media = f'multipart/{draw(st.sampled_from(["mixed", "alternative", "Related"]))}; boundary="{boundary}"'
    mark = b"--" + boundary.encode()
    preamble = draw(st.sampled_from([b"", b"\r\n", b"preamble\r\n", b"\r\nlong\r\n\r\npreamble\r\n"]))
    end = draw(
        st.sampled_from([b"\r\n" + mark + b"--", b"\r\n" + mark + b"-- \r\nepilogue", b"\r\n" + mark + b"--\r\n", b""])
    )
    if not end and parts[-1].endswith((b"\r", b"\n")):  # what Python drops, and we keep, where the end is missing
        end = b"\r\n" + mark + b"--"
    padding = draw(st.sampled_from([b"", b" \t"]))
    encoding = draw(st.sampled_from([None, "8bit", "binary", "7bit"]))
    opened = mark + padding + b"\r\n"
    body = preamble + opened + (b"\r\n" + opened).join(parts) + end
    return _fields(media, encoding, draw(st.booleans())) + b"\r\n" + body


MESSAGES: Final = st.recursive(leaves(), multiparts, max_leaves=5).map(
    lambda entity: b"From: a@example.org\r\nMIME-Version: 1.0\r\n" + entity
)


def structure(content: bytes) -> list[tuple[str, list[tuple[str, str]], bytes | None]]:
    """
    Read a message: of each entity its type, the fields that are not about encodings, and of a leaf what it decodes to.
    """
    parsed = message_from_bytes(content)
    return [
        (
            part.get_content_type(),
            [(name, value) for name, value in part.items() if name.lower() not in CHANGED],
            None if part.is_multipart() else cast("bytes", part.get_payload(decode=True)),
        )
        for part in cast("list[Message]", list(parsed.walk()))
    ]


def encoded_lines(content: bytes) -> list[bytes]:
    """
    Give the lines of all leaves that are encoded.
    """
    return [
        line
        for part in message_from_bytes(content).walk()
        if part.get("Content-Transfer-Encoding", "").lower() in ("base64", "quoted-printable")
        for line in str(part.get_payload()).encode().split(b"\r\n")
    ]
