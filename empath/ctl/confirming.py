"""
Asking before what cannot be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from empath.ctl.errors import CtlError, Usage
from empath.observe.logs.escaping import escaped

if TYPE_CHECKING:
    from empath.ctl.tool import Tool


class Declined(CtlError):
    """
    The operator said no.
    """

    kind = "declined"


def confirm(tool: Tool, question: str, yes: bool) -> None:
    """
    Ask "question [y/N]" on standard error and read a line; anything but a yes declines.
    """
    if yes:
        return
    if not tool.asks:
        raise Usage("nobody can be asked here whether this is meant: say --yes if it is")
    tool.around.err.write(escaped(f"{question} [y/N] "))
    tool.around.err.flush()
    if tool.around.typed.readline().strip().lower() not in ("y", "yes"):
        raise Declined("nothing was done")
