"""
Modules in the service: what they are given, and which there are without being configured.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import attrs

from empath.config.schema import Config, Module
from empath.config.units import Options
from empath.interfaces import InThread
from empath.modules.host import Sections
from empath.modules.services import Surroundings
from empath.observe.metrics.totals import Metrics
from empath.service.machine import Machine
from empath.service.outgoing import Outgoing
from empath.storage import Storages

FILE: Final = "storage.sqlite"  # what modules store, in the spool's folder
RECIPIENTS: Final = "recipients"  # the module that knows who is known


def sections_of(config: Config) -> Sections:
    """
    Tell the sections of all modules, with their places in the file.

    `relay.recipients` is a module of its own behind all others, aliases among them, unless it is configured: "verify",
    or a file, which must not refuse who is only an alias.
    """
    sections = [(f"modules[{at}]", section) for at, section in enumerate(config.modules)]
    source = config.relay.recipients
    if config.relay.domains and source != "any" and not verifies(config):
        sections.append(("relay.recipients", Module(factory=RECIPIENTS, options=Options({"source": source}))))
    return sections


def in_force(config: Config, sections: Sections) -> Config:
    """
    Give a configuration with the modules of `sections`: those that it names may still start, or have failed to.
    """
    modules = tuple(section for place, section in sections if place.startswith("modules["))
    return config if modules == config.modules else attrs.evolve(config, modules=modules)


def verifies(config: Config) -> bool:
    """
    Tell whether the module that knows recipients is configured.
    """
    return any(section.factory == RECIPIENTS for section in config.modules)


def make_storages(config: Config, reactor: Any, machine: Machine, in_thread: InThread[Any]) -> Any:
    """
    Make what modules store in: beside the spool, and as durable.
    """
    if config.spool.backend == "memory":
        return machine.memory_storages(in_thread, reactor)
    return Storages(os.path.join(config.spool.path, FILE), in_thread, reactor)


def make_surroundings(
    config: Config, folder: Path, reactor: Any, machine: Machine, metrics: Metrics, outgoing: Outgoing, storages: Any
) -> Surroundings:
    """
    Put together what modules are given.
    """
    return Surroundings(
        hostname=config.hostname,
        reactor=reactor,
        chance=machine.chance,
        domains=frozenset(config.relay.domains),
        folder=folder,
        counts=metrics.modules.of,
        storages=storages,
        lookup=outgoing.resolver.lookup,
        verify=outgoing.smtp_agent.verify,
        workers=machine.workers,
        routed=outgoing.routing.leads_to,
    )
