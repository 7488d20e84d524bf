"""
Trace information: the Received field that every relay puts on top of a message (RFC 5321 §4.4).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WIDTH: Final = 78  # RFC 5322 §2.1.1
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


def received_field(
    *, name: str, peer: str, hostname: str, protocol: str, queue_id: str, recipient: str, seconds: float
) -> bytes:
    """
    Make a Received field, CRLF included.

    `name` is what the client called itself, `peer` its IP address or "unix", `protocol` what stands after "with"
    (RFC 3848), `recipient` the forward-path or "" where there are several: naming them would tell each of the
    others. `seconds` since the epoch are written in UTC.
    """
    source = f"from {_UNSAFE.sub('?', name)}{_peer_literal(peer)}"
    target = f"for <{recipient}>;" if recipient else ""
    words = [source, f"by {hostname} with {protocol}", f"id {queue_id}" if target else f"id {queue_id};"]
    if target:
        words.append(target)
    words.append(format_date(seconds))
    return _fold("Received:", words).encode()


def format_date(seconds: float) -> str:
    """
    Write a time in seconds since the epoch as RFC 5322 §3.3 has it, in UTC and in English whatever the locale.
    """
    days, rest = divmod(int(seconds), _DAY)
    day = date.fromordinal(_EPOCH + days)
    return (
        f"{_WEEKDAYS[(days + 3) % 7]}, {day.day} {_MONTHS[day.month - 1]} {day.year:04} "
        f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} +0000"
    )


def _peer_literal(peer: str) -> str:
    """
    Write the client's address as a literal in a comment (TCP-info); a UNIX socket has none.
    """
    if peer == "unix":
        return ""
    return f" ([IPv6:{peer}])" if ":" in peer else f" ([{peer}])"


def _fold(line: str, words: list[str]) -> str:
    """
    Join words to a field whose lines are no wider than they should be, but for a word that alone is too wide.
    """
    lines = []
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = f"        {word}"
        else:
            line = f"{line} {word}"
    lines.append(line + "\r\n")
    return "\r\n".join(lines)
