"""
The program as an operator meets it: real twistd, real signals, exit codes, files.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.processes import Program, temporary_folder, wait_until

MODULE = (sys.executable, "-m", "empath")


def twistd(*arguments: str) -> tuple[str, ...]:
    """
    Give the command line of twistd with these arguments.
    """
    return (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments)


def takes_signals(pid: int) -> bool:
    """
    Tell whether a process catches SIGTERM and sleeps, as empath does from the moment that its reactor waits for events.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return False
    told = dict(line.split(":", 1) for line in lines)
    caught = int(told["SigCgt"].strip(), 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) and told["State"].strip().startswith("S")


class ProgramTests(SynchronousTestCase):
    """
    Start, signals, stop.
    """

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.count = 0

    def config(self, name: str = "empath.toml", port: int = 0, spool: str = "spool") -> str:
        """
        Write a configuration that listens on a port of its own, for nobody else.
        """
        (self.folder / name).write_text(
            f"""
            hostname = "mx.example.org"
            control_socket = "{name}.sock"
            audit = {{ path = "{name}.audit" }}
            smtp = {{ listeners = [{{ endpoint = "tcp:{port}:interface=127.0.0.1" }}] }}
            spool = {{ path = "{spool}", min_free = 0 }}
            metrics = {{ enabled = false }}
            health = {{ enabled = false }}
            [delivery]
            shutdown_timeout = "2s"
            [delivery.domains."*"]
            strategy = "maildir"
            path = "mail"
            """
        )
        return name

    def start(self, *command: str) -> Program:
        """
        Start a command in our folder; it ends with the test at the latest.
        """
        self.count += 1
        program = Program(command, self.folder / f"{self.count}.out", self.folder, {"EMPATH_CONFIG": ""})
        self.addCleanup(program.kill)
        return program

    def running(self, *command: str) -> Program:
        """
        Start a command and wait until its reactor runs.
        """
        program = self.start(*command)
        program.wait_for(lambda: takes_signals(program.pid))
        return program

    def test_sigterm_and_sigint_end_with_exit_code_0(self) -> None:
        """
        A graceful stop is no failure, whichever way the program was started.
        """
        config = self.config()
        for command in (twistd("-n", "empath", "--config", config), (*MODULE, "--config", config), MODULE):
            for number in (signal.SIGTERM, signal.SIGINT):
                program = self.running(*command)
                program.signal(number)
                self.assertEqual(program.wait(), 0, program.output())

    def test_sighup_has_the_configuration_read_again(self) -> None:
        """
        What is wrong with it is told, what changed and needs a restart as well; it runs on.
        """
        program = self.running(*twistd("-n", "empath", "-c", self.config()))
        path = self.folder / "empath.toml"
        text = path.read_text()
        path.write_text(f"{text}\nmax_erors = 3")
        program.signal(signal.SIGHUP)
        wait_until("told", lambda: "nothing was changed" in program.output())
        self.assertIn("max_erors: unknown key", program.output())
        path.write_text(text.replace("mx.example.org", "mx2.example.org"))
        program.signal(signal.SIGHUP)
        wait_until("told", lambda: "only a restart applies hostname: " in program.output())
        self.assertIsNone(program.exit_code)
        self.assertEqual(program.terminate(), 0)

    def test_modules_lie_beside_the_configuration(self) -> None:
        """
        One that takes its time to start, and then fails, is one critical line and exit code 1.
        """
        (self.folder / "beside.py").write_text(
            "from zope.interface import implementer\n"
            "from empath.modules import IModule\n"
            "@implementer(IModule)\n"
            "class Beside:\n"
            "    name = 'beside'\n"
            "    def __init__(self, fails=False):\n"
            "        self.fails = fails\n"
            "    async def start(self, services):\n"
            "        await services.in_thread(lambda: None)\n"
            "        if self.fails:\n"
            "            raise ValueError('not today')\n"
        )
        path = self.folder / self.config()
        text = path.read_text()
        path.write_text(f'{text}\n[[modules]]\nfactory = "beside:Beside"\n')
        program = self.running(*twistd("-n", "empath", "-c", "empath.toml"))
        wait_until("started", lambda: "modules: beside" in program.output())
        self.assertEqual(program.terminate(), 0)
        path.write_text(f'{text}\n[[modules]]\nfactory = "beside:Beside"\noptions = {{ fails = true }}\n')
        program = self.start(*twistd("-n", "empath", "-c", "empath.toml"))
        self.assertEqual(program.wait(), 1)
        critical = [line for line in program.output().splitlines() if " critical " in line]
        self.assertEqual(len(critical), 1)
        self.assertIn("cannot start: module beside: start: not today", critical[0])

    def test_a_bad_configuration_is_a_line_for_each_fault_and_exit_code_1(self) -> None:
        """
        And nothing else on standard error.
        """
        (self.folder / "bad.toml").write_text("[smtp]\nmax_conections = 3\nmax_errors = 0\n")
        program = self.start(*twistd("-n", "empath", "--config", "bad.toml"))
        self.assertEqual(program.wait(), 1)
        path = self.folder / "bad.toml"
        self.assertEqual(
            program.output().splitlines(),
            [
                f"{path}: smtp.max_conections: unknown key; did you mean max_connections?",
                f"{path}: smtp.max_errors: found 0; allowed: an integer of at least 1",
            ],
        )

    def test_a_busy_port_is_one_critical_line_and_exit_code_1(self) -> None:
        """
        Nothing runs on without its listener.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            config = self.config(port=taken.getsockname()[1])
            program = self.start(*twistd("-n", "empath", "-c", config))
            self.assertEqual(program.wait(), 1, program.output())
        critical = [line for line in program.output().splitlines() if " critical " in line]
        self.assertEqual(len(critical), 1, program.output())
        self.assertIn("Address already in use", critical[0])
        self.assertNotIn("Traceback", program.output())

    def test_a_spool_in_use_is_one_critical_line_and_exit_code_1(self) -> None:
        """
        The first instance is not disturbed.
        """
        first = self.running(*twistd("-n", "empath", "-c", self.config()))
        second = self.start(*twistd("-n", "empath", "-c", "empath.toml"))
        self.assertEqual(second.wait(), 1, second.output())
        self.assertEqual(len([line for line in second.output().splitlines() if " critical " in line]), 1)
        self.assertNotIn("Traceback", second.output())
        self.assertEqual(first.terminate(), 0)

    def test_two_instances_run_in_one_folder(self) -> None:
        """
        No pid file of the first keeps the second from starting.
        """
        commands = [twistd("-n", "empath", "-c", self.config(f"{name}.toml", spool=name)) for name in ("one", "two")]
        pair = [self.running(*command) for command in commands]
        self.assertEqual([program.terminate() for program in pair], [0, 0])

    def test_a_daemon_names_its_pid_and_log_files_after_its_configuration(self) -> None:
        """
        It starts in the background, ends by SIGTERM, and takes its pid file along.
        """
        arguments = twistd("empath", "-c", self.config("mx.toml"))
        done = subprocess.run(arguments, cwd=self.folder, capture_output=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        pid = int((self.folder / "mx.pid").read_text())
        wait_until("started", lambda: "mx.example.org" in (self.folder / "mx.log").read_text())
        wait_until("running", lambda: takes_signals(pid))
        os.kill(pid, signal.SIGTERM)
        wait_until("its end", lambda: not (self.folder / "mx.pid").exists())
        self.assertIn("SIGTERM: stopping", (self.folder / "mx.log").read_text())

    def test_the_log_goes_to_the_file_that_twistd_was_given(self) -> None:
        """
        And nothing to standard output.
        """
        program = self.running(*twistd("-n", "--logfile", "a.log", "empath", "-c", self.config()))
        self.assertEqual(program.terminate(), 0)
        self.assertIn("mx.example.org", (self.folder / "a.log").read_text())
        self.assertEqual(program.output(), "")
