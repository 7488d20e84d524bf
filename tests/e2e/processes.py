"""
Programs that a test starts: each waited for within a bound, and ended by its own process id.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

POLL = 0.02
START_BOUND = 30.0
STOP_BOUND = 40.0


def temporary_folder(case: SynchronousTestCase) -> Path:
    """
    Make a folder that ends with the test; others may look into it, as Postfix's unprivileged parts must.
    """
    folder = Path(tempfile.mkdtemp(prefix="empath-e2e-"))
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


class TooLate(AssertionError):
    """
    Something that a test waits for did not come in time.
    """


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 30.0) -> float:
    """
    Wait until `holds()`; tell the seconds it took. TooLate, naming `what`, after `seconds`.
    """
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TooLate(f"after {seconds} s still not: {what}")
        time.sleep(POLL)
    return time.monotonic() - began


def require_program(name: str) -> str:
    """
    Find a program that Debian installs; without it the test is skipped, or fails where EMPATH_REQUIRE_PEERS=1.
    """
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        require(False, f"{name} is not installed")
    return found or ""


def require(there: bool, reason: str) -> None:
    """
    Skip the test with `reason` unless `there`; fail it where EMPATH_REQUIRE_PEERS=1.
    """
    if there:
        return
    if os.environ.get("EMPATH_REQUIRE_PEERS") == "1":
        raise AssertionError(f"{reason}, and EMPATH_REQUIRE_PEERS=1")
    raise unittest.SkipTest(reason)


class Program:
    """
    One running program, in a session of its own, whose output goes to the file `log`; `inherited` are descriptors that
    it gets from the test.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                list(arguments),
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=inherited,
            )

    @property
    def pid(self) -> int:
        """
        The process id.
        """
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """
        How it ended; None while it runs, negative for a signal.
        """
        return self._child.poll()

    def signal(self, number: int) -> None:
        """
        Send a signal, if it still runs.
        """
        if self._child.poll() is None:
            self._child.send_signal(number)

    def wait(self, seconds: float = STOP_BOUND) -> int:
        """
        Wait for its end and tell its exit code; TooLate, after killing it, if it does not come.
        """
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TooLate(f"process {self.pid} did not end in {seconds} s: {self.output()[-2000:]}") from None

    def terminate(self, seconds: float = STOP_BOUND) -> int:
        """
        End it as an operator does, by SIGTERM; tell its exit code.
        """
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """
        End it by SIGKILL; harmless when it has ended.
        """
        self.signal(signal.SIGKILL)
        self._child.wait(10)

    def output(self) -> str:
        """
        All it has written.
        """
        return self.log.read_text(errors="replace")

    def wait_for(self, ready: Callable[[], bool], seconds: float = START_BOUND) -> None:
        """
        Wait until `ready()`; TooLate at its end or after `seconds`.
        """
        wait_until("ready or ended", lambda: self.exit_code is not None or ready(), seconds)
        if self.exit_code is not None:
            raise TooLate(f"ended with {self.exit_code} before it was ready: {self.output()[-2000:]}")
