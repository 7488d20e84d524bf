"""
A Bloom filter: tells of most texts that they are not among a million others, in little memory and without looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

_BITS: Final = 10  # for each text: one in a hundred of those that are not in it seems to be
_PROBES: Final = 7
_LEAST: Final = 1024


class Bloom:
    """
    Holds up to `room` texts; with more of them it is wrong more often, never about one that was added.
    """

    __slots__ = ("_bits", "_size", "count", "room")

    def __init__(self, room: int) -> None:
        self.room = max(room, _LEAST)
        self.count = 0
        self._size = self.room * _BITS
        self._bits = bytearray(self._size // 8 + 1)

    def add(self, text: str) -> None:
        """
        Add a text; one that seems to be there already is not counted.
        """
        fresh = False
        for place in self._places(text):
            bit = 1 << (place & 7)
            fresh = fresh or not self._bits[place >> 3] & bit
            self._bits[place >> 3] |= bit
        self.count += fresh

    def __contains__(self, text: str) -> bool:
        return all(self._bits[place >> 3] & 1 << (place & 7) for place in self._places(text))

    def _places(self, text: str) -> Iterator[int]:
        digest = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")
        first, step = digest >> 64, (digest & (1 << 64) - 1) | 1
        for probe in range(_PROBES):
            yield (first + probe * step) % self._size
