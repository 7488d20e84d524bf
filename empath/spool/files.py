"""
Content files: `content/<last two characters of the queue id>/<queue id>`. Everything here blocks: call it in a thread.

A file without a row is nobody's: that is why no temporary names are needed, and why the row is committed last.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from empath.errors import QueueIdTaken, SpoolError, SpoolFull
from empath.folders import sync_folder
from empath.mail.queue_id import is_queue_id

FOLDER: Final = "content"
PIECE: Final = 64 * 1024


def path_of(root: str, name: str) -> str:
    """
    Tell where the content of this name lies; SpoolError for what cannot be such a name.
    """
    if not is_queue_id(name):
        raise SpoolError(f"{name!r} cannot be the name of a content file")
    return os.path.join(root, FOLDER, name[-2:], name)


def make_folder(root: str) -> None:
    """
    Make the folder of all content.
    """
    try:
        os.makedirs(os.path.join(root, FOLDER), 0o700, exist_ok=True)
        sync_folder(root)
    except OSError as failure:
        raise SpoolError(f"the spool's content folder cannot be made: {failure}") from failure


def unlink(path: str) -> None:
    """
    Delete a file; that it is gone already is as good.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def list_folders(root: str) -> list[str]:
    """
    Tell the folders that content lies in.
    """
    with os.scandir(os.path.join(root, FOLDER)) as entries:
        return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def list_names(folder: str) -> list[str]:
    """
    Tell the names of the content files in a folder; what has another kind of name is not ours.
    """
    return sorted(name for name in os.listdir(folder) if is_queue_id(name))


class ContentFile:
    """
    A content file that is being written; errors are SpoolFull, QueueIdTaken (the file exists) or SpoolError.

    `folders` are those that this process knows to be on stable storage, shared by all files.
    """

    def __init__(self, path: str, folders: set[str]) -> None:
        self._path = path
        self._folders = folders
        self._descriptor: int | None = None
        self._created = False

    def write(self, pieces: list[bytes]) -> None:
        """
        Append the pieces.
        """
        try:
            descriptor = self._opened()
            rest = memoryview(b"".join(pieces))
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError as failure:
            raise _as_ours(failure) from failure

    def clear(self) -> None:
        """
        Drop all that was written.
        """
        try:
            descriptor = self._opened()
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
        except OSError as failure:
            raise _as_ours(failure) from failure

    def sync(self) -> None:
        """
        Bring the file and its name to stable storage and close it.
        """
        try:
            if self._descriptor is not None:
                os.fsync(self._descriptor)
            self._close()
            sync_folder(os.path.dirname(self._path))
        except OSError as failure:
            raise _as_ours(failure) from failure

    def discard(self) -> None:
        """
        Close and delete it, if it was ever ours; OSError if it stays.
        """
        self._close()
        if self._created:
            unlink(self._path)

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = self._create()
            self._created = True
        return self._descriptor

    def _create(self) -> int:
        """
        Make the file, in a folder whose own name is on stable storage, whoever made it.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        folder = os.path.dirname(self._path)
        if folder in self._folders:
            with contextlib.suppress(FileNotFoundError):
                return os.open(self._path, flags, 0o600)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        sync_folder(os.path.dirname(folder))
        self._folders.add(folder)
        return os.open(self._path, flags, 0o600)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _as_ours(failure: OSError) -> SpoolError:
    if isinstance(failure, FileExistsError):
        return QueueIdTaken("content of this queue id is stored already")
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFull("there is no room for the content")
    return SpoolError(f"the content cannot be stored: {failure}")
