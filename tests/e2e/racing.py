"""
Races for a control socket, between processes of its own code.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

RACER = Path(__file__).with_name("programs") / "control_racer.py"
BOUND = 30.0


def stale(path: Path) -> None:
    """
    Leave a socket there, as a killed process does.
    """
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    path.chmod(0o600)


class Racer:
    """
    One process that is about to take the socket at `path`.
    """

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RACER), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.line()

    def line(self) -> str:
        """
        Read what it says.
        """
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """
        Tell it to go on.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """
        Wait for its end; gives its exit code.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(BOUND)


def race(path: Path, racers: list[Racer]) -> None:
    """
    Let all take the socket at the same instant. AssertionError unless exactly one has it, the others say why, nobody
    but its owner could use it at any time, and nothing is left.
    """
    modes: set[int] = set()
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(path, modes, over))
    looking.start()
    for each in racers:
        each.go()
    said = [each.line() for each in racers]
    over.set()
    looking.join(BOUND)
    assert said.count("had") == 1, said
    assert all("another empath has" in line for line in said if line != "had"), said
    assert modes == {0o600}, [oct(mode) for mode in modes]
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
    for each in racers:
        each.go()
    assert [each.line() for each in racers] == ["gone"] * len(racers)
    assert list(path.parent.iterdir()) == [], list(path.parent.iterdir())


def _look(path: Path, modes: set[int], over: threading.Event) -> None:
    """
    Look at the socket's mode as often as can be.
    """
    ending = False
    while not ending:
        ending = over.is_set()  # so that the last look is after it
        try:
            modes.add(stat.S_IMODE(os.lstat(path).st_mode))
        except FileNotFoundError:
            continue
