"""
A machine for configuration tests.
"""

from __future__ import annotations

from pathlib import Path

from empath.config.load import parse_config
from empath.config.schema import Config
from empath.config.values import Surroundings
from empath.errors import ConfigError

KINDS = frozenset({"tcp", "tcp6", "ssl", "unix", "systemd"})


def parse_endpoint(text: str) -> None:
    """
    Know some kinds of endpoints, as Twisted does.
    """
    if text.partition(":")[0] not in KINDS:
        raise ValueError(f"Unknown endpoint type: {text.partition(':')[0]!r}")


def machine(folder: str = "/etc/empath", hostname: str = "mx.example.org", **environ: str) -> Surroundings:
    """
    Make the surroundings of a file in `folder`, on a machine called `hostname`.
    """
    return Surroundings(Path(folder), environ, lambda: hostname, parse_endpoint)


def read(text: str, around: Surroundings | None = None) -> Config:
    """
    Read a file that is called empath.toml.
    """
    return parse_config(text, "empath.toml", around or machine())


def problems(text: str, around: Surroundings | None = None) -> list[str]:
    """
    Tell what is wrong with a file, without the name of the file.
    """
    try:
        read(text, around)
    except ConfigError as trouble:
        return [problem.removeprefix("empath.toml: ") for problem in trouble.problems]
    return []
