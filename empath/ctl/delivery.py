"""
The verbs about rate limits and circuit breakers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.delivery import (
    CircuitRow,
    ListCircuits,
    ListRateLimits,
    RateLimits,
    ResetCircuit,
    SetRateLimit,
)
from empath.ctl.errors import NotThere
from empath.ctl.listing import Cells, Listing, paged, show
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.wording import Times


@verb("empathctl delivery rate-limits")
def rate_limits(tool: Tool) -> None:
    """
    List the rates that destinations are held to.
    """
    tool.answer(ListRateLimits(), limits)


def limits(answer: RateLimits) -> RenderableType:
    """
    List them.
    """
    from empath.ctl.tables import table

    rows = [
        ("all mail together", answer.overall, ""),
        ("each destination", answer.default, ""),
        *((row.domain, row.rate, _origin(row.set_here, row.configured)) for row in answer.limits),
    ]
    return table(("destination", "rate", "origin"), rows)


def _origin(set_here: bool, configured: str) -> str:
    return f"set by hand; configured: {configured or 'none'}" if set_here else ""


@verb(
    """
    empathctl delivery set-rate-limit example.org 10/s
    empathctl delivery set-rate-limit example.org none
    empathctl delivery set-rate-limit example.org reset
    """
)
@click.argument("domain")
@click.argument("rate")
def set_rate_limit(tool: Tool, domain: str, rate: str) -> None:
    """
    Have a destination keep to a rate, such as 10/s, 200/min or 5000/h.

    "none" is for no limit, "reset" for the configured one. It holds across restarts until it is reset.
    """
    tool.answer(SetRateLimit(domain, None if rate == "reset" else rate), limits)


@verb(
    """
    empathctl delivery circuits
    empathctl delivery circuits --troubled
    """
)
@click.option("--troubled", is_flag=True, help="Only sites whose breaker is not closed, or that are shaped.")
@paged(100)
def circuits(tool: Tool, troubled: bool, limit: int, after: str) -> None:
    """
    List the sites that mail goes to, with their breakers and what shaping allows them.
    """
    show(tool, ListCircuits(troubled, after=after), limit, LISTING)


def cells(row: CircuitRow, times: Times) -> Cells:
    """
    Make a line of a site.
    """
    from empath.ctl.colours import state
    from empath.ctl.wording import number

    return (
        row.site,
        state(row.state),
        times.relative(row.until) if row.until else "",
        number(row.in_flight),
        "" if row.connections is None else number(row.connections),
        "" if row.rate is None else f"{row.rate:g}/s",
        ", ".join(row.domains),
    )


LISTING = Listing[CircuitRow](
    "circuits",
    ("site", "breaker", "until", ">under way", ">at a time", ">rate", "domains"),
    cells,
    "No such site is remembered.",
)


@verb("empathctl delivery reset-circuit example.org")
@click.argument("domain")
def reset_circuit(tool: Tool, domain: str) -> None:
    """
    Let mail flow to a site as if it had never failed; DOMAIN is its name, or a domain there.
    """
    answer = tool.ask(ResetCircuit(domain))
    if not answer.known:
        raise NotThere(f"no site is remembered for {domain}: see 'empathctl delivery circuits'")
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"Mail flows to {domain} as if it had never failed.")
