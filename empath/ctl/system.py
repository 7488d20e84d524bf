"""
The verbs about the program as a whole.
"""

from __future__ import annotations

from typing import Final

import click

from empath.control.terms.system import GetStatus, Ping, Reload, SetLogLevel
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb, watched

LEVELS: Final = ("debug", "info", "warn", "error", "critical")


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


@verb(
    """
    empathctl system status
    empathctl system status --watch
    empathctl system status --json
    """
)
@watched
def status(tool: Tool, watch: bool, interval: float) -> None:
    """
    Tell on one page how it is.

    What an operator should look at stands last, and what was set by hand.
    """
    from empath.ctl.standing import stands

    if watch:
        tool.watch(GetStatus(), stands, interval)
    else:
        tool.answer(GetStatus(), lambda status: stands(status, tool.times))


@verb(
    """
    empathctl config diff /etc/empath/empath.toml
    empathctl system reload-config
    """
)
def reload_config(tool: Tool) -> None:
    """
    Read the configuration again, and use it.

    Validated as a whole: if anything is wrong with it, nothing changes, and every problem is told. Keys that only a
    restart applies are named.
    """
    from empath.ctl.standing import reloaded

    tool.answer(Reload(), reloaded)


@verb(
    """
    empathctl system set-log-level debug
    empathctl system set-log-level reset
    """
)
@click.argument("level", type=click.Choice([*LEVELS, "reset"]))
def set_log_level(tool: Tool, level: str) -> None:
    """
    Log at another level, across restarts, until it is reset to the configured one.
    """
    now = tool.ask(SetLogLevel(None if level == "reset" else level))
    if tool.json:
        tool.write_json(now)
    elif now.level == now.configured:
        tool.say(f"Logging at {now.level}, as configured.")
    else:
        tool.say(f"Logging at {now.level}; configured is {now.configured}. 'set-log-level reset' goes back to it.")
