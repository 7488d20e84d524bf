"""
Units that an operator writes: durations, sizes, secrets.
"""

from __future__ import annotations

from typing import Any, Final, NewType

import attrs

KIB: Final = 1024
MIB: Final = 1024 * KIB
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400

Duration = NewType("Duration", float)  # seconds; written "30s" "5m" "24h" "5d" or a number of seconds
Size = NewType("Size", int)  # bytes; written "64KiB" "25MB" or a number of bytes
Secret = NewType("Secret", str)  # a text, or { file = "/path" }, or { env = "NAME" }
Folder = NewType("Folder", str)  # a path; a relative one is resolved against the configuration file's folder
File = NewType("File", str)  # as Folder, but of a file that can be read; "" for none
EndpointText = NewType("EndpointText", str)  # a Twisted server endpoint string
Options = NewType("Options", dict[str, Any])  # a table of whatever its reader knows


def seconds(value: float) -> Duration:
    """
    Give a default in seconds.
    """
    return Duration(float(value))


@attrs.frozen(slots=True)
class Rate:
    """
    So many events in so many seconds; written "10/s", "100/min" or "5000/h". `count` 0 is no limit, written 0.
    """

    count: int
    seconds: float


NO_LIMIT: Final = Rate(0, 1.0)
