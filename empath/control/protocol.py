"""
What server and clients agree on: the boxes that they exchange, their bounds, and how terms travel in them.

A request is the command `Ask` with `version`, `verb`, `number` (the client's own, to tell requests apart), `token`
where there is one, and its fields as JSON in `json`. It is answered with JSON in `json`, or by an error of `Code` whose
description has one problem a line. In between, the server sends the command `Piece`, with the request's `number` and,
unless it is only to show that it is alive, `json`; the client answers each with an empty box. The client's command
`Cancel` with a `number` ends a request. docs/control.md has all of it.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar

import attrs
import msgspec

from empath.control.boxes import Box, from_values, in_values
from empath.control.terms.asking import Ask

VERSION: Final = 1
MAX_REQUEST: Final = 1_000_000  # octets of a box with a request
MAX_RESPONSE: Final = 10_000_000  # octets of a box with an answer or a piece
MAX_PIECE: Final = 1_000_000
MAX_DESCRIPTION: Final = 60_000  # octets of all problems together
SERVER_TIMEOUT: Final = 30.0  # seconds for an answer, or for the client to take a piece of one
CLIENT_TIMEOUT: Final = 10.0  # seconds of silence that a client bears
ALIVE_INTERVAL: Final = 3.0  # seconds without a piece, after which an empty one shows that we are at it
IDLE_TIMEOUT: Final = 600.0  # seconds without a request, after which a connection is closed

JSON: Final = b"json"
NUMBER: Final = b"number"
ASK_COMMAND: Final = b"Ask"
PIECE_COMMAND: Final = b"Piece"
CANCEL_COMMAND: Final = b"Cancel"

T = TypeVar("T")


class Code(Enum):
    """
    What can be wrong with a request, by its name in AMP errors.
    """

    WRONG_VERSION = b"WRONG_VERSION"
    NOT_ALLOWED = b"NOT_ALLOWED"
    REFUSED = b"REFUSED"
    NOT_FOUND = b"NOT_FOUND"
    TOO_LARGE = b"TOO_LARGE"
    TIMED_OUT = b"TIMED_OUT"
    BUSY = b"BUSY"
    CANCELLED = b"CANCELLED"
    MALFORMED = b"MALFORMED"
    FAULT = b"FAULT"


@attrs.frozen(slots=True)
class Asked:
    """
    A request as it came: `json` is not read yet.
    """

    version: bytes
    verb: str
    number: bytes
    token: str
    json: bytes


def asking(tag: bytes, number: int, request: Ask[Any], token: str) -> Box:
    """
    Make the box of a request.
    """
    box = {
        b"_ask": tag,
        b"_command": ASK_COMMAND,
        b"version": b"%d" % VERSION,
        b"verb": request.verb.encode(),
        NUMBER: b"%d" % number,
    }
    if token:
        box[b"token"] = token.encode("utf-8", "surrogateescape")[:MAX_DESCRIPTION]
    return box | in_values(JSON, encoded(request))


def asked(box: Box) -> Asked:
    """
    Read the box of a request; what it lacks is "".
    """
    return Asked(
        version=box.get(b"version", b""),
        verb=box.get(b"verb", b"").decode("utf-8", "replace"),
        number=box.get(NUMBER, b""),
        token=box.get(b"token", b"").decode("utf-8", "replace"),
        json=from_values(JSON, box) or b"{}",
    )


def answering(tag: bytes, content: bytes) -> Box:
    """
    Make the box of an answer.
    """
    return {b"_answer": tag, **in_values(JSON, content)}


def refusing(tag: bytes, code: Code, *problems: str) -> Box:
    """
    Make the box of an error; each problem is one line of its description.
    """
    lines = "\n".join(" ".join(problem.splitlines()) for problem in problems)
    description = lines.encode("utf-8", "replace")[:MAX_DESCRIPTION]
    return {b"_error": tag, b"_error_code": code.value, b"_error_description": description}


def piece(tag: bytes, number: bytes, content: bytes | None) -> Box:
    """
    Make the box of a piece, or, with None, of a sign of life.
    """
    values = {} if content is None else in_values(JSON, content)
    return {b"_ask": tag, b"_command": PIECE_COMMAND, NUMBER: number, **values}


def encoded(term: object) -> bytes:
    """
    Write a term as JSON.
    """
    return msgspec.json.encode(term)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decoded(content: bytes, kind: type[T]) -> T:
    """
    Read a term; ValueError if it is none of this kind. What we do not know in it is left out: an answer of a newer
    server may tell more.
    """
    anything: Any = kind
    term: T = _decoder(anything).decode(content)
    return term


def decoded_whole(content: bytes, kind: type[T]) -> T:
    """
    Read a term in which nothing may be left out: a field of a filter that we do not know would select too much.
    """
    term = decoded(content, kind)
    unknown = _left_out(msgspec.json.decode(content), msgspec.to_builtins(term), "")
    if unknown:
        raise ValueError(f"there is no field {unknown!r}")
    return term


def _left_out(given: object, known: object, path: str) -> str:
    """
    Name the first field that was given and is not known, "" if there is none.
    """
    if not isinstance(given, dict) or not isinstance(known, dict):
        return ""
    for key, value in given.items():
        if key not in known:
            return f"{path}{key}"
        deeper = _left_out(value, known[key], f"{path}{key}.")
        if deeper:
            return deeper
    return ""
