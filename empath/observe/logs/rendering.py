"""
The parts of a log record as text: its time, what it says, its fields, its traceback, each of bounded size.

Nothing here is fatal: an event that cannot be formatted is told as Twisted describes it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

MOST_TEXT: Final = 8000  # characters of what a record says, or of one of its fields
MOST_LINES: Final = 200  # of a traceback
MOST_LINE: Final = 1000  # characters of one of them
MOST_ITEMS: Final = 1000  # of the lists and mappings of a field
MOST_RECORD: Final = 32_000  # characters of JSON; journald and rsyslog take more, and not much
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_RESERVED: Final = frozenset({"time", "level", "namespace", "event", "traceback"})
_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))

encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Stamp:
    """
    Writes times as ISO 8601 in UTC with milliseconds; the part down to the second is kept for the next one.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = (0, "1970-01-01T00:00:00")

    def __call__(self, when: float) -> str:
        """
        Tell `when`, in seconds since the epoch, such as `2026-11-21T10:00:00.123Z`.
        """
        second = int(when)
        last, text = self._last  # one tuple: other threads log too
        if second != last:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._last = (second, text)
        return text + _MILLISECONDS[int((when - second) * 1000)]


def text_of(event: LogEvent) -> str:
    """
    Format as Twisted does, but by `str.format_map`, which is several times faster; the rare rest goes the long way.
    """
    template = event.get("log_format")
    if type(template) is str and "log_flattened" not in event:
        try:
            return template.format_map(event)
        except Exception:  # "{call()}", a missing field, a __str__ that raises: formatEvent copes with all of them
            pass
    return formatEvent(event)


def shortened(text: str, most: int = MOST_TEXT) -> str:
    """
    Leave out what of a text is more than `most` characters, and tell how much that is.
    """
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters more)"


def traceback_of(failure: Failure) -> str:
    """
    Tell where something failed, and of what. Of a long one the beginning and the end stay.
    """
    try:
        lines = failure.getTraceback().splitlines()
    except Exception as trouble:  # e.g. the exception's own __str__ raises
        return f"{failure.type}: no traceback ({type(trouble).__name__})"
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES
        lines[MOST_LINES // 2 : -MOST_LINES // 2] = [f"… ({left_out} lines more)"]
    return "\n".join([shortened(line, MOST_LINE) for line in lines])


def add_fields(record: dict[str, Any], event: LogEvent) -> None:
    """
    Add the fields of an event that JSON can say as they are, without those of the logging system.
    """
    for key, value in event.items():
        if (type(value) in _SCALARS or _plain(value)) and key[:4] != "log_" and key not in _RESERVED:
            record[key] = value


def short_fields_of(event: LogEvent) -> dict[str, Any]:
    """
    Give these fields, each of bounded size.
    """
    record: dict[str, Any] = {}
    add_fields(record, event)
    return {key: _cut(value) for key, value in record.items()}


def bounded(record: Mapping[str, Any]) -> str:
    """
    Encode a record that is too long: with its texts cut, or else, as `cut` tells, with no more than its first fields.
    """
    encoded = encode({key: _cut(value) for key, value in record.items()})
    if len(encoded) <= MOST_RECORD:
        return encoded
    few: dict[str, Any] = {"cut": True}
    room = MOST_RECORD - 100
    for key, value in record.items():
        room -= len(encode({key: _cut(value)}))
        if room > 0:
            few[key] = _cut(value)
    return encode(few)


def _cut(value: Any) -> Any:
    match value:
        case str():
            return shortened(value, MOST_TEXT // 2)
        case list() | tuple() | dict():
            return value if len(encode(value)) <= MOST_TEXT else f"… ({len(value)} items)"
    return value


def _plain(value: object, depth: int = 5) -> bool:
    """
    Tell whether JSON can say it as it is: numbers that are finite, and short lists and mappings of such.
    """
    match value:
        case float():
            return math.isfinite(value)
        case str() | int() | None:
            return True
        case list() | tuple():
            return depth > 0 and len(value) <= MOST_ITEMS and all(_plain(item, depth - 1) for item in value)
        case dict():
            return (
                depth > 0
                and len(value) <= MOST_ITEMS
                and all(type(key) is str and _plain(item, depth - 1) for key, item in value.items())
            )
    return False
