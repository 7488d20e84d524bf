"""
A message as a milter is told of it: the fields of its header, and its body in pieces.

Fatal for the connection: MilterError, as `MilterLink.ask` raises it. Nothing is retried or ignored.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Final

import attrs

from empath.modules import Address, IContent
from empath.modules.builtin.milter.codec import CHUNK, Command, Flags, texts
from empath.modules.builtin.milter.link import CONTINUE, MilterLink
from empath.modules.builtin.milter.said import Answer, Change, Kind

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.S)
_BETWEEN: Final = re.compile(rb"\n(?![ \t])")
_SEPARATOR: Final = b"\r\n"
_ON: Final = frozenset({Kind.CONTINUE, Kind.SKIP})


@attrs.frozen(slots=True)
class Terms:
    """
    How the conversations of one milter go: the seconds that an answer may take, and to the end of a message; the
    octets of a body that it may put in the place of the client's; macros that the operator gives; whether clients'
    names are looked up.
    """

    command: float
    content: float
    max_body: int
    macros: dict[str, str]
    resolve: bool


def envelope_content(address: Address | None, parameters: Mapping[str, str]) -> bytes:
    """
    Write what MAIL and RCPT say: the address in angle brackets, then each ESMTP parameter.
    """
    given = [f"{keyword}={value}" if value else keyword for keyword, value in parameters.items()]
    return texts(f"<{address.text if address else ''}>", *given)


def header_fields(block: bytes, leading_space: bool) -> list[bytes]:
    """
    Write what HEADER says of each field of a header block: name and value as the client wrote them, lines divided by
    LF. Without `leading_space` the blank behind the colon is left out, as Sendmail did it before its 8.14.

    What is no field is not told, nor one whose name alone is too long for a packet of libmilter's. A value that is too
    long for it is cut.
    """
    told = []
    for raw in _BETWEEN.split(block):
        match = _FIELD.match(raw)
        if match is not None and (room := CHUNK - len(match[1]) - 2) >= 0:
            value = match[2].removesuffix(b"\r").removesuffix(b"\n").removesuffix(b"\r")
            value = value.replace(b"\r\n", b"\n")
            value = value if leading_space else value.removeprefix(b" ")
            told.append(texts(match[1], value[:room]))
    return told


async def body_pieces(content: IContent) -> AsyncGenerator[bytes, None]:
    """
    Read a body in pieces that BODY can say, without the empty line that divides it from the header.
    """
    reader = content.open()
    kept, first = b"", True
    try:
        while piece := await reader.read():
            kept += piece
            if first and len(kept) >= len(_SEPARATOR):
                kept, first = kept.removeprefix(_SEPARATOR), False
            while len(kept) >= CHUNK:
                yield kept[:CHUNK]
                kept = kept[CHUNK:]
        if kept:
            yield kept
    finally:
        reader.close()


async def tell_message(
    link: MilterLink,
    content: IContent,
    known: Mapping[str, str],
    terms: Terms,
    change: Callable[[Change], Awaitable[None] | None],
) -> Answer:
    """
    Tell of a message from DATA to its end, as far as the milter wants to hear it; gives what it says of the message.
    What it wants changed goes to `change`.
    """
    answer = await link.ask(Command.DATA, terms.command, b"", known)
    if answer.kind in _ON and link.dialogue.wants(Command.HEADER):
        answer = await _tell_header(link, content.header, terms.command)
    if answer.kind in _ON:
        answer = await link.ask(Command.END_OF_HEADER, terms.command, b"", known)
    if answer.kind in _ON and link.dialogue.wants(Command.BODY):
        answer = await _tell_body(link, content, terms.command)
    if answer.kind in _ON:
        answer = await link.ask(Command.END_OF_MESSAGE, terms.content, b"", known, change)
    return answer


async def _tell_header(link: MilterLink, block: bytes, seconds: float) -> Answer:
    answer = CONTINUE
    leading_space = bool(link.dialogue.agreed.flags & Flags.LEADING_SPACE)
    for each in header_fields(block, leading_space):
        answer = await link.ask(Command.HEADER, seconds, each)
        if answer.kind is not Kind.CONTINUE:
            break
    return answer


async def _tell_body(link: MilterLink, content: IContent, seconds: float) -> Answer:
    answer = CONTINUE
    pieces = body_pieces(content)
    try:
        async for piece in pieces:
            answer = await link.ask(Command.BODY, seconds, piece)
            if answer.kind is not Kind.CONTINUE:
                break
    finally:
        await pieces.aclose()
    return answer
