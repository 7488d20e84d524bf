"""
The verbs about what is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.spool import (
    CleanUpCompleted,
    Content,
    GetSpoolStats,
    ListSpool,
    ReadContent,
    SpoolStats,
    StoredMessage,
    Verified,
    VerifySpool,
    ViewStored,
)
from empath.ctl.completing import queue_ids
from empath.ctl.errors import Exit, Usage
from empath.ctl.listing import Cells, Listing, paged, show
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb
from empath.observe.logs.escaping import escaped

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.wording import Times


@verb(
    """
    empathctl spool list
    empathctl spool list --limit 0 --json
    """
)
@paged(50)
def list_spool(tool: Tool, limit: int, after: str) -> None:
    """
    List the messages that are stored, oldest first.
    """
    show(tool, ListSpool(after=after), limit, LISTING)


def cells(row: StoredMessage, times: Times) -> Cells:
    """
    Make a line of a message.
    """
    from empath.ctl.colours import joined, state
    from empath.ctl.wording import number, octets

    deliveries = [joined(domain, state(status), by=" ") for domain, status in row.deliveries.items()]
    return (
        row.queue_id,
        times.relative(row.received),
        octets(row.size),
        f"<{row.sender}>",
        number(row.recipients),
        joined(*deliveries),
        row.file or "database",
    )


LISTING = Listing[StoredMessage](
    "messages",
    ("queue id", "received", ">size", "sender", ">recipients", "deliveries", "content"),
    cells,
    "Nothing is stored.",
)


@verb(
    """
    empathctl spool view 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl spool view 01JD3X5Q8VWZ0RNTB2M4C6E8GA --raw > message.eml
    """
)
@click.argument("queue_id", metavar="ID", shell_complete=queue_ids)
@click.option("--raw", is_flag=True, help="Print the message as it would be sent, and nothing else.")
def view(tool: Tool, queue_id: str, raw: bool) -> None:
    """
    Show a stored message.

    On a terminal, --raw escapes what would drive it; into a file or pipe it gives each octet as it is.
    """
    if raw:
        _raw(tool, queue_id)
        return
    from empath.ctl.viewing import viewed

    tool.answer(ViewStored(queue_id), lambda message: viewed(message, tool.times))


def _raw(tool: Tool, queue_id: str) -> None:
    """
    Write content piece by piece.
    """
    if tool.json:
        raise Usage("--raw is the message as it is, and no JSON: leave out one of --raw and --json")
    out, on_terminal = tool.around.out, tool.around.out.isatty()

    def write(piece: Content) -> None:
        if on_terminal:
            lines = piece.octets.decode("utf-8", "backslashreplace").replace("\r\n", "\n").split("\n")
            out.write("\n".join(escaped(line.replace("\t", "    ")) for line in lines))
        else:
            out.flush()
            out.buffer.write(piece.octets)

    tool.client.follow(ReadContent(queue_id), write)
    if not on_terminal:
        out.buffer.flush()


@verb("empathctl spool stats")
def stats(tool: Tool) -> None:
    """
    Tell how much is stored, and how much room is left.
    """
    tool.answer(GetSpoolStats(), figures)


def figures(answer: SpoolStats) -> RenderableType:
    """
    Tell the numbers.
    """
    from empath.ctl.colours import joined, plain, state
    from empath.ctl.tables import pairs
    from empath.ctl.wording import number, octets, some

    deliveries = [joined(number(count), state(status), by=" ") for status, count in answer.deliveries.items() if count]
    low = answer.free < answer.min_free
    room = plain(f"{octets(answer.free)}; mail is refused below {octets(answer.min_free)}", "bold red" if low else "")
    return pairs(
        (
            ("backend", f"{answer.backend}, version {answer.version}"),
            ("path", answer.path),
            ("messages", number(answer.messages)),
            ("deliveries", joined(*deliveries) if deliveries else "none"),
            ("taken up", f"{octets(answer.octets)}: pages of the database that are in use, and content files"),
            ("files", f"{number(answer.files)} with {octets(answer.file_octets)}"),
            ("database", f"{octets(answer.database_octets)}, and {octets(answer.wal_octets)} in its log"),
            ("free", room),
            ("orphans", some(answer.orphans, "file")),
            ("cleanup", f"{number(answer.cleanup_waiting)} waiting, {number(answer.deletion_failures)} failed"),
        )
    )


@verb("empathctl spool verify")
@click.pass_context
def verify(ctx: click.Context, tool: Tool) -> None:
    """
    Check the database, and that every message has its content and nothing else is there.

    Changes nothing. The exit code is 1 if anything is not as it has to be.
    """
    answer = tool.follow(VerifySpool(), "Checking", lambda piece: (piece.checked, piece.total))
    tool.show(answer, checked)
    if answer.faults:
        ctx.exit(Exit.REFUSED)


def checked(answer: Verified) -> RenderableType:
    """
    Tell what was found.
    """
    from rich.console import Group

    from empath.ctl.colours import plain
    from empath.ctl.tables import table
    from empath.ctl.wording import some, span

    looked = (
        f"Checked {some(answer.messages, 'message')}, {some(answer.deliveries, 'delivery', 'deliveries')} and "
        f"{some(answer.files, 'file')} in {span(answer.seconds)}"
    )
    if not answer.faults:
        return plain(f"{looked}: all is as it has to be.", "green")
    rows = [(fault.kind, fault.name, fault.detail) for fault in answer.faults]
    found = plain(f"{looked}: {some(len(rows), 'fault')}.", "bold red")
    return Group(found, table(("fault", "of", "detail"), rows))


@verb(
    """
    empathctl spool cleanup-completed
    empathctl spool cleanup-completed --yes
    """
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def cleanup_completed(tool: Tool, yes: bool) -> None:
    """
    Delete mail now that was delivered and kept.
    """
    from empath.ctl.wording import number, some

    count = tool.ask(GetSpoolStats()).deliveries.get("completed", 0)
    if count:
        tool.confirm(f"Delete {some(count, 'completed delivery', 'completed deliveries')}?", yes)
    answer = tool.follow(CleanUpCompleted(), "Deleting", lambda piece: (piece.deleted, count))
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"Deleted {number(answer.deleted)}.")
