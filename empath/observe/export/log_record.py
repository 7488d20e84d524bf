"""
A log record as it goes to a collector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


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
