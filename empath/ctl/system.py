"""
The verbs about the program as a whole.
"""

from __future__ import annotations

from empath.control.terms.system import Ping
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb


@verb(
    """
    empathctl system ping
    empathctl system ping --socket /run/empath/control.sock --timeout 1
    """
)
def ping(tool: Tool) -> None:
    """
    Ask whether anybody is there.

    Tells who answers. The exit code is 69 if nobody does.
    """
    pong = tool.ask(Ping())
    if tool.json:
        tool.write_json(pong)
    else:
        tool.say(f"empath {pong.version} on {pong.hostname} answers (process {pong.pid}, protocol {pong.protocol}).")
