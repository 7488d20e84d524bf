"""
Trace information: the Received field that every relay puts on top of a message (RFC 5321 §4.4).
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final, Literal

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WIDTH: Final = 78  # RFC 5322 §2.1.1
_LONGEST: Final = 255  # octets of a domain (RFC 5321 §4.5.3.1.2): what the client calls itself is cut there
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


def received_field(
    *,
    name: str,
    peer: str,
    hostname: str,
    protocol: str,
    queue_id: str,
    recipient: str,
    seconds: float,
    tls: str = "",
    cipher: str = "",
    priority: int = 0,
) -> bytes:
    """
    Make a Received field, CRLF included.

    `name` is what the client called itself, `peer` its IP address or "unix", `protocol` what stands after "with" (see
    `with_protocol`), `recipient` the forward-path or "" where there are several: naming them would tell each of the
    others. One that is not ASCII is named under SMTPUTF8 only (RFC 6531 §4.3). `seconds` since the epoch are written
    in UTC. `tls` is the protocol's version and `cipher` its suite, "" without TLS; they stand in a comment. A
    `priority` other than 0 is told as RFC 6710 wants it.
    """
    source = f"from {_UNSAFE.sub('?', name[:_LONGEST]) or 'unknown'}{_peer_literal(peer)}"
    words = [source, f"by {hostname} with {protocol}"]
    if tls:
        words.append(f"({_UNSAFE.sub('?', tls)} with cipher {_UNSAFE.sub('?', cipher) or 'unknown'})")
    words.append(f"id {queue_id}")
    if recipient and recipient.isprintable() and (recipient.isascii() or protocol.startswith("UTF8")):
        words.append(f"for <{recipient}>")
    if priority:
        words.append(f"priority {priority}")
    words[-1] += ";"
    words.append(format_date(seconds))
    return _fold("Received:", words).encode()


def with_protocol(base: Literal["SMTP", "ESMTP", "LMTP"], tls: bool, login: bool, utf8: bool) -> str:
    """
    Name the protocol as it stands after "with" (RFC 3848, RFC 6531 §4.3).

    `base` is by the greeting: HELO, EHLO or LHLO; `utf8` tells whether the transaction was given SMTPUTF8. SMTP has no
    words for what came only with ESMTP.
    """
    if base == "SMTP":
        return base
    kind = f"UTF8{base.removeprefix('E')}" if utf8 else base
    return f"{kind}{'S' if tls else ''}{'A' if login else ''}"


def format_date(seconds: float) -> str:
    """
    Write a time in seconds since the epoch as RFC 5322 §3.3 has it, in UTC and in English whatever the locale.
    """
    return _written(int(seconds))


@lru_cache(maxsize=16)  # a busy second has thousands of messages
def _written(second: int) -> str:
    days, rest = divmod(second, _DAY)
    day = date.fromordinal(_EPOCH + days)
    return (
        f"{_WEEKDAYS[(days + 3) % 7]}, {day.day} {_MONTHS[day.month - 1]} {day.year:04} "
        f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} +0000"
    )


def _peer_literal(peer: str) -> str:
    """
    Write the client's address as a literal in a comment (TCP-info); who has none ("unix") gets none.
    """
    if ":" in peer:
        return f" ([IPv6:{peer}])"
    return f" ([{peer}])" if "." in peer else ""


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
