"""
The file that is being written, octets only: appended to, synced, renamed at the end of its day.

Every trouble is an OSError. What was written of a piece that did not fit is taken back, so that no half record stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from empath.audit.files import MODE, Ending, ending, rotated_name
from empath.folders import sync_folder

log = Logger()


class Appender:
    """
    `fsync` has what was written to a descriptor on the disk when it returns.
    """

    def __init__(self, path: Path, fsync: Callable[[int], None] = os.fdatasync) -> None:
        self.path = path
        self._fsync = fsync
        self._descriptor = -1
        self._size = 0
        self._inode = 0
        self._unsynced = False

    def open(self) -> Ending:
        """
        Open the file; tells how it ends.
        """
        self.close()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, MODE)
        found = os.fstat(self._descriptor)
        self._size, self._inode, self._unsynced = found.st_size, found.st_ino, True
        if not found.st_size:
            sync_folder(self.path.parent)
        return ending(self._descriptor, self._size)

    @property
    def empty(self) -> bool:
        """
        Whether nothing is in the file.
        """
        return not self._size

    def cut(self, octets: int) -> None:
        """
        Take so many octets off the end.
        """
        self._size -= octets
        os.ftruncate(self._descriptor, self._size)

    def end_line(self) -> None:
        """
        Begin a line of our own behind what is there.
        """
        self._size += os.write(self._descriptor, b"\n")

    def put(self, octets: bytes) -> None:
        """
        Append all of it, or nothing.
        """
        if self._descriptor < 0:
            self.open()
        if os.fstat(self._descriptor).st_size != self._size:
            self._touched()
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(octets)
        self._unsynced = True

    def sync(self) -> bool:
        """
        Have all on the disk; tells whether there was anything to do. A file that was taken away is made anew, for what
        comes next.
        """
        if not self._unsynced or self._descriptor < 0:
            return False
        self._fsync(self._descriptor)
        self._unsynced = False
        self._look()
        return True

    def rotate(self, day: str) -> Path | None:
        """
        End the file under a name of its own, and begin a new one; None where ours was taken away: then a new one is
        begun already.
        """
        if self._descriptor >= 0:
            self._fsync(self._descriptor)
            if not self._look():
                return None
        ended = rotated_name(self.path, day)
        os.rename(self.path, ended)
        self.open()
        sync_folder(self.path.parent)
        return ended

    def close(self) -> None:
        """
        Let go of the file.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _touched(self) -> None:
        """
        Somebody else wrote to the file, or cut it: go on behind what is there, on a line of our own.
        """
        found = ending(self._descriptor, os.fstat(self._descriptor).st_size)
        self._size = os.fstat(self._descriptor).st_size
        log.critical("audit trail: {path} was changed by somebody else while it was written", path=str(self.path))
        if found.behind:
            self.end_line()

    def _look(self) -> bool:
        """
        Go on in a new file where this one was renamed or removed; tells whether it is where it was.
        """
        try:
            there = os.stat(self.path, follow_symlinks=False).st_ino == self._inode
        except FileNotFoundError:
            there = False
        if not there:
            log.error("audit trail: {path} was renamed or removed, and is begun anew", path=str(self.path))
            self.open()
        return there
