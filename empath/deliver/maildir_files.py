"""
Files in a maildir: written in tmp/, synced, renamed into new/, the directory synced. Blocking: runs in a thread.

Raises OSError for whatever the disk refuses; a file that is not complete is never in new/.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final

_FOLDERS: Final = ("tmp", "new", "cur")
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def make_maildir(path: str) -> None:
    """
    Create the maildir and its three folders where they are missing; what is there stays as it is.
    """
    if not all(os.path.isdir(os.path.join(path, folder)) for folder in _FOLDERS):
        for folder in _FOLDERS:
            os.makedirs(os.path.join(path, folder), mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(path)
        sync_folder(os.path.dirname(os.path.abspath(path)))


def sync_folder(path: str) -> None:
    """
    Make the names in a folder durable.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delivered(path: str, names: Iterable[str], *, thorough: bool) -> set[str]:
    """
    Tell which files are there already. A `thorough` look finds also those that a mail reader moved into cur/, with
    flags behind a ":"; it reads the whole folder. new/ comes first, since files only move from there to cur/.
    """
    wanted = set(names)
    found = {name for name in wanted if os.path.lexists(os.path.join(path, "new", name))}
    if thorough and found != wanted:
        with os.scandir(os.path.join(path, "cur")) as entries:
            found |= {name for entry in entries if (name := entry.name.partition(":")[0]) in wanted}
    return found


class TmpFile:
    """
    One file on its way.
    """

    __slots__ = ("_descriptor", "_new", "_tmp")

    def __init__(self, path: str, name: str) -> None:
        self._tmp = os.path.join(path, "tmp", name)
        self._new = os.path.join(path, "new", name)
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
        Sync the file and move it to new/; its name is durable after `sync_folder`.
        """
        os.fsync(self._descriptor)
        self._close()
        os.rename(self._tmp, self._new)

    def drop(self) -> None:
        """
        Leave nothing behind; harmless once published.
        """
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._tmp)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
