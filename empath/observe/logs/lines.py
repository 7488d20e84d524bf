"""
Our log observer: one record a line, cheap enough for two lines a message (hot-path rule P5).

Text is `2026-11-21T10:00:00.123Z info deliver: text`, the word before the colon being the room that speaks. JSON is
one object a line. Peers choose much of what is logged, so whatever is not printable is escaped: a record can neither
forge another one nor drive a terminal. A traceback follows its record in lines that begin with a tab. Records of a
message that is traced end with the ids of its trace and span.

Nothing here is fatal: an event that cannot be formatted is logged as Twisted describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from constantly import NamedConstant
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from empath.config import schema
from empath.observe.export.log_record import LogRecord
from empath.observe.logs.escaping import escaped
from empath.observe.logs.levels import Levels
from empath.observe.logs.rendering import (
    MOST_RECORD,
    MOST_TEXT,
    Stamp,
    add_fields,
    bounded,
    encode,
    short_fields_of,
    shortened,
    text_of,
    traceback_of,
)
from empath.observe.logs.repeats import AGAIN, ANSWER, Repeats

MAX_REPLY: Final = 500  # characters of a peer's words; the whole of a reply stays with the delivery
_MAX_VOICES: Final = 1000
_CHATTER: Final = "twisted.web._newclient.HTTPClientParser"  # at "info" a web server can make it say what it wants
_EXPORTING: Final = (
    "empath.observe.export",
    "opentelemetry",
    "urllib3",
    "requests",
)  # would go in circles

Ids = tuple[str, str]
"""
The id of a trace, and of the span in it that something belongs to.
"""


def cut(text: str) -> str:
    """
    Shorten what a peer said to `MAX_REPLY` characters.
    """
    return text if len(text) <= MAX_REPLY else text[:MAX_REPLY] + "…"


@attrs.frozen(slots=True)
class _Voice:
    """
    Somebody who speaks at some level: whether it is `shown`, what its lines have before the time and behind it, and
    whether it may be told to a collector.
    """

    level: str
    namespace: str
    shown: bool
    mark: str
    prefix: str
    goes_out: bool


@implementer(ILogObserver)
class LineObserver:
    """
    Writes what is at or above a level, each record with its final line end in one call of `write`.

    `marks` are put in front of each line by its level. `ids_of` gives the ids of a message by its queue id, where they
    are known; `repeats` counts what is said again; `outlet` gets all records besides. They may be None.
    """

    __slots__ = ("_levels", "_marks", "_render", "_stamp", "_voices", "_write", "ids_of", "outlet", "repeats")

    def __init__(
        self, section: schema.Log, write: Callable[[str], None], marks: Mapping[str, str] | None = None
    ) -> None:
        self._write = write
        self._marks = marks or {}
        self._stamp = Stamp()
        self.ids_of: Callable[[str], Ids | None] | None = None
        self.repeats: Repeats | None = None
        self.outlet: Callable[[LogRecord], None] | None = None
        self.reconfigure(section)

    def reconfigure(self, section: schema.Log) -> None:
        """
        Use the levels and format of this section from now on.
        """
        self._render = self._as_text if section.format == "text" else self._as_json
        self.use_levels(Levels(section.level, section.levels))

    def use_levels(self, levels: Levels) -> None:
        """
        Write only what is at or above the level of who says it.
        """
        self._levels = levels
        self._voices: dict[tuple[object, str], _Voice] = {}

    def set_level(self, level: str) -> None:
        """
        Write only what is at or above `level`, one of LEVELS; ValueError for any other.
        """
        self.use_levels(Levels(level, self._levels.differing))

    @property
    def level(self) -> str:
        """
        The lowest level that is written now, where no namespace has its own.
        """
        return self._levels.level

    def shows(self, level: str, namespace: str = "") -> bool:
        """
        Tell whether an event of this level would be written: ask before paying for one on a busy path.
        """
        return self._levels.shows(level, namespace)

    def __call__(self, event: LogEvent) -> None:
        level, namespace = event.get("log_level"), event.get("log_namespace", "-")
        voice = self._voices.get((level, namespace)) or self._learn(level, namespace)
        if not voice.shown:
            return
        text = text_of(event)
        if len(text) > MOST_TEXT:
            text = shortened(text)
        queue_id = event.get("queue_id")
        if queue_id is None:
            if not self._was_said(voice, text, event):
                self._say(voice, text, event, None)
            return
        ids = event.get("log_ids")
        if ids is None and self.ids_of is not None and type(queue_id) is str:
            ids = self.ids_of(queue_id)
        if self.outlet is None and "log_failure" not in event:  # the usual one
            self._write(self._render(voice, text, "", event, ids))
        else:
            self._say(voice, text, event, ids)

    def _learn(self, level: NamedConstant | None, namespace: str) -> _Voice:
        name = "info" if level is None else level.name  # events of others may carry no level
        shown = self._levels.shows(name, namespace) and (name != "info" or namespace != _CHATTER)
        parts = namespace.split(".")
        room = parts[1] if parts[0] == "empath" and len(parts) > 1 else namespace
        exporting = any(namespace == each or namespace.startswith(f"{each}.") for each in _EXPORTING)
        prefix = f" {name} {escaped(room)}: "
        voice = _Voice(name, namespace, shown, self._marks.get(name, ""), prefix, not exporting)
        if len(self._voices) >= _MAX_VOICES:
            self._voices.clear()
        self._voices[level, namespace] = voice
        return voice

    def _was_said(self, voice: _Voice, text: str, event: LogEvent) -> bool:
        """
        Tell whether this was said a moment ago, and is only counted.
        """
        if self.repeats is None or AGAIN in event or ANSWER in event:
            return False
        failure = event.get("log_failure")
        return self.repeats.hides(voice.level, voice.namespace, text, "" if failure is None else traceback_of(failure))

    def _say(self, voice: _Voice, text: str, event: LogEvent, ids: Ids | None) -> None:
        failure = event.get("log_failure")
        traceback = "" if failure is None else traceback_of(failure)
        self._write(self._render(voice, text, traceback, event, ids))
        if self.outlet is not None and voice.goes_out:
            trace_id, span_id = ids or ("", "")
            fields, when = short_fields_of(event), event.get("log_time", 0.0)
            self.outlet(LogRecord(when, voice.level, voice.namespace, text, fields, trace_id, span_id, traceback))

    def _as_text(self, voice: _Voice, text: str, traceback: str, event: LogEvent, ids: Ids | None) -> str:
        if ids is not None:
            text = f"{text} trace_id={ids[0]} span_id={ids[1]}"
        if not text.isprintable():
            text = escaped(text)
        mark = voice.mark
        line = f"{mark}{self._stamp(event.get('log_time', 0.0))}{voice.prefix}{text}\n"
        if not traceback:
            return line
        return line + "".join([f"{mark}\t{escaped(part)}\n" for part in traceback.splitlines()])

    def _as_json(self, voice: _Voice, text: str, traceback: str, event: LogEvent, ids: Ids | None) -> str:
        record: dict[str, Any] = {
            "time": self._stamp(event.get("log_time", 0.0)),
            "level": voice.level,
            "namespace": voice.namespace,
            "event": text,
        }
        add_fields(record, event)
        if ids is not None:
            record["trace_id"], record["span_id"] = ids
        if traceback:
            record["traceback"] = traceback
        encoded = encode(record)
        if len(encoded) > MOST_RECORD:
            encoded = bounded(record)
        return f"{voice.mark}{encoded}\n"


def make_observer(
    section: schema.Log, write: Callable[[str], None], marks: Mapping[str, str] | None = None
) -> LineObserver:
    """
    Make the observer that [log] describes; `write` takes one record at a time, its line end included.
    """
    return LineObserver(section, write, marks)
