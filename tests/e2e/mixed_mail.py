"""
Messages of all kinds, made by number: 7-bit, 8-bit, binary, internationalized, from one byte to many, for one or many.
"""

from __future__ import annotations

import base64
import email
import math
import random
from collections.abc import Iterator
from email.message import Message
from typing import Final

import attrs

ORIGIN: Final = "origin.test"
WORDS: Final = "Grüße aus Köln – χαιρετισμούς, привет, 日本語, and plain words besides. "


@attrs.frozen(slots=True)
class Leaf:
    """
    A part that is no multipart: its type, and what it holds once it is decoded.
    """

    type: str
    content: bytes


@attrs.frozen(slots=True)
class Mail:
    """
    A message: `locals` are the local parts of its recipients. `parameters` are those of MAIL. `leaves` are its parts,
    `sealed` tells that nobody on the way may encode it.
    """

    number: int
    kind: str
    sender: str
    locals: tuple[str, ...]
    raw: bytes
    parameters: tuple[str, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    sealed: bool = False

    @property
    def utf8_header(self) -> bool:
        """
        Whether its header needs SMTPUTF8.
        """
        return "SMTPUTF8" in self.parameters and not self.raw.partition(b"\r\n\r\n")[0].isascii()

    @property
    def binary(self) -> bool:
        """
        Whether only BDAT can carry it as it is.
        """
        return "BODY=BINARYMIME" in self.parameters

    @property
    def eight_bit(self) -> bool:
        """
        Whether it has bytes above 127.
        """
        return not self.raw.isascii()


def mixed(count: int, largest: int, seed: int = 6) -> Iterator[Mail]:
    """
    Make `count` messages, every kind in turn; one of fifty is of the `largest` size, and the very first of one byte.
    """
    return (made(number, largest, seed) for number in range(count))


def made(number: int, largest: int, seed: int = 6) -> Mail:
    """
    Make the message of a number.
    """
    if number == 0:
        return _ONE
    chance = random.Random(f"{seed} {number}")
    size = largest if number % 50 == 11 else drawn_size(chance, largest)
    kind = tuple(_KINDS)[number % len(_KINDS)]
    return attrs.evolve(_KINDS[kind](number, size, chance), kind=kind)


def drawn_size(chance: random.Random, largest: int) -> int:
    """
    Draw a size in bytes: mostly some kilobytes, one of fifty up to a third of the largest.
    """
    if chance.random() < 0.02:
        return chance.randint(0, largest // 3)
    return int(math.exp(chance.uniform(0, math.log(min(largest, 200_000)))))


def leaves_of(message: Message) -> list[Leaf]:
    """
    Decode what arrived, text with LF as line end.
    """
    found = []
    for part in message.walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes), part.get_content_type()
        found.append(_leaf(part.get_content_type(), content))
    return found


def mime_difference(arrived: bytes, mail: Mail) -> str:
    """
    Say how a message whose encodings may have changed is not what was sent, "" if it is.
    """
    got, sent = email.message_from_bytes(arrived), email.message_from_bytes(mail.raw.partition(b"\r\n\r\n")[0])
    for name, value in sent.items():
        if name.lower() not in ("content-transfer-encoding", "mime-version") and got[name] != value:
            return f"{name} is {got[name]!r}, was {value!r}"
    if not arrived.isascii():
        return "it has 8-bit bytes"
    leaves, wanted = leaves_of(got), [_leaf(each.type, each.content) for each in mail.leaves]
    if [each.type for each in leaves] != [each.type for each in wanted]:
        return f"types {[each.type for each in leaves]} were {[each.type for each in wanted]}"
    for at, (one, other) in enumerate(zip(leaves, wanted, strict=True)):
        if one.content != other.content:
            return f"part {at} ({len(one.content)} bytes, was {len(other.content)}): {one.content[:60]!r}"
    return ""


def _leaf(kind: str, content: bytes) -> Leaf:
    return Leaf(kind, content.replace(b"\r\n", b"\n") if kind.startswith("text/") else content)


def _head(number: int, *fields: str) -> str:
    plain = (f"From: <m{number}@{ORIGIN}>", f"Message-ID: <m{number}@{ORIGIN}>", f"Subject: message {number}")
    return "".join(f"{field}\r\n" for field in (*plain, *fields))


def _lines(text: str, size: int, width: int = 70) -> bytes:
    """
    Make about `size` bytes of lines of `width` characters; some begin with dots.
    """
    line = (text * (width // len(text) + 1))[:width].strip()
    block = f"{line}\r\n.{line[:20]}\r\n..\r\n\r\n".encode()
    whole = (block * (size // len(block) + 1))[:size]
    return whole[: whole.rfind(b"\r\n") + 2] if b"\r\n" in whole else b"short\r\n"


def _mail(number: int, raw: bytes, *parameters: str, leaves: tuple[Leaf, ...] = (), sealed: bool = False) -> Mail:
    return Mail(number, "", f"m{number}@{ORIGIN}", (f"m{number}",), raw, parameters, leaves, sealed)


def _text(number: int, size: int, *parameters: str, head: str = "", words: str = WORDS, width: int = 70) -> Mail:
    body = _lines(words, size, width)
    raw = (_head(number) + head + "\r\n").encode() + body
    return _mail(number, raw, *parameters, leaves=(Leaf("text/plain", body),))


def _plain(number: int, size: int, chance: random.Random) -> Mail:
    return _text(number, size, words="The quick brown fox jumps over the lazy dog. ")


def _long_lines(number: int, size: int, chance: random.Random) -> Mail:
    return _text(number, min(size, 100_000), words="long lines, ", width=chance.randint(999, 5000))


LABELLED: Final = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def _labelled(number: int, size: int, chance: random.Random) -> Mail:
    return _text(number, size, "BODY=8BITMIME", head=LABELLED)


def _unlabelled(number: int, size: int, chance: random.Random) -> Mail:
    return _text(number, size, "BODY=8BITMIME")


def _utf8_recipients(number: int, size: int, chance: random.Random) -> Mail:
    mail = _text(number, size, "BODY=8BITMIME", "SMTPUTF8", head=LABELLED)
    return attrs.evolve(mail, locals=(f"m{number}", f"ü{number}", f"日本語{number}"))


def _utf8_sender(number: int, size: int, chance: random.Random) -> Mail:
    mail = _text(number, size, "SMTPUTF8", words="plain text, ")
    return attrs.evolve(mail, sender=f"größe{number}@{ORIGIN}")


def _utf8_header(number: int, size: int, chance: random.Random) -> Mail:
    return _text(number, size, "BODY=8BITMIME", "SMTPUTF8", head=f"Comments: {WORDS.strip()}\r\n{LABELLED}")


def _many(number: int, size: int, chance: random.Random) -> Mail:
    mail = _plain(number, min(size, 20_000), chance)
    return attrs.evolve(mail, locals=tuple(f"m{number}.{nth}" for nth in range(chance.randint(10, 120))))


def _parts(number: int, size: int, chance: random.Random) -> Mail:
    octets = chance.randbytes(size // 2)
    text = _lines(WORDS, size // 3)
    parts = (
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text),
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n"),
        b"\r\nno header, 7 bits\r\n",
    )
    leaves = (Leaf("text/plain", text), Leaf("application/pdf", octets), Leaf("text/plain", b"no header, 7 bits\r\n"))
    return _multipart(number, "mixed", parts, "BODY=8BITMIME", leaves=leaves)


def _binary(number: int, size: int, chance: random.Random) -> Mail:
    octets = b"\0\r\n.\r\n\r \n" + chance.randbytes(size)
    text = _lines(WORDS, size // 5)
    parts = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text,
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets + b"\r\n",
    )
    leaves = (Leaf("text/plain", text), Leaf("application/octet-stream", octets))
    return _multipart(number, "mixed", parts, "BODY=BINARYMIME", leaves=leaves)


def _signed(number: int, size: int, chance: random.Random) -> Mail:
    """
    A signature that any change would break: 8-bit or binary, in turn.
    """
    binary = number % 2 == 1
    label = "binary" if binary else "8bit"
    octets = b"\0\r\r\n" + chance.randbytes(100) + b"\r\n"
    inner = octets if binary else f"{WORDS}\r\n".encode() + _lines(WORDS, min(size, 50_000))
    parts = (
        f"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: {label}\r\n\r\n".encode() + inner,
        b"Content-Type: application/pkcs7-signature\r\n\r\nnot one\r\n",
    )
    return _multipart(number, "signed", parts, "BODY=BINARYMIME" if binary else "BODY=8BITMIME", sealed=True)


def _multipart(
    number: int,
    kind: str,
    parts: tuple[bytes, ...],
    *parameters: str,
    leaves: tuple[Leaf, ...] = (),
    sealed: bool = False,
) -> Mail:
    field = f'Content-Type: multipart/{kind}; boundary="=_{number}_"'
    delimiter = f"--=_{number}_".encode()
    body = b"".join(delimiter + b"\r\n" + part + b"" for part in parts) + delimiter + b"--\r\n"
    raw = (_head(number, "MIME-Version: 1.0", field) + "\r\n").encode() + body
    # The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
    leaves = tuple(
        attrs.evolve(leaf, content=leaf.content.removesuffix(b"\r\n")) if leaf.type.startswith("text/") else leaf
        for leaf in leaves
    )
    return _mail(number, raw, *parameters, leaves=leaves, sealed=sealed)


_ONE: Final = Mail(0, "byte", f"m0@{ORIGIN}", ("m0",), b"x", ("BODY=8BITMIME",), (Leaf("text/plain", b"x\n"),))
_KINDS: Final = {
    "plain": _plain,
    "labelled": _labelled,
    "parts": _parts,
    "binary": _binary,
    "utf8-recipients": _utf8_recipients,
    "many": _many,
    "unlabelled": _unlabelled,
    "utf8-sender": _utf8_sender,
    "signed": _signed,
    "utf8-header": _utf8_header,
    "long-lines": _long_lines,
}
