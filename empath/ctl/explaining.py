"""
The verb that explains a message.
"""

from __future__ import annotations

import click

from empath.control.terms.explaining import Explain
from empath.ctl.completing import queue_ids
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb


@verb(
    """
    empathctl queue explain 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue explain 01JD3X5Q8VWZ0RNTB2M4C6E8GA --json
    """
)
@click.argument("queue_id", metavar="ID", shell_complete=queue_ids)
def explain(tool: Tool, queue_id: str) -> None:
    """
    Tell a message's whole life and its next step.

    How it came and who judged it, each recipient, each attempt, what holds it now and until when, where it goes next,
    when it expires. Of a message that is gone the audit trail tells.
    """
    from empath.ctl.story import explained

    tool.answer(Explain(queue_id), lambda explanation: explained(explanation, tool.times))
