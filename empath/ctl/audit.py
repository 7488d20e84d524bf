"""
The verbs about the audit trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.config import AuditRecords, FindInAudit
from empath.ctl.errors import Exit, NotThere
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from empath.audit.verifying import Finding, Verification


@verb(
    """
    empathctl audit find 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl audit find 01JD3X5Q8VWZ0RNTB2M4C6E8GA --json
    """
)
@click.argument("queue_id", metavar="ID")
def find(tool: Tool, queue_id: str) -> None:
    """
    Tell what the audit trail has of a message, whether it is still in the queue or not.
    """
    answer = tool.ask(FindInAudit(queue_id))
    if not answer.records:
        raise NotThere(f"the audit trail has nothing of {queue_id}")
    tool.show(answer, lambda found: recorded(tool, found))


def recorded(tool: Tool, answer: AuditRecords) -> RenderableType:
    """
    Tell the records.
    """
    from rich.console import Group

    from empath.ctl.auditing import told

    more = ["There are more than can be told here."] if answer.more else []
    return Group(told(answer.records, tool.times), *more)


@verb(
    """
    empathctl audit verify /var/log/empath/audit.jsonl
    empathctl audit verify /var/log/empath/audit.jsonl --anchor 5f2c…  # a hash noted elsewhere must be in it
    """
)
@click.argument("file")
@click.option("--anchor", default="", metavar="HASH", help="A hash that must be in the trail.")
@click.pass_context
def verify(ctx: click.Context, tool: Tool, file: str, anchor: str) -> None:
    """
    Check that no record of an audit trail was changed, removed, moved or added since it was written.

    FILE is the one that is written now, and stands for all that were rotated before it, or a rotated one by itself.
    Needs no running MTA. The exit code is 1 if anything is wrong. Somebody who may write the files could write the
    whole trail anew: note the hash that this prints elsewhere now and then, and give it as --anchor later.
    """
    from empath.audit.verifying import verify

    path = tool.around.folder / file
    watched = tool.errors.is_terminal and not tool.json
    found = _with_progress(tool, path, anchor) if watched else verify(path, anchor)
    tool.show(found, verified)
    if not found.sound:
        ctx.exit(Exit.REFUSED)


def _with_progress(tool: Tool, path: Path, anchor: str) -> Verification:
    from empath.audit.verifying import verify
    from empath.ctl.watching import bar

    with bar(tool) as shown:
        task = shown.add_task("Verifying files", total=None)
        return verify(path, anchor, lambda done, total: shown.update(task, completed=done, total=total))


def verified(found: Verification) -> RenderableType:
    """
    Tell what was found.
    """
    from rich.console import Group

    from empath.ctl.colours import plain
    from empath.ctl.tables import table
    from empath.ctl.wording import number, some

    pieces: list[RenderableType] = []
    records = some(found.records, "record")
    if found.findings:
        rows = [(_place(each), number(each.seq), each.what) for each in found.findings]
        pieces += [table(("where", ">record", "what"), rows), plain("")]
        count = some(len(rows), "finding")
        pieces.append(plain(f"{f'More than {count}' if found.more else count} in {records}.", "bold red"))
    else:
        pieces.append(plain(f"{records} in {some(len(found.files), 'file')}, as written.", "green"))
    pieces += [plain(note) for note in found.notes]
    pieces.append(plain(f"The trail ends with record {found.last.seq}, hash {found.last.hash}"))
    return Group(*pieces)


def _place(found: Finding) -> str:
    return f"{found.file}:{found.line}" if found.line else found.file
