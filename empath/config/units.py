"""
Units that an operator writes: durations, sizes, secrets.
"""

from __future__ import annotations

from typing import NewType

Duration = NewType("Duration", float)  # seconds; written "30s" "5m" "24h" "5d" or a number of seconds
Size = NewType("Size", int)  # bytes; written "64KiB" "25MB" or a number of bytes
Secret = NewType("Secret", str)  # a text, or { file = "/path" }, or { env = "NAME" }
Folder = NewType("Folder", str)  # a path; a relative one is resolved against the configuration file's folder
EndpointText = NewType("EndpointText", str)  # a Twisted server endpoint string


def seconds(value: float) -> Duration:
    """
    Give a default in seconds.
    """
    return Duration(float(value))
