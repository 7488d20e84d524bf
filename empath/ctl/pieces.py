"""
The pieces of a message's story which `queue view` and `queue explain` share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from empath.control.terms.queue import ArrivalRow, AttemptRow, DecisionRow, MessageView, RecipientRow
from empath.ctl.colours import address, joined, plain, reply, state
from empath.ctl.wording import Times, number, octets, some, span

MOST: Final = 20  # recipients of a destination, and destinations, that are shown: it is to be read
_OWN: Final = "own"  # the origin of what we wrote


def labelled(rows: Iterable[tuple[str, RenderableType]], width: int = 8) -> Table:
    """
    Put a short label before each piece; the pieces stand below one another and wrap beside their label.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for label, piece in rows:
        grid.add_row(label, piece)
    return grid


def indented(piece: RenderableType) -> Padding:
    """
    Move a piece to the right.
    """
    return Padding(piece, (0, 0, 0, 2))


def headline(message: MessageView, times: Times) -> RenderableType:
    """
    Say which message it is.
    """
    count = sum(len(each.recipients) + each.more_recipients for each in message.deliveries)
    whom = f"{some(count, 'recipient')}{' and more' if message.more_deliveries else ''}"
    which = (plain(message.queue_id, "bold"), "  from ", address(message.sender), f" to {whom}")
    return Group(Text.assemble(*which), indented(f"{octets(message.size)}, queued {times.both(message.received)}"))


def arrival(row: ArrivalRow) -> Text:
    """
    Say how the message came.
    """
    if not row.session:
        login = f" under the login {row.login}" if row.login else ""
        known = "empath wrote it: a report" if row.origin == _OWN else f"nobody remembers from where{login}"
        return plain(known)
    peer = f"[{row.peer}]:{row.port}" if row.port else f"[{row.peer}]"
    return joined(
        plain(f"from {row.name} {peer}" if row.name else f"from {peer}"),
        plain(f"by {row.protocol}" if row.protocol else ""),
        plain(f"{row.tls} {row.cipher}".strip()) if row.tls else plain("no TLS", "dim"),
        plain(f"logged in as {row.login}" if row.login else ""),
        plain(f"to {row.listener}" if row.listener else ""),
        plain("a trusted client" if row.origin == "trusted" else ""),
        plain(f"session {row.session}", "dim"),
    )


def decisions(rows: Sequence[DecisionRow]) -> RenderableType:
    """
    Say what each module made of the message, and why.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    for column in ("module", "stage", "action"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("why", overflow="fold")
    for row in rows:
        grid.add_row(plain(row.module), plain(row.stage, "dim"), state(row.action), reply(row.why))
    return grid


def recipients(rows: Sequence[RecipientRow], more: int = 0) -> RenderableType:
    """
    List the recipients as they stand, each with the last reply about it: of very many those first who are not through
    with it, the others, and `more` that nobody told us of, are counted.
    """
    shown = rows
    if len(rows) > MOST:
        shown = sorted(rows, key=lambda row: row.status == "completed")[:MOST]
        more += len(rows) - MOST
    told = [_said(row) for row in shown]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    grid.add_column(no_wrap=True)
    if any(told):  # or a column of no width takes some from the others
        grid.add_column(overflow="fold")
    for row, text in zip(shown, told, strict=True):
        grid.add_row(address(row.address), state(row.status), *([text] if any(told) else []))
    return (
        Group(grid, plain(f"and {number(more)} more: --json lists them, as far as they are told", "dim"))
        if more
        else grid
    )


def _said(row: RecipientRow) -> Text:
    return joined(
        reply(row.reply),
        plain(f"said {row.host}" if row.host and row.reply else "", "dim"),
        plain("" if row.category == "other" else row.category, "dim"),
        plain("it may have been taken without an answer" if row.doubtful else "", "yellow"),
    )


def more_of(left: int) -> list[RenderableType]:
    """
    Tell how many destinations are not shown.
    """
    return (
        ["", plain(f"and {some(left, 'destination')} more: --json lists them, as far as they are told", "dim")]
        if left
        else []
    )


def attempts(history: Sequence[AttemptRow], times: Times) -> RenderableType:
    """
    Tell the attempts of the past. Those after one another which ended the same way are told once.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    before = 0
    for run in _runs(history):
        if run[0].number > before + 1:
            grid.add_row("", plain(f"({some(run[0].number - before - 1, 'attempt')} not kept)", "dim"))
        before = run[-1].number
        grid.add_row(_numbers(run), _attempt(run, times))
    return grid


def _runs(history: Sequence[AttemptRow]) -> Iterator[list[AttemptRow]]:
    for _, same in groupby(
        enumerate(history),
        key=lambda pair: (pair[1].number - pair[0], pair[1].host, pair[1].address, pair[1].result, pair[1].reply),
    ):
        yield [row for _, row in same]


def _numbers(run: Sequence[AttemptRow]) -> str:
    return f"#{run[0].number}" if len(run) == 1 else f"#{run[0].number}-{run[-1].number}"


def _attempt(run: Sequence[AttemptRow], times: Times) -> RenderableType:
    row = run[-1]
    whens = times.both(row.started)
    if len(run) > 1:
        whens = f"{len(run)} times alike, {times.clock(run[0].started)} to {whens}"
    peer = f"{row.host} [{row.address}]:{row.port}" if row.address else row.host
    lines = [
        joined(
            state(row.result),
            whens,
            plain(peer or ("" if row.result == "completed" else "no host was reached")),
            _security(row),
        ),
        reply(row.reply),
        _duration(row),
    ]
    return Group(*(line for line in lines if line))


def _security(row: AttemptRow) -> Text:
    if not row.tls:
        return plain("no TLS" if row.address else "", "dim")
    vouched = {"encrypted": "certificate not judged"}.get(row.security, row.security)
    return plain(row.tls + (f" ({vouched})" if vouched else ""))


def _duration(row: AttemptRow) -> Text:
    phases = [f"{name} {span(seconds)}" for name, seconds in row.seconds.items()]
    took = f"took {span((row.ended - row.started).total_seconds())}"
    details = ", ".join([*(["over an idle connection"] if row.reused else []), *phases])
    return plain(f"{took}: {details}" if details else took, "dim")
