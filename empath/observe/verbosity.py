"""
How much is logged: what [log] says, or what an operator said since, across restarts.

Retried or fatal: nothing. A level that cannot be stored is told to who sets it; one that cannot be read is logged, and
the configured one holds.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from empath.config import schema
from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.observe.logging import LEVELS, LineObserver

log = Logger()

KEY: Final = "log-level"


class Verbosity:
    """
    The log level in force; whoever writes the log follows it. `storage` keeps what was set by hand.
    """

    def __init__(self, section: schema.Log, storage: IStorage) -> None:
        self._section = section
        self._storage = storage
        self._by_hand: str | None = None
        self._observers: list[LineObserver] = []
        self._apply()

    @property
    def level(self) -> str:
        """
        The lowest level that is written.
        """
        return self._by_hand or self._section.level

    @property
    def configured(self) -> str:
        """
        The level of [log].
        """
        return self._section.level

    @property
    def by_hand(self) -> str | None:
        """
        The level that was set by hand, None if none was.
        """
        return self._by_hand

    def shows(self, level: str) -> bool:
        """
        Tell whether what is of this level is written.
        """
        return level in self._shown

    def follow(self, observer: LineObserver) -> None:
        """
        Have this one write at the level in force, now and from now on.
        """
        self._observers.append(observer)
        self._apply()

    def use(self, section: schema.Log) -> None:
        """
        Go by another [log]; a level that was set by hand goes on to hold.
        """
        self._section = section
        self._apply()

    async def restore(self) -> None:
        """
        Take up what was set by hand before the last restart.
        """
        try:
            level = await self._storage.get(KEY)
        except StorageError as trouble:
            log.error("the log level set by hand cannot be read, the configured one holds: {why}", why=str(trouble))
            return
        if level in LEVELS:
            self._by_hand = level
            self._apply()
            log.warn("log level {by_hand}, set by hand, holds instead of {file}", by_hand=level, file=self.configured)

    async def set_by_hand(self, level: str | None) -> None:
        """
        Log at this level across restarts, or with None at the configured one again. ValueError for no level at all,
        StorageError, and nothing is changed, if it cannot be kept.
        """
        if level is None:
            await self._storage.delete(KEY)
        elif level not in LEVELS:
            raise ValueError(f"{level!r} is no log level: there are {', '.join(LEVELS)}")
        else:
            await self._storage.put(KEY, level)
        self._by_hand = level
        self._apply()

    def _apply(self) -> None:
        self._shown = frozenset(LEVELS[LEVELS.index(self.level) :])
        for observer in self._observers:
            observer.reconfigure(self._section)
            observer.set_level(self.level)
