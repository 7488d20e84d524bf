"""
The verbs that move mail.
"""

from __future__ import annotations

from typing import Any, TypeVar

import click

from empath.control.terms.managing import (
    Bounce,
    CountQueue,
    Delete,
    Freeze,
    Frozen,
    Hold,
    ProcessNow,
    Release,
    Retry,
    Tally,
    Unfreeze,
)
from empath.control.terms.queue import Filter
from empath.ctl.completing import destinations
from empath.ctl.errors import Interrupted, NotThere
from empath.ctl.filtering import described, filtered, required
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb
from empath.ctl.wording import number, some

M = TypeVar("M", Retry, Delete, Bounce, Hold, Release)


def _named(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """
    Give the domain, "" where none was named; an empty one is a slip, such as a variable that was never set.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("an empty name is no destination", ctx, parameter)
    return value or ""


_YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_REASON = click.option("--reason", default="", metavar="TEXT", help="Why: kept in the audit trail.")


@verb(
    """
    empathctl queue retry 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue retry --domain example.org
    empathctl queue retry --status failed --older-than 1h
    empathctl queue retry --site mx.example.org --force    # past its open circuit breaker
    """
)
@filtered
@_REASON
@click.option("--force", is_flag=True, help="Also what is held, and past circuit breakers.")
def retry(tool: Tool, force: bool, reason: str, **fields: Any) -> None:
    """
    Attempt now what waits, or has failed and was kept.
    """
    _move(tool, Retry(required(**fields), reason, force), "Retrying", "will be attempted now")


@verb(
    """
    empathctl queue delete 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue delete --sender spammer@example.org --yes
    empathctl queue delete --status failed --older-than 2d --reason "ticket 4711"
    """
)
@filtered
@_REASON
@_YES
def delete(tool: Tool, yes: bool, reason: str, **fields: Any) -> None:
    """
    Delete mail. Nobody gets a report.
    """
    selection = required(**fields)
    total = _confirmed(tool, selection, "Delete", "Nobody gets a report.", yes)
    _move(tool, Delete(selection, reason), "Deleting", "deleted", total)


@verb(
    """
    empathctl queue bounce 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue bounce --domain example.org --older-than 2d
    """
)
@filtered
@_REASON
@_YES
def bounce(tool: Tool, yes: bool, reason: str, **fields: Any) -> None:
    """
    Give mail up; its senders get a report.
    """
    selection = required(**fields)
    total = _confirmed(tool, selection, "Bounce", "Senders get a report.", yes)
    _move(tool, Bounce(selection, reason), "Bouncing", "bounced", total)


@verb(
    """
    empathctl queue hold 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue hold --sender newsletter@example.org --reason "asked first"
    """
)
@filtered
@_REASON
def hold(tool: Tool, reason: str, **fields: Any) -> None:
    """
    Stop mail until it is released; it does not expire meanwhile.
    """
    _move(tool, Hold(required(**fields), reason), "Holding", "held")


@verb(
    """
    empathctl queue release 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue release --status held --all
    """
)
@filtered
@_REASON
def release(tool: Tool, reason: str, **fields: Any) -> None:
    """
    Let held mail go on.
    """
    _move(tool, Release(required(**fields), reason), "Releasing", "released")


@verb(
    """
    empathctl queue freeze --domain example.org
    empathctl queue freeze    # begin no attempt at all
    """
)
@click.option(
    "--domain", metavar="D", callback=_named, help="This destination; all without it.", shell_complete=destinations
)
def freeze(tool: Tool, domain: str) -> None:
    """
    Begin no attempt to a destination, or to any, until unfrozen. What is under way goes on.
    """
    _show_frozen(tool, tool.ask(Freeze(domain)), "It was frozen before.")


@verb(
    """
    empathctl queue unfreeze --domain example.org
    empathctl queue unfreeze    # ends a freeze of everything; those of single destinations stay
    """
)
@click.option("--domain", metavar="D", callback=_named, help="This destination.", shell_complete=destinations)
def unfreeze(tool: Tool, domain: str) -> None:
    """
    Let mail to what was frozen go on.
    """
    _show_frozen(tool, tool.ask(Unfreeze(domain)), "It was not frozen.")


@verb(
    """
    empathctl queue process-now
    """
)
def process_now(tool: Tool) -> None:
    """
    Look for mail that is due now, not at the next interval.
    """
    answer = tool.ask(ProcessNow())
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"{some(answer.due, 'delivery', 'deliveries').capitalize()} due.")


def _show_frozen(tool: Tool, answer: Frozen, before: str) -> None:
    from empath.ctl.queue_tables import frozen

    tool.show(answer, lambda shown: frozen(shown, tool.times))
    if not answer.changed:
        tool.note(before)


def _confirmed(tool: Tool, selection: Filter, what: str, consequence: str, yes: bool) -> int | None:
    """
    Ask whether that many are meant, and give how many, as far as it was counted. NotThere for none.
    """
    if yes and not tool.errors.is_terminal:
        return None
    answer = tool.ask(CountQueue(selection))
    if answer.count == 0:
        raise NotThere(f"No mail {described(selection)}.")
    many = f"more than {number(answer.count)} deliveries" if answer.more else _deliveries(answer.count)
    tool.confirm(f"{what} {many} {described(selection)}? {consequence}", yes)
    return None if answer.more else answer.count


def _move(tool: Tool, request: M, title: str, done: str, total: int | None = None) -> None:
    """
    Have it done, with a progress bar, and tell what was. ^C hangs up: the MTA stops behind the slice that it is at.
    """
    last = Tally()

    def progress(piece: Tally) -> tuple[int, int | None]:
        nonlocal last
        last = piece
        return piece.changed + piece.in_flight + piece.unchanged, total

    try:
        tally = tool.follow(request, title, progress)
    except KeyboardInterrupt:
        so_far = f"so far {_deliveries(last.changed)} {done}"
        raise Interrupted(
            f"interrupted: {so_far}, and perhaps some more that were under way",
            "The others are left as they were; the same command goes on with them.",
        ) from None
    if tally == Tally():
        raise NotThere(f"No mail {described(request.filter)}.")
    if tool.json:
        tool.write_json(tally)
        return
    tool.say(_said(tally, done))


def _said(tally: Tally, done: str) -> str:
    sentences = [f"{_deliveries(tally.changed).capitalize()} {done}."]
    if tally.in_flight:
        sentences.append(f"{number(tally.in_flight)} under way: done when that attempt ends.")
    if tally.unchanged:
        sentences.append(
            f"{number(tally.unchanged)} left as before: they were so already, or cannot be in the state they are in."
        )
    return " ".join(sentences)


def _deliveries(count: int) -> str:
    return some(count, "delivery", "deliveries")
