"""
`empathctl route`: what would happen to mail for an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from empath.control.terms.delivery import LookUpRoute, RouteAnswer
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.wording import Times


@verb(
    """
    empathctl route someone@example.org
    empathctl route someone@example.org --json
    """
)
@click.argument("address")
def route(tool: Tool, address: str) -> None:
    """
    Tell what would happen to mail for an address.

    How its recipient is judged at RCPT, where its mail goes and by which hosts, with which TLS, under which limits, and
    what would hold it now. Asks DNS, but connects to nobody and sends nothing.
    """
    tool.answer(LookUpRoute(address), lambda answer: routed(answer, tool.times))


def routed(answer: RouteAnswer, times: Times) -> RenderableType:
    """
    Tell the way.
    """
    from empath.ctl.tables import pairs

    return pairs(_rows(answer, times))


def _rows(answer: RouteAnswer, times: Times) -> Iterator[tuple[str, RenderableType]]:
    from rich.console import Group
    from rich.text import Text

    from empath.ctl.colours import address, joined, plain

    yield "address", joined(address(answer.address), plain("suppressed" if answer.suppressed else "", "bold red"))
    yield "at RCPT", plain(answer.accepted)
    by_hand = Text("set by hand", "yellow") if answer.override else Text()
    yield "destination", joined(plain(answer.domain), plain(answer.strategy), plain(answer.route), by_hand)
    if answer.site:
        yield "site", plain(answer.site)
    if answer.hosts:
        yield "hosts", hosts(answer)
    if answer.limits:
        yield "limits", joined(*(plain(f"{name} {value}") for name, value in answer.limits.items()))
    if answer.hold is not None:
        until = f", until {times.both(answer.hold.until)}" if answer.hold.until else ""
        yield "held now", plain(f"{answer.hold.why}: {answer.hold.detail}{until}", "yellow")
    if answer.notes:
        yield "notes", Group(*(plain(note) for note in answer.notes))


def hosts(answer: RouteAnswer) -> RenderableType:
    """
    List the hosts in the order in which they would be tried.
    """
    from empath.ctl.colours import plain
    from empath.ctl.tables import table

    rows = [
        (
            "" if host.preference is None else str(host.preference),
            f"{host.host}:{host.port}" if host.port else host.host,
            ", ".join(host.addresses) or plain("no address", "yellow"),
            f"{host.tls} ({host.demanded_by})" if host.demanded_by else host.tls,
            plain(host.trouble, "red"),
        )
        for host in answer.hosts
    ]
    return table((">preference", "host", "addresses", "tls", "trouble"), rows)
