"""
The fields of a header block as DKIM sees them (RFC 6376 §3.4.1, §3.4.2, §5.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from empath.mail.dkim.body import squeezed

_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*\Z")
_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_BLANKS: Final = b" \t"


@attrs.frozen(slots=True)
class Field:
    """
    One field: its name in lower case, and all of it as it stands, line ends included.
    """

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """
        What stands behind the colon, unfolded.
        """
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip(_BLANKS)

    @property
    def relaxed(self) -> bytes:
        """
        The field in the relaxed form.
        """
        return self.name + b":" + squeezed(self.value).strip(b" ") + b"\r\n"


def fields_of(block: bytes) -> tuple[Field, ...] | None:
    """
    Divide a header block into its fields, from the top; None where readers may see other fields than we do: a line that
    is no field, a CR or LF that stands alone, a NUL, a last line without an end.
    """
    ends = block.count(b"\r\n")
    if block.count(b"\n") != ends or block.count(b"\r") != ends or b"\0" in block:
        return None
    *raws, rest = _FIELD_END.split(block)
    return None if rest else _named(raws)


def _named(raws: list[bytes]) -> tuple[Field, ...] | None:
    found: list[Field] = []
    for raw in raws:
        name, colon, _ = raw.partition(b":")
        match = _NAME.match(name)
        if match is None or not colon:
            return None
        found.append(Field(match[1].lower(), raw + b"\r\n"))
    return tuple(found)


@attrs.frozen(slots=True)
class Selection:
    """
    The fields that are signed: `names` as they stand in h=, `fields` in the same order. A name that has no field left
    (`names` is longer then) says that there is none, so that nobody may add one.
    """

    names: tuple[str, ...]
    fields: tuple[Field, ...]


class Choice:
    """
    Which fields are signed: every one whose name is among `headers`, and From; those of them that are among `oversign`,
    too, are named once more than they are there, so that another one breaks the signature (RFC 6376 §8.15).
    """

    __slots__ = ("_names",)

    def __init__(self, headers: Iterable[str], oversign: Iterable[str]) -> None:
        over = {name.lower() for name in oversign}
        named: dict[str, str] = {}
        for name in ("From", *headers):
            named.setdefault(name.lower(), name)
        self._names = tuple((lowered.encode(), name, lowered in over) for lowered, name in named.items())

    def of(self, fields: tuple[Field, ...]) -> Selection:
        """
        Choose among a header block's fields: of one name the lowest is first (RFC 6376 §5.4.2).
        """
        by_name: dict[bytes, list[Field]] = {}
        for field in reversed(fields):
            by_name.setdefault(field.name, []).append(field)
        names: list[str] = []
        chosen: list[Field] = []
        for lowered, name, over in self._names:
            if found := by_name.get(lowered):
                names += [name] * (len(found) + over)
                chosen += found
            elif over:
                names.append(name)
        return Selection(tuple(names), tuple(chosen))
