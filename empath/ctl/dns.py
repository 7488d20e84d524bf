"""
The verbs about the DNS cache, and the hosts that are set by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from empath.control.terms.dns import (
    CachedAnswer,
    ClearCache,
    DnsStats,
    GetDnsStats,
    ListCache,
    ListOverrides,
    Overrides,
    RefreshDomain,
    RemoveOverride,
    SetOverride,
)
from empath.ctl.errors import NotThere, Usage
from empath.ctl.listing import Cells, Listing, paged, show
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.wording import Times


@verb(
    """
    empathctl dns list-cache
    empathctl dns list-cache --domain example.org
    """
)
@click.option("--domain", default="", metavar="D", help="Only this name, and those below it.")
@paged(100)
def list_cache(tool: Tool, domain: str, limit: int, after: str) -> None:
    """
    List the DNS answers that are kept.

    LEFT is how long an answer counts; one that is stale stands in only while no server answers.
    """
    show(tool, ListCache(domain, after=after), limit, LISTING)


def cells(row: CachedAnswer, times: Times) -> Cells:
    """
    Make a line of an answer.
    """
    from empath.ctl.colours import plain
    from empath.ctl.wording import span

    return (
        row.name,
        row.rdtype,
        row.found,
        plain("stale", "yellow") if row.stale else span(round(row.ttl)) if row.ttl >= 1 else "0s",
        row.security,
        ", ".join(row.records),
    )


LISTING = Listing[CachedAnswer](
    "answers", ("name", "type", "found", ">left", "security", "records"), cells, "Nothing is cached."
)


@verb("empathctl dns stats")
def stats(tool: Tool) -> None:
    """
    Tell how the cache and the servers fare, in numbers since the start.
    """
    tool.answer(GetDnsStats(), lambda answer: figures(answer, tool.times))


def figures(answer: DnsStats, times: Times) -> RenderableType:
    """
    Tell the numbers.
    """
    from empath.ctl.tables import pairs
    from empath.ctl.wording import number

    return pairs(
        (
            ("cached", f"{number(answer.size)} of at most {number(answer.limit)} answers"),
            ("hits", f"{number(answer.hits)} ({answer.hit_ratio:.1%})"),
            ("misses", number(answer.misses)),
            ("evicted", number(answer.evictions)),
            ("refreshed", number(answer.refreshes)),
            ("stood in while stale", number(answer.stand_ins)),
            ("servers", ", ".join(answer.servers) or "none"),
            ("last answer", times.both(answer.last_answer) if answer.last_answer else "none yet"),
            ("dnssec", answer.dnssec),
        )
    )


@verb(
    """
    empathctl dns clear-cache
    empathctl dns clear-cache example.org
    """
)
@click.argument("domain", default="")
def clear_cache(tool: Tool, domain: str) -> None:
    """
    Forget all answers, or those of a domain and the names below it.
    """
    from empath.ctl.wording import some

    answer = tool.ask(ClearCache(domain))
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"Forgot {some(answer.cleared, 'answer')}.")


@verb("empathctl dns refresh example.org")
@click.argument("domain")
def refresh(tool: Tool, domain: str) -> None:
    """
    Ask the servers again for a domain's MX records and the addresses of its hosts.
    """
    from empath.ctl.tables import table

    if not domain.strip():
        raise Usage("an empty name is no domain: say whose answers are to be asked for again")
    tool.answer(
        RefreshDomain(domain),
        lambda answer: table(LISTING.titles, [cells(row, tool.times) for row in answer.answers]),
    )


@verb("empathctl dns list-overrides")
def list_overrides(tool: Tool) -> None:
    """
    List the hosts that were set by hand in place of a domain's MX records.
    """
    tool.answer(ListOverrides(), overrides)


def overrides(answer: Overrides) -> RenderableType:
    """
    List them.
    """
    from empath.ctl.tables import table

    if not answer.overrides:
        return "No hosts were set by hand."
    return table(("domain", "hosts"), [(row.domain, ", ".join(row.hosts)) for row in answer.overrides])


@verb(
    """
    empathctl dns set-override example.org mx.backup.example:2525
    empathctl dns set-override example.org first.example second.example
    """
)
@click.argument("domain")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST[:PORT]...")
def set_override(tool: Tool, domain: str, hosts: tuple[str, ...]) -> None:
    """
    Send a domain's mail to these hosts, tried in their order, without looking at its MX records.

    It holds across restarts until it is removed.
    """
    tool.answer(SetOverride(domain, _separate(hosts)), overrides)


def _separate(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for host in hosts for part in host.replace(",", " ").split())


@verb("empathctl dns remove-override example.org")
@click.argument("domain")
def remove_override(tool: Tool, domain: str) -> None:
    """
    Let a domain's mail go by its MX records and the configuration again.
    """
    answer = tool.ask(RemoveOverride(domain))
    if not answer.changed:
        raise NotThere(f"no hosts were set by hand for {domain}: see 'empathctl dns list-overrides'")
    tool.show(answer, overrides)
