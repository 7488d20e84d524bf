"""
The queue as people see it: listings, and the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from empath.control.terms.managing import DestinationCount, Frozen, QueueStats
from empath.control.terms.queue import Item
from empath.ctl.colours import OF_STATE, STATES, joined, plain, reply, state
from empath.ctl.tables import table
from empath.ctl.wording import Times, number, octets, some

WIDE: Final = 180  # columns from which a delivery fits on one line
_NAMED: Final = 3  # recipients that are named; the rest is counted


def items(found: Iterable[Item], times: Times, width: int, *, head: bool = True) -> RenderableType:
    """
    List deliveries on a terminal: each on one line where that fits, else on a few.
    """
    if width < WIDE:
        return Group(*(_block(item, times) for item in found))
    return Group(*lines(found, times, head=head))


def lines(found: Iterable[Item], times: Times, *, head: bool = True) -> Iterator[Text]:
    """
    List deliveries, each on one line however long, as it is searched by programs.
    """
    if head:
        titles = _row("ID", "STATUS", "TRIES", "QUEUED", "NEXT", "SIZE", Text("DESTINATION, MAIL, WHY"))
        yield Text(titles.plain, "bold")
    for item in found:
        yield _line(item, times)


def _row(name: str, status: str, tries: str, queued: str, following: str, size: str, rest: Text) -> Text:
    start = f"{name:<26}  "
    columns = f"{tries:>5}  {queued:>8}  {following:>11}  {size:>9}  "
    return Text.assemble(plain(start), plain(f"{status:<11}", OF_STATE.get(status, "")), "  ", columns, rest)


def _line(item: Item, times: Times) -> Text:
    rest = Text("; ").join((plain(f"{item.domain} {_who(item)}"), *(reply(text) for text in _says(item))))
    following = _following(item, times)
    return _row(
        item.queue_id, item.status, str(item.attempts), times.since(item.received), following, octets(item.size), rest
    )


def _block(item: Item, times: Times) -> RenderableType:
    following = _following(item, times)
    head = joined(
        Text.assemble(plain(item.queue_id, "bold"), "  ", state(item.status)),
        plain(item.domain),
        octets(item.size),
        f"queued {times.since(item.received)} ago",
        some(item.attempts, "attempt"),
        f"next {following}" if following else "",
    )
    says = (Text.assemble("    ", reply(text)) for text in _says(item))
    return Group(head, plain(f"    {_who(item)}"), *says)


def _following(item: Item, times: Times) -> str:
    if item.next_attempt is None or item.status not in {"pending", "retry"}:
        return ""
    return times.relative(item.next_attempt) if item.next_attempt > times.now else "due"


def _who(item: Item) -> str:
    named = " ".join(f"<{recipient}>" for recipient in item.recipients[:_NAMED])
    more = max(0, len(item.recipients) - _NAMED) + item.more_recipients
    return f"<{item.sender}> to {named}" + (f" and {number(more)} more" if more > 0 else "")


def _says(item: Item) -> tuple[str, ...]:
    return tuple(text for text in (item.last_error, item.why) if text)


def stats(answer: QueueStats, times: Times) -> RenderableType:
    """
    Show the queue in numbers: by status, what is due, how old the oldest is, and the destinations with the most.
    """
    due = f"{some(answer.due, 'delivery', 'deliveries')} due"
    oldest = "" if answer.oldest is None else f"the oldest queued {times.both(answer.oldest)}"
    head = joined(_counts(answer.counts), by="  ")
    parts: list[RenderableType] = [head, joined(due, oldest)]
    if answer.destinations:
        parts += ["", _destinations(answer.destinations)]
    more = answer.destination_count - len(answer.destinations)
    if more > 0:
        parts.append(plain(f"and {some(more, 'destination')} more", "dim"))
    if not answer.complete:
        parts.append(
            plain(
                "The destinations are not counted to the end: the queue is long, ask again in some seconds.", "yellow"
            )
        )
    return Group(*parts)


def _counts(counts: Mapping[str, int]) -> Text:
    every = (*STATES, *sorted(set(counts) - set(STATES)))
    told = (Text.assemble(state(word), f" {number(counts[word])}") for word in every if counts.get(word))
    return Text("  ").join(told) or Text("The queue is empty.")


def _destinations(rows: Iterable[DestinationCount]) -> Table:
    rows = tuple(rows)
    used = [word for word in STATES if any(row.counts.get(word) for row in rows)]
    titles = ("destination", ">all", *(f">{word}" for word in used))
    return table(titles, (_destination(row, used) for row in rows))


def _destination(row: DestinationCount, used: Iterable[str]) -> list[Text | str]:
    cells: list[Text | str] = [row.domain, Text(number(sum(row.counts.values())))]
    for word in used:
        count = row.counts.get(word, 0)
        cells.append(plain(number(count), OF_STATE.get(word, "")) if count else plain("-", "dim"))
    return cells


def frozen(answer: Frozen, times: Times) -> RenderableType:
    """
    Show what is frozen.
    """
    if not answer.frozen:
        return Text("Nothing is frozen.")
    rows = ((row.domain or "(everything)", Text(times.both(row.since))) for row in answer.frozen)
    return table(("frozen", "since"), rows)
