"""
The verbs about the program as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from empath.control.terms.system import GetStatus, LogLevel, Ping, Reload, SetLogLevel
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
    empathctl system set-log-level debug --namespace empath.dns
    empathctl system set-log-level reset
    """
)
@click.argument("level", type=click.Choice([*LEVELS, "reset"]))
@click.option("--namespace", default="", metavar="N", help="Only what this module or package, and all below it, say.")
def set_log_level(tool: Tool, level: str, namespace: str) -> None:
    """
    Log at another level, across restarts, until it is reset to the configured one.

    A namespace is what JSON records have under that name, such as empath.dns, or what is above it. One that has a level
    of its own keeps it when that of all others changes.
    """
    now = tool.ask(SetLogLevel(None if level == "reset" else level, namespace))
    if tool.json:
        tool.write_json(now)
        return
    for line in told_levels(now):
        tool.say(line)


def told_levels(now: LogLevel) -> Iterator[str]:
    """
    Tell the levels in force.
    """
    if now.level == now.configured:
        yield f"Logging at {now.level}, as configured."
    else:
        yield f"Logging at {now.level}; configured is {now.configured}. 'set-log-level reset' goes back to it."
    for each in now.namespaces:
        if each.by_hand:
            back = f"'set-log-level reset --namespace {each.namespace}' goes back to it"
            yield f"{each.namespace} logs at {each.level}; configured is {each.configured}. {back}."
        else:
            yield f"{each.namespace} logs at {each.level}, as configured."
