"""
Rates as people write them.
"""

from __future__ import annotations

from typing import Final

from empath.config.units import NO_LIMIT, Rate
from empath.policy.quantity import read_rate, written_rate

NONE: Final = "none"


def written(rate: Rate) -> str:
    """
    Write a rate: "10/s", "100/min", "5000/h", "none".
    """
    return written_rate(rate.count, rate.seconds)


def read(text: str) -> Rate:
    """
    Read what was written; ValueError for what is no rate.
    """
    text = text.strip().lower()
    if text in (NONE, "0"):
        return NO_LIMIT
    found = read_rate(text)
    if found is None:
        raise ValueError(f'{text!r} is no rate: write "10/s", "100/min", "5000/h" or "none"')
    return Rate(*found)
