"""
The service inside a process: its log, its signals, its exit codes.

Fatal, with exit code 1 and one critical log line: whatever keeps the service from starting, such as a busy port, a
locked spool or a module that does not start. SIGTERM and SIGINT stop it gracefully, with exit code 0; SIGHUP and
SIGUSR1 never end it: a configuration that cannot be used is logged, and the one before stays.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from empath import __version__
from empath.config.again import Outcome, read_again
from empath.config.load import Loaded
from empath.errors import EmpathError
from empath.log_output import MARKS, LogFile, Syslog, is_journal
from empath.notify import Supervisor
from empath.observe.logs.lines import LineObserver, make_observer

STANDARD_OUTPUT: Final = 1
EXPECTED: Final = (EmpathError, CannotListenError, OSError)

log = Logger()

Handler = Callable[[int, FrameType | None], None]


class Logs(Protocol):
    """
    What the service has to do with its log.
    """

    def follow(self, observer: LineObserver) -> None:
        """
        Have this one write as the service wants it, now and from now on.
        """


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


class Mta(Protocol):
    """
    The service itself, as the process knows it; see `EmpathService`.
    """

    starting: Deferred[None] | None
    spool: Any

    @property
    def logs(self) -> Logs:
        """
        The log.
        """

    def setServiceParent(self, parent: Any) -> object:
        """
        See IService.
        """

    def reload(self) -> Outcome:
        """
        Read the configuration again and use it. ConfigError, and nothing is changed, if it cannot be used.
        """


def leave_with(code: int) -> None:
    """
    Make this the exit code of the process, once twistd has ended it: 0 is all that twistd knows after a stop.
    """
    atexit.register(_leave, code)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Program(MultiService):
    """
    The top service: the MTA itself in what twistd and the operating system expect around it.

    `install` installs a signal's handler, `leave` sets the exit code, `supervisor` tells systemd how we fare.
    """

    def __init__(
        self,
        loaded: Loaded,
        service: Mta,
        launch: Launch,
        reactor: Any,
        install: Callable[[int, Handler], object] = signal.signal,
        leave: Callable[[int], None] = leave_with,
        supervisor: Supervisor | None = None,
    ) -> None:
        super().__init__()
        self._supervisor = supervisor or Supervisor({}, reactor)
        self._service = service
        self._leave = leave
        self._loaded, self._launch = loaded, launch
        self._reactor = reactor
        self._install = install
        self._output: LogFile | None = None
        self._stopping = False
        self._unanswered: set[int] = set()
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
        write, marks = self._opened_log()
        observer = make_observer(self._loaded.config.log, write, marks)
        self._service.logs.follow(observer)
        return observer

    def _opened_log(self) -> tuple[Callable[[str], None], Mapping[str, str]]:
        """
        Open what --logfile and --syslog ask for; give how to write to it, and the marks that lines have there.
        """
        if self._launch.syslog_prefix is not None:
            return Syslog(self._launch.syslog_prefix).write, MARKS
        if self._launch.log_file is not None:
            self._output = _opened(self._launch.log_file)
            return self._output.write, {}
        self._output = LogFile(None, os.dup(STANDARD_OUTPUT))
        return self._output.write, MARKS if is_journal(STANDARD_OUTPUT, os.environ) else {}

    def privilegedStartService(self) -> None:
        """
        Bind, while there still may be privileges to do it. From now on no SIGHUP ends us: it is answered when we run.
        """
        self._take_signals({signal.SIGHUP: self._reload, signal.SIGUSR1: self._reopen_log})
        self._say_what_runs()
        self._or_exit(super().privilegedStartService)

    def startService(self) -> None:
        """
        Start, after the fork and without privileges. The handlers of the reactor, which begins later, are replaced:
        with them twistd would end by the signal, and not with exit code 0.
        """
        self._or_exit(super().startService)
        started = partial(self._supervisor.started, lambda: self._service.spool.probe())
        if self._service.starting is not None:
            self._service.starting.addCallbacks(started, self._not_started)
        else:
            self._reactor.callWhenRunning(started)
        ending = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop}
        self._reactor.callWhenRunning(partial(self._take_signals, ending))

    def _not_started(self, failure: Failure) -> None:
        """
        What took its time has failed: one critical line, and an end with exit code 1.
        """
        if self._stopping:
            return
        self._stopping = True
        _log_failure(failure.value, failure)
        self._leave(1)
        self._reactor.callWhenRunning(self._reactor.stop)

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

    def _take_signals(self, answers: Mapping[signal.Signals, Callable[[str], None]]) -> None:
        """
        Have these signals answered so.
        """
        for number, answer in answers.items():
            self._install(number, partial(self._answer, answer))

    def _answer(self, answer: Callable[[str], None], number: int, frame: FrameType | None) -> None:
        """
        Let the reactor answer a signal, as soon as it can; until then more of the same are one.
        """
        if number not in self._unanswered:
            self._unanswered.add(number)
            self._reactor.callFromThread(self._answer_now, answer, number)

    def _answer_now(self, answer: Callable[[str], None], number: int) -> None:
        self._unanswered.discard(number)  # before it is answered: what comes meanwhile is another one
        answer(signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        """
        Begin the graceful stop, once.
        """
        if self._stopping:
            log.info("{signal}: already stopping", signal=name, log_answer=True)
            return
        self._stopping = True
        log.info("{signal}: stopping", signal=name)
        self._reactor.stop()

    def _reload(self, name: str) -> None:
        """
        Read the configuration again, and use what can be used while we run; if anything is wrong with it, say so and go
        on as before.
        """
        if self._stopping:
            log.info("{signal}: already stopping, so the configuration is not read again", signal=name)
            return
        self._supervisor.reloading()
        read_again(name, self._service.reload)
        self._supervisor.reloaded()

    def _reopen_log(self, name: str) -> None:
        """
        Open the log file again.
        """
        trouble = "there is none" if self._output is None else self._output.reopen()
        if trouble:
            log.warn("{signal}: the log file is not opened again: {why}", signal=name, why=trouble, log_answer=True)
        else:
            log.info("{signal}: log file opened again", signal=name, log_answer=True)


def _log_failure(trouble: BaseException | None, failure: Failure | None = None) -> None:
    """
    Log why there was no start: one line for what an operator can mend, a traceback for a fault of our own.
    """
    if isinstance(trouble, EXPECTED):
        log.critical("cannot start: {reason}", reason=" ".join(str(trouble).split()) or type(trouble).__name__)
    else:
        log.failure("cannot start, by a fault of empath's own", failure)


def _opened(path: str) -> LogFile:
    """
    Open a log file, or leave with one line.
    """
    try:
        return LogFile(os.path.abspath(path))
    except OSError as trouble:
        sys.exit(f"empath: the log file {path} cannot be opened: {trouble.strerror}")
