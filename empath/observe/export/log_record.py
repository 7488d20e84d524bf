"""
A log record as it goes to a collector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

_RECORD: Final = 600  # octets that one takes without its texts
_ITEM: Final = 100  # octets of a field, or of something in one


@attrs.frozen(slots=True, eq=False)
class LogRecord:
    """
    What was logged at `time` (seconds since the epoch) at `level` ("debug" to "critical") by `namespace`. `fields` are
    those of the event that JSON can say, bounded in size. `trace_id` and `span_id` are "" where it belongs to no trace;
    `traceback` is "" where there is none.
    """

    time: float
    level: str
    namespace: str
    text: str
    fields: Mapping[str, Any]
    trace_id: str = ""
    span_id: str = ""
    traceback: str = ""


def octets_of(record: LogRecord) -> int:
    """
    Tell about how much memory a record takes.
    """
    octets = _RECORD + len(record.text) + len(record.traceback)
    for value in record.fields.values():
        if isinstance(value, str):
            octets += _ITEM + len(value)
        else:
            octets += _ITEM if not isinstance(value, list | tuple | dict) else _ITEM * (1 + len(value))
    return octets
