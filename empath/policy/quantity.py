"""
Quantities as an operator writes them: durations, sizes, rates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

DURATION_UNITS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SIZE_UNITS: Final[Mapping[str, int]] = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
LONGEST: Final = 3650 * 86400.0  # seconds
INTEGERS: Final = 2.0**63  # TOML promises 64 bits; Python reads longer ones, but neither writes them nor makes floats
_NUMBER_AND_UNIT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]+)", re.ASCII)
_RATE: Final = re.compile(r"([0-9]{1,9})/(s|min|h)")
_RATE_UNITS: Final[Mapping[str, float]] = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE_NAMES: Final = {seconds: unit for unit, seconds in _RATE_UNITS.items()}
_SPANS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def read_amount(value: object, units: Mapping[str, int]) -> float | None:
    """
    Read a number, or a text of a number and its unit; None for anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if -INTEGERS <= value < INTEGERS else None
    if not isinstance(value, str) or not (match := _NUMBER_AND_UNIT.fullmatch(value.strip())):
        return None
    factor = units.get(match[2])
    return None if factor is None else float(match[1]) * factor


def read_rate(value: object) -> tuple[int, float] | None:
    """
    Read "10/s", "100/min" or "5000/h" as so many in so many seconds, 0 (no limit) as (0, 1.0); None for anything else.
    """
    if value == 0 and value is not False:
        return 0, 1.0
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        return None
    return int(match[1]), _RATE_UNITS[match[2]]


def written_rate(count: int, seconds: float) -> str:
    """
    Write a rate as it is read: "10/s", "100/min", "5000/h", "none"; others in words.
    """
    if not count:
        return "none"
    unit = _RATE_NAMES.get(seconds)
    return f"{count}/{unit}" if unit else f"{count} in {seconds:g} s"


def span(seconds: float) -> str:
    """
    Word a span of time in its two greatest units: "4d 23h", "12m", "3s".
    """
    left, words = max(0, round(seconds)), list[str]()
    for unit, size in _SPANS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
        if words and (len(words) == 2 or not count):
            break
    return " ".join(words) or "0s"
