"""
Makes new inputs out of seeds: by chance, but with the words of the language that the target reads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

LONGEST: Final = 4096  # bytes of an input; the work grows with it, the number of different paths hardly does
MOST: Final = 6  # changes made to one seed
EDGES: Final = b'\x00\t\n\r .:;<>@"\\-/=%\x7f\x80\xff'
LINE_ENDS: Final = (b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b"\n.\n", b"\r\n.", b"\r\r\n", b"")
NUMBERS: Final = (b"0", b"-1", b"1", b"255", b"256", b"65535", b"4294967296", b"9" * 25)

Change = Callable[["Mutator", bytearray], None]


class Mutator:
    """
    An endless supply of inputs for one target, the same ones for the same `chance`.
    """

    def __init__(self, chance: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> None:
        self._chance = chance
        self._seeds = list(seeds) or [b""]
        self._tokens = [*tokens, *LINE_ENDS]

    def next(self) -> bytes:
        """
        Change a seed a little, or make one of the language's words alone.
        """
        chance = self._chance
        data = bytearray(chance.choice(self._seeds))
        if chance.random() < 0.05:
            data = bytearray(b"".join(chance.choices(self._tokens, k=chance.randint(1, 20))))
        for _ in range(chance.randint(1, MOST)):
            chance.choice(CHANGES)(self, data)
        return bytes(data[:LONGEST])

    def _at(self, data: bytearray) -> int:
        return self._chance.randint(0, len(data))

    def _slice(self, data: bytearray, longest: int = 64) -> tuple[int, int]:
        start = self._at(data)
        return start, min(len(data), start + self._chance.randint(1, longest))

    def flip(self, data: bytearray) -> None:
        """
        Turn a bit over.
        """
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def edge(self, data: bytearray) -> None:
        """
        Put a byte that means something, or any, in another's place.
        """
        if data:
            byte = self._chance.choice(EDGES) if self._chance.random() < 0.7 else self._chance.randrange(256)
            data[self._chance.randrange(len(data))] = byte

    def insert(self, data: bytearray) -> None:
        """
        Put a word in.
        """
        at = self._at(data)
        data[at:at] = self._chance.choice(self._tokens)

    def replace(self, data: bytearray) -> None:
        """
        Put a word in the place of something.
        """
        start, end = self._slice(data, 12)
        data[start:end] = self._chance.choice(self._tokens)

    def remove(self, data: bytearray) -> None:
        """
        Leave something out.
        """
        start, end = self._slice(data)
        del data[start:end]

    def repeat(self, data: bytearray) -> None:
        """
        Say something several times.
        """
        start, end = self._slice(data, 16 if self._chance.random() < 0.5 else 256)
        times = self._chance.choice((1, 2, 3, 10, 300))
        data[end:end] = bytes(data[start:end]) * times
        del data[LONGEST:]

    def truncate(self, data: bytearray) -> None:
        """
        Stop in the middle.
        """
        del data[self._at(data) :]

    def splice(self, data: bytearray) -> None:
        """
        Go on as another seed does from somewhere.
        """
        other = self._chance.choice(self._seeds)
        data[self._at(data) :] = other[self._chance.randint(0, len(other)) :]

    def cross(self, data: bytearray) -> None:
        """
        Put some of another seed's lines in.
        """
        lines = self._chance.choice(self._seeds).splitlines(keepends=True)
        if lines:
            start = self._chance.randrange(len(lines))
            at = self._at(data)
            data[at:at] = b"".join(lines[start : start + self._chance.randint(1, 3)])

    def shuffle(self, data: bytearray) -> None:
        """
        Exchange two lines.
        """
        lines = bytes(data).splitlines(keepends=True)
        if len(lines) > 1:
            one, other = self._chance.randrange(len(lines)), self._chance.randrange(len(lines))
            lines[one], lines[other] = lines[other], lines[one]
            data[:] = b"".join(lines)

    def line_end(self, data: bytearray) -> None:
        """
        Break a line end.
        """
        at = bytes(data).find(b"\r\n", self._at(data))
        if at >= 0:
            data[at : at + 2] = self._chance.choice(LINE_ENDS)

    def number(self, data: bytearray) -> None:
        """
        Put another number in the place of one.
        """
        places = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
        if places:
            at = self._chance.choice(places)
            data[at : at + 1] = self._chance.choice(NUMBERS)

    def noise(self, data: bytearray) -> None:
        """
        Put any bytes in.
        """
        at = self._at(data)
        data[at:at] = self._chance.randbytes(self._chance.randint(1, 16))


CHANGES: Final[tuple[Change, ...]] = (
    Mutator.flip,
    Mutator.edge,
    Mutator.edge,
    Mutator.insert,
    Mutator.insert,
    Mutator.replace,
    Mutator.remove,
    Mutator.repeat,
    Mutator.truncate,
    Mutator.splice,
    Mutator.cross,
    Mutator.shuffle,
    Mutator.line_end,
    Mutator.number,
    Mutator.noise,
)
