"""
What happened in an MTA in memory, kept for a test to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ILogObserver)
class Recorder:
    """
    Log lines and faults of one MTA: they are taken from Twisted's log while, and only while, that MTA runs.

    `faults` are the errors that were logged with a traceback: bugs, of a module's or ours.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.faults: list[Failure] = []
        self._depth = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """
        Listen to the log inside.
        """
        self._depth += 1
        if self._depth == 1:
            globalLogPublisher.addObserver(self)
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """
        Take an event.
        """
        level: Any = event.get("log_level", LogLevel.info)
        if level is LogLevel.debug:
            return
        self.lines.append(f"{level.name}: {formatEvent(event)}")
        failure = event.get("log_failure")
        if failure is not None:
            self.faults.append(failure)
