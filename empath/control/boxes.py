"""
The boxes of AMP, as octets: keys of 1 to 255 octets with values of up to 65,535, each behind its length in two, and an
empty key at the end. What is longer than one value goes on in more of them.

It is the wire format of `twisted.protocols.amp`, without Twisted, so that `empathctl` starts quickly; and with bounds,
which that one lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from empath.errors import EmpathError

MAX_KEY: Final = 255
MAX_VALUE: Final = 0xFFFF
MAX_KEYS: Final = 1000  # of one box; 10 MB in full values are 160
_LENGTH: Final = 2

Box = dict[bytes, bytes]
"""
One message, of either side.
"""


class BoxMalformed(EmpathError):
    """
    What came is no box. `box` is as much of it as was read.
    """

    def __init__(self, why: str, box: Box) -> None:
        super().__init__(why)
        self.box = box


class BoxTooLarge(BoxMalformed):
    """
    A box is longer than it may be.
    """


class BoxReader:
    """
    Cuts a stream into boxes of at most `limit` octets each; holds no more than that, and what `feed` was given.
    """

    __slots__ = ("_box", "_buffer", "_key", "_limit", "_octets")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._box: Box = {}
        self._key = b""
        self._octets = 0

    @property
    def inside(self) -> bool:
        """
        Whether the last box has begun and not ended.
        """
        return bool(self._buffer or self._box or self._key)

    def feed(self, octets: bytes) -> list[Box]:
        """
        Read on; gives the boxes that are complete now. BoxMalformed or BoxTooLarge, after which nothing can be read.
        """
        self._buffer += octets
        boxes: list[Box] = []
        at = 0
        while (string := self._string_at(at)) is not None:
            at += _LENGTH + len(string)
            self._count(len(string))
            if self._key:
                self._box[self._key] = string
                self._key = b""
            elif string:
                self._begin_value(string)
            else:
                boxes.append(self._end())
        del self._buffer[:at]
        return boxes

    def _string_at(self, at: int) -> bytes | None:
        """
        Give the string whose length stands there, None unless all of it has come.
        """
        buffer = self._buffer
        begin = at + _LENGTH
        if len(buffer) < begin:
            return None
        length = buffer[at] << 8 | buffer[at + 1]
        if not self._key and length > MAX_KEY:
            raise BoxMalformed(f"a key of {length} octets", self._box)
        end = begin + length
        return bytes(buffer[begin:end]) if len(buffer) >= end else None

    def _count(self, length: int) -> None:
        self._octets += _LENGTH + length
        if self._octets > self._limit:
            raise BoxTooLarge(f"a box of more than {self._limit} octets", self._box)

    def _begin_value(self, key: bytes) -> None:
        if key in self._box:
            raise BoxMalformed("a key that comes twice", self._box)
        if len(self._box) >= MAX_KEYS:
            raise BoxTooLarge(f"a box of more than {MAX_KEYS} keys", self._box)
        self._key = key

    def _end(self) -> Box:
        box, self._box, self._octets = self._box, {}, 0
        if not box:
            raise BoxMalformed("an empty box", box)
        return box


def octets_of(box: Mapping[bytes, bytes]) -> bytes:
    """
    Write a box, in the order of its keys; ValueError for a key or value that does not fit.
    """
    parts: list[bytes] = []
    for key, value in sorted(box.items()):
        if not 0 < len(key) <= MAX_KEY or len(value) > MAX_VALUE:
            raise ValueError(f"{key!r} with {len(value)} octets does not fit into a box")
        parts += (len(key).to_bytes(_LENGTH, "big"), key, len(value).to_bytes(_LENGTH, "big"), value)
    parts.append(b"\0\0")
    return b"".join(parts)


def in_values(key: bytes, content: bytes) -> Box:
    """
    Cut what may be longer than one value into as many as it takes: `key`, `key.1`, `key.2` …
    """
    cuts = range(0, max(len(content), 1), MAX_VALUE)
    return {_nth(key, number): content[cut : cut + MAX_VALUE] for number, cut in enumerate(cuts)}


def from_values(key: bytes, box: Mapping[bytes, bytes]) -> bytes | None:
    """
    Put together again what `in_values` cut, None if it is not there.
    """
    parts: list[bytes] = []
    while (part := box.get(_nth(key, len(parts)))) is not None:
        parts.append(part)
    return b"".join(parts) if parts else None


def _nth(key: bytes, number: int) -> bytes:
    return b"%b.%d" % (key, number) if number else key
