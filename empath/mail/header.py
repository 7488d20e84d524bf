"""
A header block as fields that can be read, added, removed and replaced (RFC 5322 §2.2); the rest stays byte for byte.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from empath.mail.encoded import encode_value

WIDTH: Final = 78  # characters of a line (RFC 5322 §2.1.1)
LONGEST: Final = 998  # octets of a line
_NAME: Final = re.compile(r"[!-9;-~]+")
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")  # blanks before the colon are obsolete (RFC 5322 §4.5)
_FOLDED: Final = re.compile(r"\r?\n(?=[ \t])")
_LINE_END: Final = re.compile(r"\r?\n")
_BETWEEN_WORDS: Final = re.compile(r"(?=[ \t][^ \t])")
_BLANKS: Final = " \t"
_UNFIT: Final = re.compile(r"[\r\n\0]")


class Header:
    """
    The fields of a header block. What is no field (lines before the first one that begin with a blank, or lines
    without a name) is passed over, and kept where it stands. A bare LF ends a line, too: who reads it so must not find
    a field there that we do not know of.

    Any number of fields is removed, replaced, or added at the end in linear time: who sends a thousand fields of a name
    that somebody takes out one by one holds nobody up. `size` is that of the block in octets.
    """

    __slots__ = ("_fields", "_index", "_names", "size")

    def __init__(self, block: bytes) -> None:
        folded = _folded(_lines(block))
        self._fields = [b"".join(lines) for lines in folded]  # b"" where one was removed; the last one is never
        self._names = [_name(lines[0]) for lines in folded]  # in lower case, "" for what is no field
        self._index: dict[str, list[int]] | None = None
        self.size = len(block)

    def __bytes__(self) -> bytes:
        return b"".join(self._fields)

    def fields(self) -> list[tuple[str, str]]:
        """
        All fields in their order: the name as it is written and the unfolded value.
        """
        return [_parted(field) for field, name in zip(self._fields, self._names, strict=True) if name]

    def get(self, name: str) -> str | None:
        """
        The value of the first field of a name.
        """
        places = self._places(name)
        return _parted(self._fields[places[0]])[1] if places else None

    def get_all(self, name: str) -> list[str]:
        """
        The values of all fields of a name.
        """
        return [_parted(self._fields[place])[1] for place in self._places(name)]

    def add(self, name: str, value: str, at: int | None = None, utf8: bool = False) -> None:
        """
        Add a field before the one of the index `at` among all fields; None, or beyond the last one: at the end.
        ValueError as `field`.
        """
        new = field(name, value, utf8)
        places = (place for place, known in enumerate(self._names) if known)
        place = None if at is None else next(islice(places, max(0, at), None), None)
        if place is None:
            self._append(name, new)
        else:
            self._insert(place, name, new)

    def remove(self, name: str, number: int | None = None) -> int:
        """
        Remove the field of that number of the name, None: all of them; tells how many.
        """
        places = self._places(name)
        doomed = tuple(_chosen(places, number))
        for place in doomed:
            self.size -= len(self._fields[place])
            self._fields[place], self._names[place] = b"", ""
        if doomed:
            del places[slice(None) if number is None else slice(number, number + 1)]
            self._end()
        return len(doomed)

    def replace(self, name: str, value: str, number: int = 0, utf8: bool = False) -> None:
        """
        Give the field of that number another value, at the end if there is none. ValueError as `field`.
        """
        new = field(name, value, utf8)
        for place in _chosen(self._places(name), number):
            self.size += len(new) - len(self._fields[place])
            self._fields[place] = new
            return
        self._append(name, new)

    def rename(self, name: str, new: str) -> int:
        """
        Call all fields of a name otherwise; what stands behind the colon stays byte for byte. Tells how many;
        ValueError for what is no name.
        """
        if _NAME.fullmatch(new) is None:
            raise ValueError(f"no name of a header field: {new!r}")
        places = self._places(name)
        for place in places:
            before, colon, value = self._fields[place].partition(b":")
            self.size += len(new) - len(before)
            self._fields[place] = new.encode() + colon + value
            self._names[place] = new.lower()
        self._index = None
        return len(places)

    def _places(self, name: str) -> list[int]:
        """
        Tell where the fields of a name are; the list changes with them.
        """
        if self._index is None:
            self._index = {}
            for place, known in enumerate(self._names):
                if known:
                    self._index.setdefault(known, []).append(place)
        return self._index.setdefault(name.lower(), [])

    def _append(self, name: str, new: bytes) -> None:
        if self._fields and not self._fields[-1].endswith(b"\n"):
            self._fields[-1] += b"\r\n"
            self.size += 2
        if self._index is not None:
            self._places(name).append(len(self._fields))
        self._fields.append(new)
        self._names.append(name.lower())
        self.size += len(new)

    def _insert(self, place: int, name: str, new: bytes) -> None:
        self._fields.insert(place, new)
        self._names.insert(place, name.lower())
        self._index = None
        self.size += len(new)

    def _end(self) -> None:
        """
        Drop the places of removed fields at the end.
        """
        while self._fields and not self._fields[-1]:
            del self._fields[-1], self._names[-1]


def field(name: str, value: str, utf8: bool = False) -> bytes:
    """
    Write a field, its line end included; ValueError for a name or value that would be none.

    A value that is folded already (line ends, each with a blank behind it) keeps its lines; another one is folded where
    that takes. What is not ASCII is written as it is if `utf8` (RFC 6532), else in encoded-words (RFC 2047).
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"no name of a header field: {name!r}")
    lines = _FOLDED.split(value.strip(_BLANKS))
    if any(map(_UNFIT.search, lines)) or not all(line.strip(_BLANKS) for line in lines[1:]):
        raise ValueError(f"no value of a header field: {value[:100]!r}")
    if not (utf8 or value.isascii()):
        lines = [encode_value(name, "".join(lines))]
    lines[0] = f"{name}: {lines[0]}".rstrip(_BLANKS)
    if len(lines) == 1:
        lines = _fold(lines[0])
    encoded = [line.encode() for line in lines]
    if max(map(len, encoded)) > LONGEST:
        raise ValueError(f"a line of the header field {name} is longer than {LONGEST} octets")
    return b"\r\n".join(encoded) + b"\r\n"


def _fold(line: str) -> list[str]:
    """
    Divide a long line before blanks, so that taking the line ends out gives it back.
    """
    if len(line) <= WIDTH:
        return [line]
    first, *words = _BETWEEN_WORDS.split(line)
    if words:
        first += words.pop(0)  # no line is to end with the colon
    lines = [first]
    for word in words:
        if len(lines[-1]) + len(word) > WIDTH:
            lines.append(word)
        else:
            lines[-1] += word
    return lines


def _lines(block: bytes) -> list[bytes]:
    """
    Divide at LF only: a CR that stands alone ends no line.
    """
    lines = [line + b"\n" for line in block.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _folded(lines: list[bytes]) -> list[list[bytes]]:
    """
    Put the lines of each field together; a field may have as many as there are, so that they are joined only once.
    """
    folded: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and folded:
            folded[-1].append(line)
        else:
            folded.append([line])
    return folded


def _name(line: bytes) -> str:
    match = _FIELD.match(line)
    return "" if match is None else match[1].decode().lower()


def _parted(raw: bytes) -> tuple[str, str]:
    name, _, value = raw.decode("utf-8", "replace").partition(":")
    return name.rstrip(_BLANKS), _LINE_END.sub("", value).strip(_BLANKS)


def _chosen(places: list[int], number: int | None) -> list[int]:
    if number is None:
        return places
    return places[number : number + 1] if number >= 0 else []
