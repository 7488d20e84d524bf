"""
Our log observer: one record a line, cheap enough for two lines a message (hot-path rule P5).

Text is `2026-11-21T10:00:00.123Z info deliver: text`, the word before the colon being the room that speaks. JSON is
one object a line. Peers choose much of what is logged, so whatever is not printable is escaped: a record can neither
forge another one nor drive a terminal. A traceback follows its record in lines that begin with a tab.

Nothing here is fatal: an event that cannot be formatted is logged as Twisted describes it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config import schema
from empath.observe.escaping import escaped

LEVELS: Final = ("debug", "info", "warn", "error", "critical")
MAX_REPLY: Final = 500  # characters of a peer's words; the whole of a reply stays with the delivery
_RESERVED: Final = frozenset({"time", "level", "namespace", "event", "traceback"})
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_MAX_PREFIXES: Final = 1000
_CHATTER: Final = "twisted.web._newclient.HTTPClientParser"  # at "info" a web server can make it say what it wants

_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def cut(text: str) -> str:
    """
    Shorten what a peer said to `MAX_REPLY` characters.
    """
    return text if len(text) <= MAX_REPLY else text[:MAX_REPLY] + "…"


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


@implementer(ILogObserver)
class LineObserver:
    """
    Writes what is at or above a level, each record with its final line end in one call of `write`.
    """

    __slots__ = ("_level", "_names", "_prefixes", "_render", "_stamp", "_write")

    def __init__(self, section: schema.Log, write: Callable[[str], None]) -> None:
        self._write = write
        self._stamp = Stamp()
        self._prefixes: dict[tuple[str, str], str] = {}
        self.reconfigure(section)

    def reconfigure(self, section: schema.Log) -> None:
        """
        Use the level and format of this section from now on.
        """
        self._render = self._as_text if section.format == "text" else self._as_json
        self.set_level(section.level)

    def set_level(self, level: str) -> None:
        """
        Write only what is at or above `level`, one of LEVELS; ValueError for any other.
        """
        shown = LEVELS[LEVELS.index(level) :]
        self._names: dict[object, str] = {LogLevel.levelWithName(name): name for name in shown}
        if "info" in shown:
            self._names[None] = "info"  # events of others that carry no level
        self._level = level

    @property
    def level(self) -> str:
        """
        The lowest level that is written now.
        """
        return self._level

    def shows(self, level: str) -> bool:
        """
        Tell whether an event of this level would be written: ask before paying for one on a busy path.
        """
        return LEVELS.index(level) >= LEVELS.index(self._level)

    def __call__(self, event: LogEvent) -> None:
        name = self._names.get(event.get("log_level"))
        if name is not None and (name != "info" or event.get("log_namespace") != _CHATTER):
            self._write(self._render(name, event))

    def _as_text(self, level: str, event: LogEvent) -> str:
        namespace = event.get("log_namespace", "-")
        prefix = self._prefixes.get((level, namespace)) or self._remember(level, namespace)
        text = _text_of(event)
        if not text.isprintable():
            text = escaped(text)
        line = f"{self._stamp(event.get('log_time', 0.0))}{prefix}{text}\n"
        failure = event.get("log_failure")
        if failure is None:
            return line
        return line + "".join(f"\t{escaped(part)}\n" for part in _traceback_of(failure).splitlines())

    def _remember(self, level: str, namespace: str) -> str:
        parts = namespace.split(".")
        room = parts[1] if parts[0] == "empath" and len(parts) > 1 else namespace
        if len(self._prefixes) >= _MAX_PREFIXES:
            self._prefixes.clear()
        self._prefixes[level, namespace] = prefix = f" {level} {escaped(room)}: "
        return prefix

    def _as_json(self, level: str, event: LogEvent) -> str:
        record: dict[str, Any] = {
            "time": self._stamp(event.get("log_time", 0.0)),
            "level": level,
            "namespace": event.get("log_namespace", "-"),
            "event": _text_of(event),
        }
        for key, value in event.items():
            if (type(value) in _SCALARS or _plain(value)) and not key.startswith("log_") and key not in _RESERVED:
                record[key] = value
        failure = event.get("log_failure")
        if failure is not None:
            record["traceback"] = _traceback_of(failure)
        return _encode(record) + "\n"


def make_observer(section: schema.Log, write: Callable[[str], None]) -> LineObserver:
    """
    Make the observer that [log] describes; `write` takes one record at a time, its line end included.
    """
    return LineObserver(section, write)


def _text_of(event: LogEvent) -> str:
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


def _plain(value: object) -> bool:
    """
    Tell whether JSON can say it as it is: numbers that are finite, and short lists and mappings of such.
    """
    match value:
        case float():
            return math.isfinite(value)
        case str() | int() | None:
            return True
        case list() | tuple():
            return all(_plain(item) for item in value)
        case dict():
            return all(type(key) is str and _plain(item) for key, item in value.items())
    return False


def _traceback_of(failure: Failure) -> str:
    try:
        return failure.getTraceback()
    except Exception as trouble:  # e.g. the exception's own __str__ raises
        return f"{failure.type}: no traceback ({type(trouble).__name__})"
