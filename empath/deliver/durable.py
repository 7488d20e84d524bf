"""
Files that last: written under a temporary name, synced, renamed, the directory synced. Blocking: runs in a thread.

Raises OSError for whatever the disk refuses; a file that is not complete never has its own name.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from empath.folders import sync_folder

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: str, mode: int = _FOLDER_MODE) -> None:
    """
    Make a folder that lasts, and those above it, where they are missing; `mode` is its own, as far as the umask goes.
    """
    missing, above = [], os.path.abspath(path)
    while not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    for each in reversed(missing):
        os.makedirs(each, mode if each == missing[0] else 0o777, exist_ok=True)
        sync_folder(os.path.dirname(each))


class TmpFile:
    """
    One file on its way from a temporary path to its own.
    """

    __slots__ = ("_descriptor", "_new", "_tmp")

    def __init__(self, tmp: str, new: str) -> None:
        self._tmp = tmp
        self._new = new
        self._descriptor = os.open(self._tmp, _WRITE, _FILE_MODE)

    def write(self, data: bytes) -> None:
        """
        Append all of `data`.
        """
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def publish(self) -> None:
        """
        Sync the file and move it to its place; its name is durable after `sync_folder`.
        """
        os.fsync(self._descriptor)
        self._close()
        os.rename(self._tmp, self._new)

    def drop(self) -> None:
        """
        Leave nothing temporary behind; harmless once published.
        """
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._tmp)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
