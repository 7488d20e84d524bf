"""
The verb that follows SMTP dialogues as they are spoken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.smtp import FollowDialogues, TraceEnd, TraceLine
from empath.ctl.tool import Tool, only
from empath.ctl.verbs import verb
from empath.ctl.wording import number, some

if TYPE_CHECKING:
    from rich.text import Text


@verb(
    """
    empathctl smtp trace --peer 192.0.2.0/24
    empathctl smtp trace --domain example.org --lines 200
    empathctl smtp trace --id 01JD3X5Q8VWZ0RNTB2M4C6E8GA --seconds 60 --json
    """
)
@click.option("--peer", metavar="A", default="", help="With this address, or those of a network.")
@click.option("--domain", metavar="D", default="", help="Deliveries to it, and sessions whose mail names it.")
@click.option("--id", "identity", metavar="ID", default="", help="Of a session, or of a message by its queue id.")
@click.option("--lines", type=click.IntRange(min=0), default=0, help="End after so many; 0: go on.")
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, help="End after so many; 0: go on.")
def trace(tool: Tool, peer: str, domain: str, identity: str, lines: int, seconds: float) -> None:
    """
    Follow dialogues from now on, both directions, until ^C.

    `>` is what empath said, `<` what the peer said. Secrets are masked, and of content only its size is told. With
    --json each line is an object, the first one, "began", when it is followed, and the last one tells how many there
    were.
    """
    only((peer, domain, identity), "Trace what? Give one of --peer, --domain and --id.")
    follow(tool, FollowDialogues(peer, domain, identity, lines, seconds))


def follow(tool: Tool, request: FollowDialogues) -> None:
    """
    Show each line as it comes.
    """
    came = 0

    def show(line: TraceLine) -> None:
        nonlocal came
        began = line.event == "began"
        came += not began
        if tool.json:
            tool.write_json(line, line=True)
        elif began:
            tool.note("Following; ^C ends it.")
            tool.around.err.flush()
        else:
            tool.write(drawn(line, tool))
            tool.around.out.flush()

    try:
        end = tool.client.follow(request, show)
    except KeyboardInterrupt:
        end = TraceEnd(came, 0)  # what was left out is not told to whoever hangs up
    if tool.json:
        tool.write_json(end, line=True)
        return
    left_out = f", {number(end.dropped)} left out because they came too fast" if end.dropped else ""
    tool.note(f"{some(end.lines, 'line')}{left_out}.".capitalize())


def drawn(line: TraceLine, tool: Tool) -> Text:
    """
    Draw a line of a dialogue.
    """
    from rich.text import Text

    from empath.ctl.colours import plain, reply

    when = line.time.astimezone(tool.times.zone).strftime("%H:%M:%S.%f")[:-3]
    head = Text.assemble((when, "dim"), "  ", plain(line.connection, "dim"), "  ")
    if line.event != "line":
        other = "client" if line.side == "server" else "server"
        named = f"{line.event} {other} {line.peer}" if line.event == "opened" else line.event
        return Text.assemble(head, plain(f"* {named}", "bold"), plain(f" {line.text}" if line.text else ""))
    replies = line.from_us == (line.side == "server")
    said = reply(line.text) if replies else plain(line.text, "bold")
    return Text.assemble(head, "> " if line.from_us else "< ", said)
