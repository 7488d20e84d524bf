"""
Keys as they are pressed: the terminal hands over each one at once, without showing it.
"""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from collections.abc import Callable
from types import FrameType, MappingProxyType
from typing import Any, Final

NAMES: Final = MappingProxyType(
    {
        b"\x1b[A": "up",
        b"\x1b[B": "down",
        b"\x1b[C": "right",
        b"\x1b[D": "left",
        b"\x1bOA": "up",
        b"\x1bOB": "down",
        b"\x1bOC": "right",
        b"\x1bOD": "left",
        b"\x1b[5~": "page-up",
        b"\x1b[6~": "page-down",
        b"\x1b[H": "home",
        b"\x1b[F": "end",
    }
)


def named(octets: bytes) -> list[str]:
    """
    Tell the keys that were pressed: a name for each known sequence, the character for a plain one.
    """
    keys = []
    while octets:
        known = next((sequence for sequence in NAMES if octets.startswith(sequence)), None)
        if known is not None:
            keys.append(NAMES[known])
        elif octets[:1] == b"\x1b":
            break  # a sequence that nobody knows: whatever belongs to it is no key of its own
        else:
            keys.append(chr(octets[0]))
        octets = octets[len(known) if known else 1 :]
    return keys


class Keys:
    """
    Reads the keys of the terminal at the descriptor `typed`; `rouse`, from any thread, and a changed size of the
    window end a wait. A context: at its end, which SIGTERM brings too, the terminal is as it was.
    """

    def __init__(self, typed: int) -> None:
        self._typed = typed
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._before: list[Any] = []
        self._handlers: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Keys:
        """
        Have the terminal hand over each key at once.
        """
        self._before = termios.tcgetattr(self._typed)
        tty.setcbreak(self._typed)
        self._handlers = {
            signal.SIGWINCH: signal.signal(signal.SIGWINCH, lambda number, frame: self.rouse()),
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end),
        }
        return self

    def __exit__(self, *trouble: object) -> None:
        """
        Leave it as it was.
        """
        for number, before in self._handlers.items():
            signal.signal(number, before)
        termios.tcsetattr(self._typed, termios.TCSADRAIN, self._before)
        woken, waker = self._woken, self._waker
        self._woken = self._waker = -1
        os.close(waker)
        os.close(woken)

    def rouse(self) -> None:
        """
        End the wait.
        """
        try:
            os.write(self._waker, b"x")
        except OSError:  # it is awake already, or all is over
            return

    def wait(self, seconds: float) -> list[str]:
        """
        Wait for keys; none when the time is over, or somebody roused us. A closed terminal is the key "q".
        """
        ready, _, _ = select.select([self._typed, self._woken], [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._typed not in ready:
            return []
        octets = os.read(self._typed, 4096)
        return named(octets) if octets else ["q"]


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
