"""
How much room there is: asked of the disk a few times a second while there is plenty, and reckoned on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

FRESH: Final = 0.25  # seconds that an answer of the disk is used
PLENTY: Final = 64 * 1024 * 1024  # bytes; with less than this left the disk is asked each time, for 2 µs
LOG: Final = 1000 * 4120  # bytes that the write-ahead log may still have to copy into the database


def disk_free(path: str) -> int:
    """
    Tell how many bytes of the disk under `path` we may still use.
    """
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class Room:
    """
    The room under a directory. `min_free` bytes stay free of new mail; what settles and deletes may use them.

    `inside` are the bytes that lie free within the database: they are as good as free.
    """

    def __init__(self, clock: IReactorTime, min_free: int, ask: Callable[[], int]) -> None:
        self.min_free = min_free
        self.inside = 0
        self._clock = clock
        self._ask = ask
        self._asked = float("-inf")
        self._free = 0
        self._spent = 0

    def spend(self, size: int) -> None:
        """
        Reckon with `size` bytes that are on their way to the disk.
        """
        self._spent += size

    def forget(self) -> None:
        """
        Ask the disk again before anything else is said: room was given back.
        """
        self._asked = float("-inf")

    def admits(self, size: int) -> bool:
        """
        Tell whether `size` more bytes may come; False too if the disk cannot be asked.
        """
        return self.left() >= size

    def left(self) -> int:
        """
        Tell how many bytes may still be received; below zero where `min_free` is used already.
        """
        return self.outside() + self.inside

    def free(self) -> int:
        """
        Ask the disk how many bytes it has left, 0 if it cannot be asked.
        """
        self._look(self._clock.seconds())
        return self._free

    def outside(self) -> int:
        """
        Tell the same without what lies free within the database: the room for content files.
        """
        now = self._clock.seconds()
        if not 0 <= now - self._asked < FRESH or (self._spent and self._reckoned() < PLENTY):
            self._look(now)
        return self._reckoned()

    def _reckoned(self) -> int:
        return self._free - self._spent - self.min_free - LOG

    def _look(self, now: float) -> None:
        self._asked = now
        self._spent = 0
        try:
            self._free = self._ask()
        except OSError:
            self._free = 0
