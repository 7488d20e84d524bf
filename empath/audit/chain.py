"""
Records and their chain: each one carries the hash of the one before, and its own.

A line is one JSON object. Its last member is `hash`: the SHA-256, in hexadecimal, of all octets of the line before
`,"hash":`. The members before it are `seq`, the number of the record, and `prev`, the hash of the record before,
GENESIS for the very first.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import attrs
import msgspec

VERSION: Final = 1
GENESIS: Final = "0" * 64
MARK: Final = b',"hash":"'
TAIL: Final = len(MARK) + 64 + len(b'"}')  # octets of a line behind what is hashed

encode: Final = msgspec.json.Encoder().encode


class Record(msgspec.Struct, gc=False):
    """
    One record; docs/audit.md says what each field tells. `metadata` is a dict, or a struct of the members that some
    kind of record has, which is made and written in less time. `seq` and `prev` are set as it is sealed.
    """

    version: int
    time: str
    event: str
    actor: str
    resource: str
    action: str
    result: str
    message_id: str = ""
    sender: str | None = None
    recipients: list[str] = []
    host: str = ""
    reply: str = ""
    duration_ms: float | None = None
    attempt: int | None = None
    metadata: Any = {}
    seq: int = 0
    prev: str = GENESIS


@attrs.frozen(slots=True)
class Link:
    """
    Where a chain stands: the number and the hash of its last record.
    """

    seq: int = 0
    hash: str = GENESIS


class Seal(msgspec.Struct):
    """
    What of a line holds the chain together.
    """

    seq: int
    prev: str
    hash: str
    time: str = ""


read_seal: Final[Callable[[bytes], Seal]] = msgspec.json.Decoder(Seal).decode


def sealed(record: Record, seq: int, prev: str) -> tuple[bytes, str]:
    """
    Give the line of a record, with its line end, as number `seq` behind the one whose hash is `prev`; and its hash.
    """
    record.seq, record.prev = seq, prev
    try:
        body = encode(record)[:-1]
    except UnicodeEncodeError:  # half a surrogate pair, of a peer's making
        body = encode(_printable(record))[:-1]
    digest = sha256(body).hexdigest()
    return body + f',"hash":"{digest}"}}\n'.encode(), digest  # half the time of b"" % ()


def own_hash(line: bytes) -> str:
    """
    Reckon the hash that a line should carry; "" for what is no line of ours.
    """
    line = line.removesuffix(b"\n")
    if line[-TAIL : len(MARK) - TAIL] != MARK:
        return ""
    return sha256(line[:-TAIL]).hexdigest()


def link_of(line: bytes) -> Link | None:
    """
    Tell where the chain stands behind a line; None for one that is not as it was written.
    """
    try:
        seal = read_seal(line)
    except (msgspec.DecodeError, ValueError):
        return None
    return Link(seal.seq, seal.hash) if seal.hash == own_hash(line) else None


def _printable(record: Record) -> Record:
    fields = msgspec.structs.asdict(record)
    fields["metadata"] = msgspec.to_builtins(record.metadata)
    return Record(**{name: _mended(value) for name, value in fields.items()})


def _mended(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case list():
            return [_mended(each) for each in value]
        case dict():
            return {_mended(key): _mended(each) for key, each in value.items()}
        case _:
            return value
