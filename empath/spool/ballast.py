"""
The ballast: a file that only takes up room, given up on a full disk so that what is accepted can still be settled.

Runs in the writer's thread. Ignored: that it cannot be made; then there is less to give up, and the log says so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

MIB: Final = 1024 * 1024

log = Logger()


class Ballast:
    """
    A file of `size` bytes at `path`, or none; `free` tells the free bytes of the disk at a path.
    """

    def __init__(self, path: str, size: int, free: Callable[[str], int]) -> None:
        self.size = size
        self._path = path
        self._free = free

    def present(self) -> bool:
        """
        Tell whether there is something to give up.
        """
        try:
            return os.stat(self._path).st_size >= self.size
        except OSError:
            return False

    def drop(self) -> bool:
        """
        Give it up; tells whether that freed anything.
        """
        try:
            os.unlink(self._path)
        except OSError:
            return False
        log.warn("the disk of the spool is full: the ballast at {path} was given up", path=self._path)
        return True

    def restore(self, margin: int) -> None:
        """
        Take up the room again, once `margin` bytes are left over when that is done.
        """
        if self.present():
            return
        try:
            if self._free(os.path.dirname(self._path)) >= self.size + margin:
                self._make()
        except OSError as failure:
            log.warn("the ballast at {path} cannot be made: {error}", path=self._path, error=str(failure))
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _make(self) -> None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.size)
        finally:
            os.close(descriptor)
