"""
What libraries say through Python's own logging, told by ours.

Nothing is fatal. They speak from "warn" on; those for which a level is set, in [log] or by hand, from that one on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import itemgetter
from typing import Final

from twisted.logger import ILogObserver, Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from empath.observe.logs.levels import Levels

_OURS: Final = ("empath", "twisted")
_NUMBERS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_LEVELS: Final = tuple(
    (number, LogLevel.levelWithName(name)) for name, number in sorted(_NUMBERS.items(), key=itemgetter(1), reverse=True)
)


class Libraries(logging.Handler):
    """
    Takes what is said below `root`, Python's own root of all loggers unless another is given, and has `publish` tell
    it under the same name.
    """

    def __init__(self, publish: ILogObserver = globalLogPublisher, root: logging.Logger | None = None) -> None:
        super().__init__()
        self._publish = publish
        self._root = root or logging.getLogger()
        self._root.addHandler(self)
        self._set: set[str] = set()

    def use(self, levels: Levels) -> None:
        """
        Have those speak from their level on that have one of their own.
        """
        named = {name: _NUMBERS[each] for name, each in levels.differing.items() if name.partition(".")[0] not in _OURS}
        for name in self._set - named.keys():
            self._root.manager.getLogger(name).setLevel(logging.NOTSET)
        for name, number in named.items():
            self._root.manager.getLogger(name).setLevel(number)
        self._set = set(named)

    def emit(self, record: logging.LogRecord) -> None:
        """
        Tell it: one that cannot be put together is told as far as it goes, and raises nothing to who logs.
        """
        try:
            text = record.getMessage()
        except Exception as trouble:
            text = f"{record.msg!r} cannot be told: {type(trouble).__name__}"
        level = next((level for number, level in _LEVELS if record.levelno >= number), LogLevel.debug)
        failure = None
        if record.exc_info and record.exc_info[1] is not None:
            kind, trouble_itself, where = record.exc_info
            failure = Failure(trouble_itself, kind, where)
        said = Logger(record.name, observer=self._publish)
        if failure is None:
            said.emit(level, "{text}", text=text)
        else:
            said.emit(level, "{text}", text=text, log_failure=failure)
