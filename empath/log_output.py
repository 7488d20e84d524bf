"""
Where log records go: standard output, which may be systemd's journal, a file or syslog, as twistd's own options say.

A file that cannot be opened stops the start. Later trouble with any of them loses records, never mail: it is ignored,
and a file that cannot be opened again keeps its old descriptor. What is written half, as the disk was full, has a line
of its own.
"""

from __future__ import annotations

import contextlib
import os
import syslog
from collections.abc import Mapping
from typing import Final

_MODE: Final = 0o640
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_JOURNAL: Final = "JOURNAL_STREAM"  # device and inode of the journal's end of a pipe or socket, set by systemd

MARKS: Final[Mapping[str, str]] = {  # by level: priorities as sd-daemon(3) and syslog number them
    "debug": f"<{syslog.LOG_DEBUG}>",
    "info": f"<{syslog.LOG_INFO}>",
    "warn": f"<{syslog.LOG_WARNING}>",
    "error": f"<{syslog.LOG_ERR}>",
    "critical": f"<{syslog.LOG_CRIT}>",
}


def is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """
    Tell whether what is written to a descriptor comes to systemd's journal, which reads a mark in front of each line.
    """
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get(_JOURNAL) == f"{found.st_dev}:{found.st_ino}"


class LogFile:
    """
    Appends records to a file, or to a descriptor that is open already where `path` is None.
    """

    def __init__(self, path: str | None, descriptor: int = -1) -> None:
        self._path = path
        self._descriptor = descriptor if path is None else _open(path)
        self._torn = False

    def write(self, record: str) -> None:
        """
        Write a record at once: what follows a crash is what a log is for.
        """
        whole = rest = (f"\n{record}" if self._torn else record).encode("utf-8", "backslashreplace")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._torn = self._torn or len(rest) < len(whole)
        else:
            self._torn = False

    def reopen(self) -> str:
        """
        Open the path again, after logrotate or the like moved the file away; tells why it could not be, "" if it was.

        The descriptor stays the same number: a thread that is about to write must not find somebody else's file there.
        """
        if self._path is None:
            return "there is none"
        try:
            renewed = _open(self._path)
        except OSError as trouble:
            return trouble.strerror or str(trouble)
        os.dup2(renewed, self._descriptor, inheritable=False)
        os.close(renewed)
        return ""


def _open(path: str) -> int:
    """
    Open a file at its end; a new one is readable for its group whatever the umask is, which twistd sets for a daemon.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_EXCL, _MODE)
    except FileExistsError:
        return os.open(path, _FLAGS, _MODE)
    with contextlib.suppress(OSError):  # a file system without modes
        os.fchmod(descriptor, _MODE)
    return descriptor


class Syslog:
    """
    Hands records to the system's log, under the facility "mail", with the priority that their lines are marked with.
    """

    def __init__(self, prefix: str) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_MAIL)

    def write(self, record: str) -> None:
        """
        Hand over a record line by line; a traceback has several.
        """
        for line in record.splitlines():
            syslog.syslog(int(line[1]), line[3:].replace("\0", "?"))
