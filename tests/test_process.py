"""
Requirements on the service inside a process: log output, signals, failing starts, options.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.application.service import Application, IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, LogLevel, capturedLogs, formatEvent
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from empath.config.again import Outcome
from empath.config.load import Loaded, development_config
from empath.config.schema import Config
from empath.errors import ConfigError, ModuleError, SpoolLocked
from empath.observe.logs.lines import LineObserver
from empath.process import Handler, Launch, Program
from empath.program import Options, refuse_platform
from tests.config.fakes import machine


class FakeReactor:
    """
    Runs at once what a reactor would run soon, and records being stopped.
    """

    def __init__(self) -> None:
        self.stopped = 0
        self.busy = False
        self.waiting: list[Callable[[], object]] = []

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        call()

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        """
        Call it, once we are not busy any more.
        """
        self.waiting.append(partial(call, *arguments))
        while self.waiting and not self.busy:
            self.waiting.pop(0)()

    def stop(self) -> None:
        self.stopped += 1


class FakeService(Service):
    """
    Records what is asked of it, and refuses to start where it is told to.
    """

    def __init__(self, trouble: Exception | None = None, starting: Deferred[None] | None = None) -> None:
        self.trouble = trouble
        self.starting = starting
        self.asked: list[str] = []
        self.configs: list[Config] = []
        self.refused: list[str] = []
        self.restart: dict[str, str] = {}
        self.reread: Callable[[], Loaded]
        self.logs = FakeLogs()
        self.spool = None

    def reload(self) -> Outcome:
        loaded = self.reread()
        if self.refused:
            raise ConfigError(loaded.named(self.refused))
        self.configs.append(loaded.config)
        return Outcome((), self.restart, str(loaded.path or ""))

    def privilegedStartService(self) -> None:
        self.asked.append("bind")

    def startService(self) -> None:
        self.asked.append("start")
        if self.trouble is not None:
            raise self.trouble


class FakeLogs:
    """
    Keeps who writes.
    """

    def __init__(self) -> None:
        self.observers: list[LineObserver] = []

    def follow(self, observer: LineObserver) -> None:
        self.observers.append(observer)


class ProcessCase(SynchronousTestCase):
    """
    Makes programs whose signals go into a dictionary.
    """

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.handlers: dict[int, Handler] = {}
        self.codes: list[int] = []
        self.read: list[Loaded | Exception] = []
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()

    def reread(self) -> Loaded:
        """
        Give the next of `read`.
        """
        found = self.read.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def program(
        self, service: FakeService, foreground: bool = True, log_file: str | None = None, pid_file: str = ""
    ) -> Program:
        """
        Make a program with development defaults.
        """
        loaded = Loaded(development_config(machine(str(self.folder))), None)
        launch = Launch(foreground, log_file, None, pid_file)
        leave = self.codes.append
        service.reread = self.reread
        return Program(loaded, service, launch, self.reactor, self.handlers.__setitem__, leave)


class StartTests(ProcessCase):
    """
    How it starts, or does not.
    """

    def test_binds_before_it_starts(self) -> None:
        """
        The service is bound while privileged and started afterwards; then signals are ours. Those that would end a
        process which knows nothing of them are before.
        """
        service = FakeService()
        program = self.program(service)
        program.privilegedStartService()
        self.assertEqual((service.asked, set(self.handlers)), (["bind"], {signal.SIGHUP, signal.SIGUSR1}))
        program.startService()
        self.assertEqual(service.asked, ["bind", "start"])
        self.assertEqual(set(self.handlers), {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1})

    def test_says_that_nothing_leaves_the_machine(self) -> None:
        """
        Development defaults are said in the log, as a warning.
        """
        with capturedLogs() as events:
            self.program(FakeService()).privilegedStartService()
        warned = [event["log_format"] for event in events if event["log_level"] is LogLevel.warn]
        self.assertIn("nothing leaves", "".join(warned))

    def test_a_failing_start_is_one_critical_line_and_exit_code_1(self) -> None:
        """
        In the foreground, for what an operator can mend; the pid file goes.
        """
        busy = CannotListenError("127.0.0.1", 1025, OSError(98, "Address already in use"))
        for trouble in (busy, SpoolLocked("the spool is open\nelsewhere"), PermissionError(13, "Permission denied")):
            pid_file = self.folder / "empath.pid"
            pid_file.write_text("1")
            with capturedLogs() as events, self.assertRaises(SystemExit) as left:
                self.program(FakeService(trouble), pid_file=str(pid_file)).startService()
            self.assertEqual((left.exception.code, pid_file.exists()), (1, False))
            self.assertEqual([event["log_level"] for event in events], [LogLevel.critical])
            self.assertNotIn("\n", events[0]["reason"])
        self.assertEqual(self.handlers, {})

    def test_a_module_that_takes_its_time_and_fails(self) -> None:
        """
        One critical line, an end, and exit code 1.
        """
        for trouble in (ModuleError("module test: start: no"), ZeroDivisionError()):
            starting: Deferred[None] = Deferred()
            with capturedLogs() as events:
                self.program(FakeService(starting=starting)).startService()
                self.assertEqual((self.codes, self.reactor.stopped), ([], 0))
                starting.errback(trouble)
            self.assertEqual([event["log_level"] for event in events], [LogLevel.critical])
            self.assertEqual((self.codes.pop(), self.reactor.stopped), (1, 1))
            self.reactor.stopped = 0
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_module_that_is_stopped_while_it_starts(self) -> None:
        """
        Is no failure.
        """
        starting: Deferred[None] = Deferred()
        self.program(FakeService(starting=starting)).startService()
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        starting.cancel()
        self.assertEqual((self.codes, self.reactor.stopped), ([], 1))

    def test_a_daemon_raises_what_kept_it_from_starting(self) -> None:
        """
        The shell that waits for the daemon would never hear of SystemExit.
        """
        with capturedLogs() as events:
            self.assertRaises(SpoolLocked, self.program(FakeService(SpoolLocked("x")), foreground=False).startService)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.critical])

    def test_a_fault_of_our_own_leaves_its_traceback(self) -> None:
        """
        What no operator can mend is logged as the bug that it is.
        """
        self.assertRaises(SystemExit, self.program(FakeService(ZeroDivisionError())).startService)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_windows_is_refused(self) -> None:
        """
        With one line.
        """
        with self.assertRaises(SystemExit) as left:
            refuse_platform("win32")
        self.assertNotIn("\n", str(left.exception.code))
        refuse_platform("linux")


class SignalTests(ProcessCase):
    """
    What it answers to.
    """

    def setUp(self) -> None:
        super().setUp()
        self.log_file = self.folder / "a.log"
        self.service = FakeService()
        self.started = self.program(self.service, log_file=str(self.log_file))
        self.application = Application("empath")
        self.started.setServiceParent(self.application)
        service = IService(self.application)
        service.privilegedStartService()
        service.startService()

    def test_stops_once(self) -> None:
        """
        SIGTERM and SIGINT stop the reactor; another one while it stops changes nothing.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            self.handlers[number](number, None)
        self.assertEqual(self.reactor.stopped, 1)

    def hang_up(self) -> list[tuple[LogLevel, str]]:
        """
        Send SIGHUP; tells levels and texts of what is logged.
        """
        with capturedLogs() as events:
            self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual(self.reactor.stopped, 0)
        return [(event["log_level"], formatEvent(event)) for event in events]

    def test_reads_its_configuration_again(self) -> None:
        """
        SIGHUP is no end: what can be used is, and the rest is named.
        """
        config = development_config(machine(str(self.folder)))
        self.read = [Loaded(config, Path("/etc/empath.toml")), Loaded(config, None)]
        ((level, text),) = self.hang_up()
        self.assertEqual((level, text), (LogLevel.info, "SIGHUP: configuration read again: /etc/empath.toml"))
        self.assertEqual(self.service.configs, [config])
        self.service.restart = {"hostname": "that is why", "spool.path": "the spool is open"}
        (_, *told) = self.hang_up()
        texts = [f"SIGHUP: only a restart applies {key}: {why}" for key, why in self.service.restart.items()]
        self.assertEqual(told, [(LogLevel.warn, text) for text in texts])

    def test_a_storm_of_signals_is_one(self) -> None:
        """
        As long as none of them is answered; one that comes later is another one.
        """
        config = development_config(machine(str(self.folder)))
        self.read = [Loaded(config, None), Loaded(config, None)]
        self.reactor.busy = True
        for _ in range(50):
            self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.reactor.busy = False
        self.handlers[signal.SIGUSR1](signal.SIGUSR1, None)
        self.assertEqual(self.service.configs, [config])
        self.hang_up()
        self.assertEqual(self.service.configs, [config] * 2)

    def test_reads_nothing_any_more_while_it_stops(self) -> None:
        """
        Modules that begin then would end at once.
        """
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        with capturedLogs() as events:
            self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])
        self.assertEqual(self.service.configs, [])

    def test_goes_on_with_a_configuration_that_cannot_be_used(self) -> None:
        """
        Each fault is logged, whoever found it.
        """
        self.read = [ConfigError(["one", "two"]), Loaded(development_config(machine(str(self.folder))), None)]
        self.service.refused = ["modules[0]: no"]
        for faults in (["one", "two"], ["built-in defaults: modules[0]: no"]):
            lines = self.hang_up()
            self.assertEqual({level for level, _ in lines}, {LogLevel.error})
            self.assertEqual([text.rpartition("used: ")[2] for _, text in lines[:-1]], faults)
            self.assertIn("nothing was changed", lines[-1][1])
        self.assertEqual(self.service.configs, [])
        self.read = [ZeroDivisionError()]
        self.hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_opens_its_log_file_again(self) -> None:
        """
        SIGUSR1, after logrotate moved the file.
        """
        observer: Callable[[dict[str, object]], None] = self.application.getComponent(ILogObserver)
        event: dict[str, object] = {"log_level": LogLevel.info, "log_time": 0.0, "log_namespace": "x"}
        observer({**event, "log_format": "first"})
        moved = self.log_file.rename(self.folder / "a.log.1")
        self.handlers[signal.SIGUSR1](signal.SIGUSR1, None)
        observer({**event, "log_format": "second"})
        self.assertEqual(["first" in moved.read_text(), "second" in self.log_file.read_text()], [True, True])

    def test_a_log_file_that_cannot_be_opened_stops_the_start(self) -> None:
        """
        With one line.
        """
        program = self.program(FakeService(), log_file="/nonexistent/a.log")
        with self.assertRaises(SystemExit) as left:
            program.setServiceParent(Application("empath"))
        self.assertIn("/nonexistent/a.log", str(left.exception.code))


