"""
How sizes, spans and times read in what people see; nothing here knows a terminal.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

import attrs

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def octets(count: float) -> str:
    """
    Tell a size: "812 B", "4.0 KiB", "1.2 GiB".
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1023.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def number(count: float) -> str:
    """
    Tell a number with its thousands apart, or, from ten million on, shortened: "12,345", "12.3 M".
    """
    return f"{count:,.0f}" if abs(count) < 10_000_000 else f"{count / 1_000_000:,.1f} M"


def some(count: int, one: str, many: str = "") -> str:
    """
    Tell how many there are of a thing: "1 message", "2,000 messages", "no messages".
    """
    return f"{number(count) if count else 'no'} {one if count == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """
    Tell how long something takes in its two largest units: "3m 12s", "4d 3h"; "1.2s" and "240ms" of what is short.
    """
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.1f}ms" if 0 < seconds < 0.001 else f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s".replace(".0s", "s")
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in _UNITS:
        many, rest = divmod(rest, length)
        if many or parts:
            parts.append(f"{many}{unit}" if many else "")
    return " ".join(part for part in parts[:2] if part)


@attrs.frozen
class Times:
    """
    Tells times as they are seen `now`, in `zone` (None: the machine's).
    """

    now: datetime
    zone: tzinfo | None = None

    def clock(self, when: datetime) -> str:
        """
        Tell a time in the reader's zone, as short as it is clear: "14:03:22", "21 Nov 14:03", "21 Nov 2025 14:03".
        """
        there, here = when.astimezone(self.zone), self.now.astimezone(self.zone)
        if there.date() == here.date():
            return there.strftime("%H:%M:%S")
        if there.year == here.year:
            return there.strftime("%d %b %H:%M")
        return there.strftime("%d %b %Y %H:%M")

    def stamp(self, when: datetime) -> str:
        """
        Tell a time with its date and its zone: "2026-11-21 14:03:22 CET".
        """
        return when.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    def since(self, when: datetime) -> str:
        """
        Tell how long ago it was, without saying "ago".
        """
        return span(round((self.now - when).total_seconds()))

    def relative(self, when: datetime) -> str:
        """
        Tell how far away it is: "3m 12s ago", "in 4d 3h", "now".
        """
        seconds = round((when - self.now).total_seconds())
        if seconds == 0:
            return "now"
        return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"

    def both(self, when: datetime) -> str:
        """
        Tell it both ways: "14:03:22, 3m 12s ago".
        """
        return f"{self.clock(when)}, {self.relative(when)}"
