"""
Queue ids are ULIDs: 26 characters that sort by the time of reception.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_QUEUE_ID: Final = re.compile(f"[0-7][{_ALPHABET}]{{25}}")


def new_queue_id(now: float, chance: random.Random) -> str:
    """
    Make a ULID from 48 bits of time (milliseconds since the epoch) and 80 bits of chance.
    """
    return _spelt((int(now * 1000) & 0xFFFFFFFFFFFF) << 80 | chance.getrandbits(80))


def queue_id_at(moment: float) -> str:
    """
    Give the text before which all sort that were made before `moment` (seconds since the epoch), and no other.
    """
    return _spelt(min(max(0, int(moment * 1000)), 0xFFFFFFFFFFFF) << 80)


def time_of(queue_id: str) -> float:
    """
    Tell when a queue id was made, to the millisecond, in seconds since the epoch.
    """
    return int(queue_id[:10].translate(_DIGITS), 32) / 1000


def _spelt(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 0x3FF] for shift in range(120, -1, -10)])


def is_queue_id(text: str) -> bool:
    """
    Tell whether `text` is a queue id as we write it (canonical, upper case).
    """
    return _QUEUE_ID.fullmatch(text) is not None
