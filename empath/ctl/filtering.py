"""
Which mail is meant: the id of a message, or a FILTER, as all verbs about the queue take them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from empath.control.terms.queue import Filter
from empath.ctl.completing import destinations, queue_ids, senders
from empath.ctl.errors import Usage
from empath.policy.quantity import DURATION_UNITS, LONGEST, read_amount

STATUSES: Final = ("pending", "in-progress", "retry", "held", "failed", "expired", "completed")


class Age(click.ParamType[float]):
    """
    A duration as in the configuration: "30s" "5m" "24h" "5d", or seconds.
    """

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """
        Give it in seconds.
        """
        if isinstance(value, float):
            return value
        amount = read_amount(int(value) if value.isascii() and value.isdigit() else value, DURATION_UNITS)
        if amount is None or amount > LONGEST:
            self.fail(f"{value!r} is no duration such as 30s, 5m, 24h or 5d", param, ctx)
        return float(amount)


def filtered(function: Callable[..., None]) -> Callable[..., None]:
    """
    Give a verb an ID that may be left out, and the options of a FILTER; `chosen` makes a Filter of them.
    """
    for decorate in reversed(
        (
            click.argument("queue_id", metavar="[ID]", required=False, shell_complete=queue_ids),
            click.option("--status", type=click.Choice(STATUSES), help="In this state."),
            click.option("--domain", metavar="D", help="To this destination.", shell_complete=destinations),
            click.option("--site", metavar="S", help="To destinations served by this site."),
            click.option(
                "--sender", metavar="A", help="From this address; <> is the null sender.", shell_complete=senders
            ),
            click.option("--recipient", metavar="A", help="With this recipient."),
            click.option("--login", metavar="L", help="Handed in under this login."),
            click.option("--older-than", type=Age(), metavar="T", help="Queued longer ago: 30s, 5m, 24h, 5d."),
            click.option("--all", "everything", is_flag=True, help="All mail."),
        )
    ):
        function = decorate(function)
    return function


def chosen(everything: bool = False, **fields: Any) -> Filter | None:
    """
    Make a Filter of what was given; None if that was nothing.
    """
    for name, value in fields.items():
        if isinstance(value, str) and not value.strip():
            raise Usage(
                f"{name.replace('_', ' ')}: nothing is named so"
                + (": the null sender is '<>'" if name == "sender" else "")
            )
    if fields.get("sender") == "<>":
        fields["sender"] = ""
    if not everything and all(value is None for value in fields.values()):
        return None
    return Filter(**fields, all=everything)


def required(**fields: Any) -> Filter:
    """
    Make a Filter of what was given; Usage if that was nothing: nobody means all mail by saying nothing.
    """
    made = chosen(**fields)
    if made is None:
        raise Usage("Which mail? Name the id of a message or a filter; --all means all mail.")
    return made


def described(selection: Filter) -> str:
    """
    Say what a Filter chooses, to follow a noun: "to example.org, older than 2h".
    """
    from empath.ctl.wording import span

    words = {
        "of message {}": selection.queue_id,
        "in state {}": selection.status,
        "to {}": selection.domain,
        "to site {}": selection.site,
        "from <{}>": selection.sender,
        "for <{}>": selection.recipient,
        "of login {}": selection.login,
        "older than {}": None if selection.older_than is None else span(selection.older_than),
    }
    parts = [phrase.format(value) for phrase, value in words.items() if value is not None]
    return ", ".join(parts) or "in the whole queue"
