"""
What `twistd empath` reads before it runs: its options and the configuration.

Fatal, with exit code 1: a configuration with any fault, one line each on standard error. What the running process
answers to is in `process.py`.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.endpoints import serverFromString
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from empath import __version__
from empath.config.load import VARIABLE, Loaded, find_and_load
from empath.config.values import Surroundings
from empath.errors import ConfigError

if TYPE_CHECKING:
    from empath.process import Launch, Program

SWITCH_INTERVAL: Final = 0.0005  # seconds; the writer thread hands over sooner: +12 % with a message a connection
GC_THRESHOLDS: Final = (20_000, 20, 50)  # a message makes hundreds of objects, hardly any of them in cycles
TWISTD_PIDFILE: Final = "twistd.pid"
TWISTD_PREFIX: Final = "twisted"


class Options(UsageOptions):
    """
    What may stand behind `twistd empath`.
    """

    synopsis = "[--config FILE]"
    optParameters = [  # noqa: N815, RUF012  # so named and so typed by Twisted
        [
            "config",
            "c",
            None,
            f"The configuration file. Default: ${VARIABLE}, ./empath.toml, /etc/empath/empath.toml, "
            "else development defaults.",
        ],
    ]
    longdesc = (
        "A mail transfer agent. SIGTERM or SIGINT: stop gracefully. SIGHUP: read the configuration again. "
        "SIGUSR1: open the log file again."
    )

    @property
    def twistd(self) -> UsageOptions:
        """
        The options of twistd itself; TypeError where it is not twistd that parses us.
        """
        if self.parent is None:
            raise TypeError("these are options of twistd's subcommand empath")
        return self.parent

    def opt_version(self) -> None:
        """
        Display empath's version and exit.
        """
        print(f"empath {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """
        Replace twistd's default pid file, which would let only one instance run in a folder.

        In the foreground there is none; a daemon's is named after its configuration file.
        """
        if self.twistd["pidfile"] == TWISTD_PIDFILE:
            self.twistd["pidfile"] = "" if self.foreground else f"{self.instance_name}.pid"
        if self.twistd["logfile"] == "-" and not self.foreground:
            raise UsageError("a daemon has no standard output to log to: give --logfile a file, or use -n")

    @property
    def foreground(self) -> bool:
        """
        Whether twistd stays in the foreground.
        """
        return bool(self.twistd["nodaemon"] or self.twistd["debug"])

    @property
    def instance_name(self) -> str:
        """
        The name of the configuration file without its ending, "empath" where there is none.
        """
        return Path(self["config"] or os.environ.get(VARIABLE) or "empath").stem

    def launch(self) -> Launch:
        """
        Gather what twistd's own options mean for us.
        """
        from empath.process import Launch

        path, prefix = self.twistd["logfile"], self.twistd["prefix"]
        if path == "-":
            path = None
        elif path is None and not self.foreground:
            path = f"{self.instance_name}.log"
        return Launch(
            foreground=self.foreground,
            log_file=path,
            syslog_prefix=("empath" if prefix == TWISTD_PREFIX else prefix) if self.twistd["syslog"] else None,
            pid_file=self.twistd["pidfile"],
        )


def surroundings(reactor: Any) -> Surroundings:
    """
    Describe this machine to the configuration.
    """
    return Surroundings(
        folder=Path.cwd(),
        environ=os.environ,
        hostname=socket.getfqdn,
        parse_endpoint=partial(serverFromString, reactor),
    )


def read_configuration(given: str | None, around: Surroundings) -> Loaded:
    """
    Read the configuration that applies, or leave with a line for each of its faults and exit code 1.
    """
    try:
        return find_and_load(given, around)
    except ConfigError as trouble:
        sys.exit("\n".join(trouble.problems))


def folder_of(loaded: Loaded) -> Path:
    """
    Tell where the configuration is from, and let modules be imported from there, after all that is installed.
    """
    folder = Path.cwd() if loaded.path is None else loaded.path.absolute().parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


def refuse_platform(platform: str) -> None:
    """
    Leave with one line where there is no POSIX.
    """
    if platform == "win32":
        sys.exit("empath runs on POSIX systems only: Windows has no fork, flock or fsync of folders")


def makeService(options: Options) -> Program:
    """
    Read the configuration and build the service that it describes; called by twistd.
    """
    refuse_platform(sys.platform)
    from twisted.internet import reactor  # only now: twistd's --reactor comes first

    from empath.notify import Supervisor
    from empath.process import Program
    from empath.service import build
    from empath.service.configuration import Origin, held_by

    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    around = surroundings(reactor)
    loaded = read_configuration(options["config"], around)
    again = attrs.evolve(around, held=held_by(loaded.config))
    origin = Origin(loaded.path, partial(find_and_load, options["config"], again), again, loaded.written)
    try:
        service = build(loaded.config, reactor, folder=folder_of(loaded), origin=origin)
    except ConfigError as trouble:
        sys.exit("\n".join(loaded.named(trouble.problems)))
    return Program(loaded, service, options.launch(), reactor, supervisor=Supervisor(os.environ, reactor))
