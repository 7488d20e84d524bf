"""
Cursors of listings, and times, as answers have them.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from empath.control.serving import Refused

MOST: Final = 1000  # of a page
_LONGEST: Final = 4096  # characters of a cursor
_LAST: Final = 253402300799.0  # the end of the year 9999


def bounded(limit: int) -> int:
    """
    Give back how many are wanted of a page; Refused for what no page has.
    """
    if not 1 <= limit <= MOST:
        raise Refused(f"limit: {limit}, allowed is 1 to {MOST}")
    return limit


def cursor(place: Sequence[str] | None) -> str:
    """
    Write down where to go on, "" for nowhere.
    """
    if place is None:
        return ""
    return urlsafe_b64encode(json.dumps(list(place), separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(text: str, parts: int) -> tuple[str, ...]:
    """
    Read a cursor of so many texts, all "" for the beginning. Refused for what was never one.
    """
    if not text:
        return ("",) * parts
    try:
        place = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        place = None
    if isinstance(place, list) and len(place) == parts and all(_is_text(each) for each in place):
        return tuple(place)
    raise Refused("after: no cursor of a page; begin again without one")


def moment(seconds: float | None) -> datetime | None:
    """
    Give a time, None for None.
    """
    return None if seconds is None else at(seconds)


def at(seconds: float) -> datetime:
    """
    Give a time in seconds since the epoch as a moment (UTC) of some year.
    """
    return datetime.fromtimestamp(min(max(0.0, seconds), _LAST), UTC)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or value == value.encode("utf-8", "replace").decode())
