"""
Records of the audit trail as lines for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from empath.ctl.colours import joined, plain, reply
from empath.ctl.wording import Times, span

_COLOURS: Final = MappingProxyType(
    {
        "delivered": "green",
        "retry": "yellow",
        "held": "magenta",
        "refused": "red",
        "failed": "red",
        "expired": "red",
        "bounced": "red",
        "deleted": "red",
        "control": "cyan",
    }
)


def told(records: Sequence[dict[str, Any]], times: Times) -> RenderableType:
    """
    Tell what happened, a record a line.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for record in records:
        event = _text(record, "event")
        grid.add_row(_when(record, times), plain(event, _COLOURS.get(event, "")), _what(record))
    return grid


def _when(record: dict[str, Any], times: Times) -> Text:
    written = _text(record, "time")
    try:
        when = datetime.fromisoformat(written)
    except ValueError:
        return plain(written)
    return Text(times.clock(when if when.tzinfo else when.replace(tzinfo=UTC)))


def _what(record: dict[str, Any]) -> Text:
    duration, attempt = record.get("duration_ms"), record.get("attempt")
    return joined(
        plain(f"attempt {attempt}" if attempt else ""),
        plain(f"{_text(record, 'action')} by {_text(record, 'actor')}" if record.get("event") == "control" else ""),
        plain(f"from <{record['sender']}>" if record.get("sender") is not None else ""),
        plain(f"to {_recipients(record)}" if record.get("recipients") else ""),
        plain(f"at {_text(record, 'host')}" if record.get("host") else ""),
        reply(_text(record, "reply")),
        plain(_text(record, "result") if not record.get("reply") else ""),
        plain(span(duration / 1000) if isinstance(duration, int | float) and duration > 0 else "", "dim"),
    )


def _recipients(record: dict[str, Any]) -> str:
    named = record["recipients"]
    return ", ".join(f"<{each}>" for each in named) if isinstance(named, list | tuple) else str(named)


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return "" if value is None else str(value)
