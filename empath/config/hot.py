"""
What of another configuration can be used while the service runs, and why the rest waits for a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from empath.config.schema import Config

RESTART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hostname": "mail under way, modules and connections go by the name that they began with",
        "control_socket": "the socket is taken when empath starts",
        "audit.enabled": "the trail is opened when empath starts",
        "audit.path": "the trail is opened when empath starts",
        "spool.backend": "the spool is opened when empath starts",
        "spool.path": "the spool is opened when empath starts",
        "delivery.max_cleanup_attempts": "the spool is opened with it",
    }
)
_FOLLOW_HOSTNAME: Final = ("delivery.dsn.reporting_mta", "delivery.dsn.postmaster")
_FOLLOWS: Final = "its default follows hostname, which only a restart applies"


def usable(now: Config, wanted: Config) -> Config:
    """
    Give `wanted` with what `now` has of all that only a restart applies.
    """
    for path in waiting(now, wanted):
        wanted = _with(wanted, path.split("."), now)
    return wanted


def waiting(now: Config, wanted: Config) -> dict[str, str]:
    """
    Tell by key what changed in `wanted` and waits for a restart, and why. What only the machine knows, such as a port
    that may not be bound any more, is not among it.
    """
    why = dict(RESTART)
    if now.hostname != wanted.hostname:
        why |= dict.fromkeys(_FOLLOW_HOSTNAME, _FOLLOWS)
    if ("file" in now.audit.sinks) != ("file" in wanted.audit.sinks):
        why["audit.sinks"] = "the file of the trail is opened when empath starts"
    return {path: said for path, said in why.items() if _value(now, path) != _value(wanted, path)}


def _value(config: Config, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _with(section: Any, names: list[str], source: Any) -> Any:
    """
    Give a section with one key as another one has it.
    """
    name, *rest = names
    old = getattr(source, name)
    return attrs.evolve(section, **{name: _with(getattr(section, name), rest, old) if rest else old})
