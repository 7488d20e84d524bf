"""
The verbs about addresses and senders whose mail is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.safety import (
    Changed,
    ListStopped,
    ListSuppressed,
    ReleaseSender,
    StoppedSenders,
    StopSender,
    Suppress,
    SuppressedPage,
    SuppressedRow,
    Unsuppress,
)
from empath.ctl.errors import NotThere
from empath.ctl.listing import Cells, Listing, paged, show
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.wording import Times


@verb("empathctl suppression list --limit 0")
@paged(100)
def list_suppressed(tool: Tool, limit: int, after: str) -> None:
    """
    List the addresses that get no mail of ours.
    """
    show(tool, ListSuppressed(after=after), limit, LISTING)


def cells(row: SuppressedRow, times: Times) -> Cells:
    """
    Make a line of an address.
    """
    return row.address, times.relative(row.since) if row.since else "", row.why, row.detail


def unused(answer: SuppressedPage | Changed) -> str:
    """
    Say that the list has no effect, where that is so.
    """
    return "" if answer.in_use else "The list is not in use: [delivery.suppression] enabled is false."


LISTING = Listing[SuppressedRow](
    "addresses", ("address", "since", "why", "detail"), cells, "No address is suppressed.", unused
)


@verb("empathctl suppression add someone@example.org --why 'asked to be left alone'")
@click.argument("address")
@click.option("--why", default="", metavar="TEXT", help="Kept with it.")
def suppress(tool: Tool, address: str, why: str) -> None:
    """
    Send an address no more mail.
    """
    answer = tool.ask(Suppress(address, why))
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"<{address}> is suppressed." if answer.changed else f"<{address}> was suppressed before.")
    _warn(tool, answer)


@verb("empathctl suppression remove someone@example.org")
@click.argument("address")
def unsuppress(tool: Tool, address: str) -> None:
    """
    Send an address mail again.
    """
    answer = tool.ask(Unsuppress(address))
    if not answer.changed:
        raise NotThere(f"<{address}> is not suppressed: see 'empathctl suppression list'")
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"<{address}> is suppressed no more.")
    _warn(tool, answer)


def _warn(tool: Tool, answer: Changed) -> None:
    if unused(answer):
        tool.note(unused(answer))


@verb("empathctl senders list")
def list_stopped(tool: Tool) -> None:
    """
    List the logins and senders whose mail is held and refused.
    """
    tool.answer(ListStopped(), lambda answer: stopped(answer, tool.times))


def stopped(answer: StoppedSenders, times: Times) -> RenderableType:
    """
    List them.
    """
    from empath.ctl.tables import table

    if not answer.senders:
        return "No sender is stopped."
    rows = [
        (row.sender, row.state, times.relative(row.since) if row.since else "", row.detail) for row in answer.senders
    ]
    return table(("sender", "state", "since", "why"), rows)


@verb(
    """
    empathctl senders stop login:newsletter --why 'password stolen'
    empathctl senders stop someone@example.org
    """
)
@click.argument("sender")
@click.option("--why", default="", metavar="TEXT", help="Kept with it.")
def stop(tool: Tool, sender: str, why: str) -> None:
    """
    Hold and refuse the mail of a login, written login:NAME, or of a sender's address.

    It holds across restarts until the sender is released.
    """
    tool.answer(StopSender(sender, why), lambda answer: stopped(answer, tool.times))


@verb("empathctl senders release login:newsletter")
@click.argument("sender")
def release(tool: Tool, sender: str) -> None:
    """
    Let a login or sender go on, with the mail that was held.
    """
    answer = tool.ask(ReleaseSender(sender))
    if not answer.changed:
        raise NotThere(f"{sender} is not stopped: see 'empathctl senders list'")
    tool.show(answer, lambda left: stopped(left, tool.times))
