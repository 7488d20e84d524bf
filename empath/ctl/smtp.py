"""
The verbs about SMTP as it is spoken now, but for `smtp trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.smtp import KillSession, ListSessions, LiveSession
from empath.ctl.errors import NotThere
from empath.ctl.listing import Cells, Listing, paged, show
from empath.ctl.tool import Tool, only
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from empath.ctl.wording import Times


@verb(
    """
    empathctl smtp connections
    empathctl smtp connections --peer 192.0.2.7
    empathctl smtp connections --limit 0 --json
    """
)
@click.option("--peer", default="", metavar="ADDRESS", help="Only of this client.")
@paged(100)
def connections(tool: Tool, peer: str, limit: int, after: str) -> None:
    """
    List the clients that are connected, and what each is doing.

    Idle is since the client said anything; in and out are octets.
    """
    show(tool, ListSessions(peer, after=after), limit, LISTING)


def cells(row: LiveSession, times: Times) -> Cells:
    """
    Make a line of a session.
    """
    from empath.ctl.colours import joined, plain
    from empath.ctl.wording import number, octets

    transaction = f"<{row.sender}> to {row.recipients}" if row.sender or row.recipients else ""
    login = f"logged in as {row.login}" if row.login else ""
    return (
        row.session,
        f"[{row.peer}]:{row.port}" if row.port else f"[{row.peer}]",
        row.state,
        f"{_seconds(row.seconds)} / {_seconds(row.idle)}",
        f"{octets(row.octets_in)} / {octets(row.octets_out)}",
        number(row.messages),
        plain(number(row.errors), "red" if row.errors else ""),
        joined(*(plain(part) for part in (row.name, row.kind, row.tls, login, transaction))),
    )


def _seconds(seconds: float) -> str:
    from empath.ctl.wording import span

    return span(round(seconds)) if seconds >= 1 else "0s"


LISTING = Listing[LiveSession](
    "sessions",
    ("session", "peer", "state", ">age / idle", ">in / out", ">mails", ">errors", "client"),
    cells,
    "No client is connected.",
)


@verb(
    """
    empathctl smtp kill 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl smtp kill --peer 192.0.2.7
    """
)
@click.argument("session", default="")
@click.option("--peer", default="", metavar="ADDRESS", help="All sessions of this client.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def kill(tool: Tool, session: str, peer: str, yes: bool) -> None:
    """
    End a session, or all of a client.

    Mail that was answered with 250 is kept; a transaction under way is lost, and the client sends it again.
    """
    only((session, peer), "say which session, or --peer and whose")
    if peer:
        tool.confirm(f"End all sessions of {peer}?", yes)
    killed = tool.ask(KillSession(session, peer))
    if not killed.sessions:
        raise NotThere(f"{session or peer} has no session here: see 'empathctl smtp connections'")
    if tool.json:
        tool.write_json(killed)
        return
    for each in killed.sessions:
        tool.say(f"{each} ended.")
