"""
Values as OTLP can carry them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 16_384  # characters
DEEPEST: Final = 4
_INT64: Final = 1 << 63


def text(value: str) -> str:
    """
    Give a text that UTF-8 can say, and no longer than a collector likes.
    """
    if len(value) > LONGEST:
        value = f"{value[:LONGEST]}…"
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def value_of(value: Any, depth: int = 0) -> Any:
    """
    Give a value as OTLP can carry it: what is too large, too deep, or of a kind that it does not know, as a text.
    """
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    if depth < DEEPEST and isinstance(value, Mapping):
        return {text(str(name)): value_of(each, depth + 1) for name, each in value.items()}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [value_of(each, depth + 1) for each in value]
    return text(str(value))


def attributes_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give attributes as OTLP can carry them.
    """
    return {text(name): value_of(value) for name, value in values.items()}


def nanoseconds(seconds: float) -> int:
    """
    Give a time in seconds since the epoch as OTLP has it, which knows none before; to the microsecond, beyond which our
    seconds are not exact.
    """
    return max(0, round(seconds * 1e6)) * 1000
