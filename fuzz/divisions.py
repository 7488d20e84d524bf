"""
The ways in which the same bytes may arrive.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

BYTEWISE: Final = 4096  # longer inputs come in pieces only


def chance_of(data: bytes) -> random.Random:
    """
    Make the chance that belongs to an input: the same whenever it is tried.
    """
    return random.Random(zlib.crc32(data))


def divisions(data: bytes) -> Iterator[list[bytes]]:
    """
    Give the bytes whole, byte by byte, and in pieces of random length.
    """
    yield [data]
    if len(data) <= BYTEWISE:
        yield [data[at : at + 1] for at in range(len(data))]
    yield pieces(data, chance_of(data))


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """
    Cut bytes at random, mostly near line ends, where it matters.
    """
    cuts = {chance.randint(0, len(data)) for _ in range(chance.randint(1, 8))}
    at = data.find(b"\r\n")
    while at >= 0:
        if chance.random() < 0.5:
            cuts.add(min(len(data), at + chance.randint(0, 4)))
        at = data.find(b"\r\n", at + 1)
    borders = sorted({0, len(data), *cuts})
    return [data[start:end] for start, end in pairwise(borders)]
