"""
The verbs about the audit trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from empath.control.terms.config import AuditRecords, FindInAudit
from empath.ctl.errors import NotThere
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType


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