class OptionsTests(SynchronousTestCase):
    """
    What twistd's options mean for us.
    """

    def parsed(self, *arguments: str, **twistd: object) -> Options:
        """
        Parse our arguments under a twistd with these options.
        """
        parent = UsageOptions()
        parent.update({"pidfile": "twistd.pid", "logfile": None, "prefix": "twisted", "nodaemon": True, "debug": False})
        parent.update({"syslog": False, **twistd})
        options = Options()
        options.parent = parent
        options.parseOptions(list(arguments))
        return options

    def test_only_the_default_pid_file_is_replaced(self) -> None:
        """
        None in the foreground, a daemon's own; two instances can run in one folder.
        """
        self.assertEqual(self.parsed().launch().pid_file, "")
        self.assertEqual(self.parsed("--config", "/etc/a.toml", nodaemon=False).launch().pid_file, "a.pid")
        self.assertEqual(self.parsed(pidfile="/run/mine.pid").launch().pid_file, "/run/mine.pid")

    def test_the_log_goes_where_twistd_says(self) -> None:
        """
        --logfile, --syslog, --prefix; standard output in the foreground, a file of its own for a daemon.
        """
        self.assertEqual(self.parsed().launch().log_file, None)
        self.assertEqual(self.parsed(logfile="-").launch().log_file, None)
        self.assertEqual(self.parsed(logfile="/x.log").launch().log_file, "/x.log")
        self.assertEqual(self.parsed("-c", "b.toml", nodaemon=False).launch().log_file, "b.log")
        self.assertEqual(self.parsed(syslog=True).launch().syslog_prefix, "empath")
        self.assertEqual(self.parsed(syslog=True, prefix="mx1").launch().syslog_prefix, "mx1")

    def test_a_daemon_has_no_standard_output(self) -> None:
        """
        Asked to log there, it refuses.
        """
        self.assertRaises(UsageError, self.parsed, logfile="-", nodaemon=False)

    def test_needs_twistd(self) -> None:
        """
        Parsed on their own, the options say so.
        """
        self.assertRaises(TypeError, Options().launch)
