"""
The service inside a process: its log, its signals, its exit codes.

Fatal, with exit code 1 and one critical log line: whatever keeps the service from starting, such as a busy port or a
locked spool. SIGTERM and SIGINT stop it gracefully, with exit code 0; SIGHUP and SIGUSR1 never end it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs
from twisted.application.service import IService, MultiService
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from empath import __version__
from empath.config.load import Loaded
from empath.errors import EmpathError
from empath.log_output import LogFile, Syslog
from empath.observe.logging import make_observer

STANDARD_OUTPUT: Final = 1
EXPECTED: Final = (EmpathError, CannotListenError, OSError)

log = Logger()

Handler = Callable[[int, FrameType | None], None]


@attrs.frozen(slots=True)
class Launch:
    """
    How twistd was asked to run us.

    `log_file` is None for standard output, `syslog_prefix` None unless the log goes to syslog, `pid_file` "" for none.
    """

    foreground: bool
    log_file: str | None
    syslog_prefix: str | None
    pid_file: str


class Program(MultiService):
    """
    The top service: the MTA itself in what twistd and the operating system expect around it.
    """

    def __init__(
        self,
        loaded: Loaded,
        service: IService,
        launch: Launch,
        reactor: Any,
        install: Callable[[int, Handler], object] = signal.signal,
    ) -> None:
        super().__init__()
        self._loaded = loaded
        self._launch = launch
        self._reactor = reactor
        self._install = install
        self._output: LogFile | None = None
        self._stopping = False
        service.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """
        Take our place in twistd's Application and give it our log observer: makeService sees no Application yet.
        """
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer())
        super().setServiceParent(parent)

    def _observer(self) -> ILogObserver:
        """
        Make the log observer that [log], --logfile and --syslog ask for.
        """
        make = partial(make_observer, self._loaded.config.log)
        if self._launch.syslog_prefix is not None:
            return Syslog(self._launch.syslog_prefix, make)
        if self._launch.log_file is None:
            self._output = LogFile(None, os.dup(STANDARD_OUTPUT))
        else:
            self._output = _opened(self._launch.log_file)
        return make(self._output.write)

    def privilegedStartService(self) -> None:
        """
        Bind, while there still may be privileges to do it.
        """
        self._say_what_runs()
        self._or_exit(super().privilegedStartService)

    def startService(self) -> None:
        """
        Start, after the fork and without privileges; from then on, signals are ours.
        """
        self._or_exit(super().startService)
        self._reactor.callWhenRunning(self._take_signals)

    def _say_what_runs(self) -> None:
        """
        Log the version, and the configuration or that there is none.
        """
        log.info("empath {version}, hostname {name}", version=__version__, name=self._loaded.config.hostname)
        if self._loaded.path is not None:
            log.info("configuration: {path}", path=str(self._loaded.path))
            return
        log.warn(
            "no configuration found, so development defaults: loopback only, state in {state}, and nothing leaves "
            "this machine: all mail is delivered to the maildir {mail}",
            state=str(Path(self._loaded.config.spool.path).parent),
            mail=self._loaded.config.delivery.domains["*"].path,
        )

    def _or_exit(self, start: Callable[[], object]) -> None:
        """
        Run a part of the start; its failure is one critical line and exit code 1.

        A daemon has to raise the failure itself: the shell that waits for it would never hear of SystemExit.
        """
        try:
            start()
        except Exception as trouble:
            _log_failure(trouble)
            if not self._launch.foreground:
                raise
            if self._launch.pid_file:
                Path(self._launch.pid_file).unlink(missing_ok=True)  # twistd removes it for an Exception only
            raise SystemExit(1) from trouble

    def _take_signals(self) -> None:
        """
        Replace the reactor's handlers, with which twistd would end by the signal, and not with exit code 0.
        """
        for number, answer in (
            (signal.SIGTERM, self._stop),
            (signal.SIGINT, self._stop),
            (signal.SIGHUP, self._refuse_reload),
            (signal.SIGUSR1, self._reopen_log),
        ):
            self._install(number, partial(self._answer, answer))

    def _answer(self, answer: Callable[[str], None], number: int, frame: FrameType | None) -> None:
        """
        Let the reactor answer a signal, as soon as it can.
        """
        self._reactor.callFromThread(answer, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        """
        Begin the graceful stop, once.
        """
        if self._stopping:
            log.info("{signal}: already stopping", signal=name)
            return
        self._stopping = True
        log.info("{signal}: stopping", signal=name)
        self._reactor.stop()

    def _refuse_reload(self, name: str) -> None:
        """
        Say that the configuration was not read again; the service runs on.
        """
        log.warn("{signal}: this release cannot reload its configuration; restart empath to apply it", signal=name)

    def _reopen_log(self, name: str) -> None:
        """
        Open the log file again.
        """
        if self._output is not None:
            self._output.reopen()
        log.info("{signal}: log file opened again", signal=name)


def _log_failure(trouble: Exception) -> None:
    """
    Log why there was no start: one line for what an operator can mend, a traceback for a fault of our own.
    """
    if isinstance(trouble, EXPECTED):
        log.critical("cannot start: {reason}", reason=" ".join(str(trouble).split()) or type(trouble).__name__)
    else:
        log.failure("cannot start, by a fault of empath's own")


def _opened(path: str) -> LogFile:
    """
    Open a log file, or leave with one line.
    """
    try:
        return LogFile(os.path.abspath(path))
    except OSError as trouble:
        sys.exit(f"empath: the log file {path} cannot be opened: {trouble.strerror}")
