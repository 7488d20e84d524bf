"""
`system top`, drawn: two snapshots of the MTA make rates, and those a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from empath.control.terms.system import SiteRow, Top
from empath.ctl.colours import OF_STATE, STATES, joined, plain, state
from empath.ctl.wording import Times, number, octets, some, span

SORTS: Final = ("ready", "busy", "sent/s", "defer/s", "fail/s", "time", "site")
HEAD: Final = 7  # lines above the sites
_NARROW: Final = 100  # columns; below, what is least is left out
_LEAST: Final = frozenset({"conns", "fail/s", "limit"})


@attrs.frozen
class Look:
    """
    How the operator wants to see it: sorted by which column, from which row on, whether it stands still.
    """

    sort: str = SORTS[0]
    first: int = 0
    paused: bool = False


@attrs.frozen
class Snapshots:
    """
    The last snapshot, and one before it, None for the first one of a run of the MTA: rates need two.
    """

    last: Top
    before: Top | None = None

    def then(self, following: Top) -> Snapshots:
        """
        Go on; a restarted MTA has counted from 0.
        """
        return Snapshots(following, self.last if following.uptime > self.last.uptime else None)

    @property
    def seconds(self) -> float:
        """
        Tell how much time is between the two, 0 for one alone.
        """
        return 0.0 if self.before is None else self.last.uptime - self.before.uptime

    def rate(self, total: str) -> float | None:
        """
        Tell how many a second of what is counted; None where that is not known yet.
        """
        if self.before is None or self.seconds <= 0:
            return None
        return (self.last.totals.get(total, 0) - self.before.totals.get(total, 0)) / self.seconds


@attrs.frozen
class Site:
    """
    A site with its rates.
    """

    row: SiteRow
    sent: float
    deferred: float
    failed: float


def sites(snapshots: Snapshots, sort: str) -> Sequence[Site]:
    """
    Tell the sites in their order: the largest first, or by name.
    """
    before = {} if snapshots.before is None else {row.site: row for row in snapshots.before.sites}
    made = [_site(row, before.get(row.site), snapshots.seconds) for row in snapshots.last.sites]
    key = _KEYS[sort]
    return sorted(made, key=lambda site: (key(site), site.row.site))


def _site(row: SiteRow, before: SiteRow | None, seconds: float) -> Site:
    if before is None or seconds <= 0:
        return Site(row, 0.0, 0.0, 0.0)

    def rate(count: int, earlier: int) -> float:
        return max(0, count - earlier) / seconds

    return Site(
        row,
        rate(row.delivered, before.delivered),
        rate(row.deferred, before.deferred),
        rate(row.failed, before.failed),
    )


_KEYS: Final[Mapping[str, Callable[[Site], Any]]] = MappingProxyType(
    {
        "ready": lambda site: -site.row.ready,
        "busy": lambda site: -site.row.in_flight,
        "sent/s": lambda site: -site.sent,
        "defer/s": lambda site: -site.deferred,
        "fail/s": lambda site: -site.failed,
        "time": lambda site: -site.row.seconds,
        "site": lambda site: site.row.site,
    }
)


def screen(
    snapshots: Snapshots, look: Look, times: Times, width: int, height: int, trouble: str = ""
) -> RenderableType:
    """
    Draw it all, on exactly as many lines as there are at most.
    """
    rows = sites(snapshots, look.sort)
    room = max(0, height - HEAD - 2)
    visible = rows[look.first : look.first + room]
    parts: list[RenderableType] = [_title(snapshots.last, times, look, trouble), *_summary(snapshots, times), Text()]
    parts.append(_table(visible, look.sort, width))
    left = len(rows) - look.first - len(visible)
    if left > 0:
        parts.append(plain(f"{number(left)} more below", "dim"))
    return Group(*parts)


def last_row(snapshots: Snapshots, height: int) -> int:
    """
    Tell from which row on the last page is seen.
    """
    return max(0, len(snapshots.last.sites) - max(1, height - HEAD - 2))


FLOWS: Final = (  # what they are called, and the totals behind them
    ("in", "received"),
    ("out", "delivered"),
    ("deferred", "deferred"),
    ("failed", "failed"),
    ("refused", "refused"),
    ("connects", "connections"),
)
KEYS_LINE: Final = "q quit  s, left and right: sort  p pause  up and down: scroll"


def _title(top: Top, times: Times, look: Look, trouble: str) -> Text:
    line = joined(
        Text.assemble(("empath", "bold"), f" {times.clock(top.time)}"),
        f"up {span(round(top.uptime))}",
        some(top.sessions, "session"),
        some(top.attempts, "attempt"),
        _latency(top.loop_latency),
    )
    if trouble:
        line = Text.assemble(line, "  ", plain(trouble, "bold red"))
    elif look.paused:
        line = Text.assemble(line, "  ", ("PAUSED", "bold yellow"))
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line


def _latency(seconds: float) -> Text:
    colour = "red" if seconds > 0.25 else "yellow" if seconds > 0.05 else ""
    return Text(f"reactor {span(seconds)} late", colour)


def _summary(snapshots: Snapshots, times: Times) -> list[Text]:
    top = snapshots.last
    flow = Text("  ").join(_flow(word, snapshots.rate(total)) for word, total in FLOWS)
    volume = snapshots.rate("octets_in")
    if volume is not None:
        flow.append(f"  {octets(volume)}/s")
    counts = [Text.assemble(state(word), f" {number(top.queue[word])}") for word in STATES if top.queue.get(word)]
    queue = Text("  ").join(counts) or Text("empty")
    if top.oldest is not None:
        queue.append(f"  oldest {times.since(top.oldest)}")
    lines = [Text.assemble(("flow   ", "bold"), flow), Text.assemble(("queue  ", "bold"), queue)]
    lines.append(Text.assemble(("limits ", "bold"), _limits(top)))
    lines.append(plain(KEYS_LINE, "dim"))
    for line in lines:
        line.no_wrap = True
        line.overflow = "ellipsis"
    return lines


def _flow(word: str, rate: float | None) -> Text:
    shown = "-" if rate is None else f"{_rate(rate)}/s"
    return Text.assemble((word, "dim"), " ", (shown, "bold" if rate else ""))


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else number(rate)


def _limits(top: Top) -> Text:
    frozen = ", ".join(domain or "everything" for domain in top.frozen)
    told = joined(
        plain(f"frozen: {frozen}" if frozen else "", "magenta"),
        plain(f"{some(top.open_circuits, 'circuit')} open" if top.open_circuits else "", "bold red"),
        plain(f"{number(top.rate_limited)} waiting for a rate limit" if top.rate_limited else "", "yellow"),
        by="  ",
    )
    return told or Text("none in force")


def _table(rows: Sequence[Site], sort: str, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    titles = ["site", "ready", "busy", "conns", "sent/s", "defer/s", "fail/s", "time", "circuit", "limit"]
    shown = [title for title in titles if width >= _NARROW or title not in _LEAST]
    names = max((len(site.row.site) for site in rows), default=0)
    room = max(10, width - (50 if width < _NARROW else 79))  # without the other columns, as wide as they become
    for title in shown:
        words = title in {"site", "circuit", "limit"}
        table.add_column(
            Text(title.upper(), "bold reverse" if title == sort else "bold"),
            justify="left" if words else "right",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if title == shown[-1] else None,  # the last one takes what is left
            width=max(len("site"), min(names, room)) if title == "site" else None,
        )
    for site in rows:
        cells = _cells(site)
        table.add_row(*(cells[title] for title in shown))
    return table


def _cells(site: Site) -> Mapping[str, Text]:
    row = site.row
    return {
        "site": plain(row.site),
        "ready": Text(number(row.ready)),
        "busy": Text(number(row.in_flight)),
        "conns": Text(number(row.connections)),
        "sent/s": Text(_rate(site.sent), "green" if site.sent else ""),
        "defer/s": Text(_rate(site.deferred), "yellow" if site.deferred else ""),
        "fail/s": Text(_rate(site.failed), "red" if site.failed else ""),
        "time": Text(span(row.seconds) if row.seconds else "-"),
        "circuit": plain(row.circuit, OF_STATE.get(row.circuit, "")),
        "limit": plain(row.limit, "yellow"),
    }
