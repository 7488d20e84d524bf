"""
Where log records go: standard output, a file or syslog, as twistd's own options say.

A file that cannot be opened stops the start. Later trouble with any of them loses records, never mail: it is ignored,
and a file that cannot be opened again keeps its old descriptor.
"""

from __future__ import annotations

import contextlib
import os
import syslog
from collections.abc import Callable, Mapping
from typing import Final

from constantly import NamedConstant
from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

_MODE: Final = 0o640
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_PRIORITIES: Final[Mapping[NamedConstant, int]] = {
    LogLevel.debug: syslog.LOG_DEBUG,
    LogLevel.info: syslog.LOG_INFO,
    LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR,
    LogLevel.critical: syslog.LOG_CRIT,
}

MakeObserver = Callable[[Callable[[str], None]], ILogObserver]
"""
Make the observer that renders events and hands each record, its line end included, to a `write`.
"""


class LogFile:
    """
    Appends records to a file, or to a descriptor that is open already where `path` is None.
    """

    def __init__(self, path: str | None, descriptor: int = -1) -> None:
        self._path = path
        self._descriptor = descriptor if path is None else os.open(path, _FLAGS, _MODE)

    def write(self, record: str) -> None:
        """
        Write a record at once: what follows a crash is what a log is for.
        """
        rest = record.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def reopen(self) -> None:
        """
        Open the path again, after logrotate or the like moved the file away.
        """
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            renewed = os.open(self._path, _FLAGS, _MODE)
            os.close(self._descriptor)
            self._descriptor = renewed


@implementer(ILogObserver)
class Syslog:
    """
    Hands records to the system's log, under the facility "mail", with the priority of their level.
    """

    def __init__(self, prefix: str, make: MakeObserver) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_MAIL)
        self._priority = syslog.LOG_INFO
        self._render = make(self._write)

    def __call__(self, event: LogEvent) -> None:
        self._priority = _PRIORITIES.get(event.get("log_level", LogLevel.info), syslog.LOG_INFO)
        self._render(event)

    def _write(self, record: str) -> None:
        """
        Hand over a record line by line; a traceback has several.
        """
        for line in record.splitlines():
            syslog.syslog(self._priority, line.replace("\0", "?"))
