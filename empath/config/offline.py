"""
What can be asked of a configuration file without a service: whether it can be used, and what is different in two.

Files that it names are looked at as far as reading the configuration needs them; whether certificates, keys and modules
can be used is seen when the service is made.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import attrs

from empath.config.hot import waiting
from empath.config.load import Loaded, find_and_load, parse_config
from empath.config.schema import Config
from empath.config.values import Surroundings
from empath.config.written import changed


@attrs.frozen(slots=True)
class Difference:
    """
    A key whose value is another one, as TOML writes both ("" where there is none), secrets masked. `restart` tells why
    only a restart applies it, "" where it is used at once.
    """

    key: str
    old: str
    new: str
    restart: str = ""


def here() -> Surroundings:
    """
    Describe this machine; paths are resolved against the working directory.
    """
    return Surroundings(Path.cwd(), os.environ, socket.getfqdn, _parse_endpoint)


def check(path: str | None, around: Surroundings) -> Loaded:
    """
    Read the file at `path`, or where None the one that empath would use. ConfigError tells all that is wrong with it.
    """
    return find_and_load(path, around)


def check_text(text: str, path: Path, around: Surroundings) -> Config:
    """
    Read the text of a file that is, or could be, at `path`. ConfigError tells all that is wrong with it.
    """
    return parse_config(text, str(path), attrs.evolve(around, folder=path.absolute().parent))


def compare(now: Config, wanted: Config) -> tuple[Difference, ...]:
    """
    Tell every key that is different, in the order of the schema.
    """
    why = waiting(now, wanted)
    return tuple(Difference(each.key, each.old, each.new, why.get(each.key, "")) for each in changed(now, wanted))


def _parse_endpoint(text: str) -> object:
    from twisted.internet.endpoints import serverFromString  # only now: it takes its time

    return serverFromString(None, text)  # nobody listens
