"""
Which verbs there are, and where: a module is imported when its verb is run, or its group's help is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import click

from empath.ctl.errors import Unread
from empath.ctl.verbs import GlobalGroup

_SYSTEM: Final = MappingProxyType(
    {
        "ping": "empath.ctl.system:ping",
        "status": "empath.ctl.system:status",
        "top": "empath.ctl.top:top",
        "reload-config": "empath.ctl.system:reload_config",
        "set-log-level": "empath.ctl.system:set_log_level",
    }
)
_QUEUE: Final = MappingProxyType(
    {
        "list": "empath.ctl.queue:list_queue",
        "view": "empath.ctl.queue:view",
        "explain": "empath.ctl.explaining:explain",
        "count": "empath.ctl.queue:count",
        "retry": "empath.ctl.managing:retry",
        "delete": "empath.ctl.managing:delete",
        "bounce": "empath.ctl.managing:bounce",
        "hold": "empath.ctl.managing:hold",
        "release": "empath.ctl.managing:release",
        "freeze": "empath.ctl.managing:freeze",
        "unfreeze": "empath.ctl.managing:unfreeze",
        "stats": "empath.ctl.queue:stats",
        "process-now": "empath.ctl.managing:process_now",
    }
)
_SMTP: Final = MappingProxyType(
    {
        "connections": "empath.ctl.smtp:connections",
        "kill": "empath.ctl.smtp:kill",
        "trace": "empath.ctl.tracing:trace",
    }
)
_DNS: Final = MappingProxyType(
    {
        "list-cache": "empath.ctl.dns:list_cache",
        "stats": "empath.ctl.dns:stats",
        "clear-cache": "empath.ctl.dns:clear_cache",
        "refresh": "empath.ctl.dns:refresh",
        "list-overrides": "empath.ctl.dns:list_overrides",
        "set-override": "empath.ctl.dns:set_override",
        "remove-override": "empath.ctl.dns:remove_override",
    }
)
_DELIVERY: Final = MappingProxyType(
    {
        "rate-limits": "empath.ctl.delivery:rate_limits",
        "set-rate-limit": "empath.ctl.delivery:set_rate_limit",
        "circuits": "empath.ctl.delivery:circuits",
        "reset-circuit": "empath.ctl.delivery:reset_circuit",
    }
)
_SPOOL: Final = MappingProxyType(
    {
        "list": "empath.ctl.spool:list_spool",
        "view": "empath.ctl.spool:view",
        "stats": "empath.ctl.spool:stats",
        "verify": "empath.ctl.spool:verify",
        "cleanup-completed": "empath.ctl.spool:cleanup_completed",
    }
)
_SUPPRESSION: Final = MappingProxyType(
    {
        "list": "empath.ctl.safety:list_suppressed",
        "add": "empath.ctl.safety:suppress",
        "remove": "empath.ctl.safety:unsuppress",
    }
)
_SENDERS: Final = MappingProxyType(
    {
        "list": "empath.ctl.safety:list_stopped",
        "stop": "empath.ctl.safety:stop",
        "release": "empath.ctl.safety:release",
    }
)
_CONFIG: Final = MappingProxyType(
    {
        "check": "empath.ctl.config:check",
        "show": "empath.ctl.config:show",
        "diff": "empath.ctl.config:diff",
        "schema": "empath.ctl.config:print_schema",
    }
)
_AUDIT: Final = MappingProxyType({"verify": "empath.ctl.audit:verify", "find": "empath.ctl.audit:find"})

GROUPS: Final = MappingProxyType(
    {
        "system": ("The program as a whole: is it up, how is it, reload, log level.", _SYSTEM),
        "queue": ("Mail that waits: look at it, explain it, move it.", _QUEUE),
        "smtp": ("SMTP as it is spoken now.", _SMTP),
        "dns": ("The DNS cache, and hosts set by hand.", _DNS),
        "delivery": ("Rate limits and circuit breakers.", _DELIVERY),
        "spool": ("What is stored.", _SPOOL),
        "suppression": ("Addresses that get no mail of ours.", _SUPPRESSION),
        "senders": ("Logins and senders that are stopped.", _SENDERS),
        "config": ("The configuration: check, show, compare.", _CONFIG),
        "audit": ("The audit trail.", _AUDIT),
        "auth": ("Passwords.", MappingProxyType({"hash": "empath.ctl.auth:make_hash"})),
    }
)
ALONE: Final = MappingProxyType(
    {
        "route": ("empath.ctl.route:route", "What would happen to mail for an address; sends nothing."),
        "completion": ("empath.ctl.completion:completion", "Print what makes a shell complete our words."),
    }
)


class LazyGroup(GlobalGroup):
    """
    A group whose verbs are imported when they are needed.
    """

    def __init__(self, name: str, summary: str, places: Mapping[str, str]) -> None:
        super().__init__(name, help=summary, short_help=summary)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        Name the verbs in the order of the table.
        """
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        Import one.
        """
        place = self._places.get(cmd_name)
        return None if place is None else imported(place, cmd_name)


class Root(GlobalGroup):
    """
    All of it; the help names the groups without importing any.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        Name the groups, and the verbs that stand alone.
        """
        return [*GROUPS, *ALONE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        Make a group, or import a verb.
        """
        if cmd_name in GROUPS:
            return LazyGroup(cmd_name, *GROUPS[cmd_name])
        return imported(ALONE[cmd_name][0], cmd_name) if cmd_name in ALONE else None

    def invoke(self, ctx: click.Context) -> Any:
        """
        Run the verb. Unread when nobody reads its output any more: click would make an exit code of it, and not ours.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as closed:
            raise Unread from closed

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Tell what each is for, without importing it.
        """
        rows = [(name, summary) for name, (summary, _) in GROUPS.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*rows, *((name, summary) for name, (_, summary) in ALONE.items())])


def imported(place: str, name: str) -> click.Command:
    """
    Import a verb, written "module:function".
    """
    module, _, function = place.partition(":")
    command = getattr(import_module(module), function)
    if not isinstance(command, click.Command):
        raise TypeError(f"{place} is no verb")
    command.name = name
    return command
