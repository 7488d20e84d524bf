"""
From what a test says to the configuration of an MTA in memory.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.endpoints import serverFromString

from empath.config.load import parse_config
from empath.config.schema import Audit, Config, Health, Metrics, Module, Smtp
from empath.config.units import HOUR, Folder, seconds
from empath.config.values import Surroundings

DNS_SERVER: Final = "192.0.2.53"
RARELY: Final = seconds(12 * HOUR)  # the timers of the queue and the spool are exact without these rounds


def settings(
    text: str,
    hostname: str,
    domains: Sequence[str],
    modules: tuple[Module, ...],
    folder: Path,
    reactor: Any,
    logins: bool = False,
) -> Config:
    """
    Read `text` as empath.toml, and fill in what it leaves open so that nothing outside of memory is touched.

    Modules that the text names come first, then `modules`. With `logins` each listener takes them, in the clear too.
    """
    around = Surroundings(folder, os.environ, lambda: hostname, lambda endpoint: serverFromString(reactor, endpoint))
    config = parse_config(text, "the test's configuration", around)
    said = tomllib.loads(text)
    return attrs.evolve(
        config,
        modules=(*config.modules, *modules),
        smtp=_taking_logins(config.smtp) if logins else config.smtp,
        relay=_filled(config.relay, said.get("relay", {}), domains=tuple(domains), recipients="any"),
        spool=attrs.evolve(config.spool, backend="memory"),
        metrics=Metrics(enabled=False),
        health=Health(enabled=False),
        control_socket=Folder(""),
        audit=Audit(enabled=False),
        delivery=_delivery(config, said.get("delivery", {})),
    )


def _taking_logins(section: Smtp) -> Smtp:
    listeners = [
        attrs.evolve(each, auth=True if each.auth is None and each.kind == "mta" else each.auth, auth_cleartext=True)
        for each in section.listeners
    ]
    return attrs.evolve(section, listeners=tuple(listeners))


def _delivery(config: Config, said: Mapping[str, Any]) -> Any:
    section = config.delivery
    dns = _filled(section.dns, said.get("dns", {}), eviction_interval=RARELY)
    return _filled(
        attrs.evolve(section, dns=attrs.evolve(dns, servers=(DNS_SERVER,))),
        said,
        process_interval=RARELY,
        cleanup_interval=RARELY,
        expiry_interval=RARELY,
    )


def _filled(section: Any, said: Mapping[str, Any], **values: Any) -> Any:
    """
    Put values in for the keys that were not said.
    """
    return attrs.evolve(section, **{key: value for key, value in values.items() if key not in said})
