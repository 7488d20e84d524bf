"""
How much is logged: what [log] says, or what an operator said since, across restarts.

Retried or fatal: nothing. A level that cannot be stored is told to who sets it; one that cannot be read is logged, and
the configured one holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from empath.config import schema
from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.observe.logs.levels import LEVELS, Levels
from empath.observe.logs.lines import LineObserver

log = Logger()

KEY: Final = "log-level"
NAMESPACES: Final = "log-levels"  # the key of those of namespaces, as JSON
MOST: Final = 100  # namespaces with a level that was set by hand


class Verbosity:
    """
    The log levels in force; whoever writes the log follows them. `storage` keeps what was set by hand.
    """

    def __init__(self, section: schema.Log, storage: IStorage) -> None:
        self._section = section
        self._storage = storage
        self._by_hand: dict[str, str] = {}  # "" is the level of all that have none of their own
        self._observers: list[LineObserver] = []
        self._told: list[Callable[[Levels], None]] = []
        self._setting = DeferredLock()
        self._apply()

    @property
    def level(self) -> str:
        """
        The lowest level that is written, where no namespace has its own.
        """
        return self._levels.level

    @property
    def configured(self) -> str:
        """
        The level of [log].
        """
        return self._section.level

    @property
    def by_hand(self) -> Mapping[str, str]:
        """
        The levels that were set by hand, by namespace; "" is that of all that have none of their own.
        """
        return self._by_hand

    @property
    def levels(self) -> Levels:
        """
        All levels in force.
        """
        return self._levels

    def configured_for(self, namespace: str) -> str:
        """
        Tell the level that [log] has for a namespace, by itself or by what it is below of.
        """
        return Levels(self._section.level, self._section.levels).of(namespace)

    def shows(self, level: str, namespace: str = "") -> bool:
        """
        Tell whether what is of this level is written where `namespace` says it.
        """
        return self._levels.shows(level, namespace)

    def follow(self, observer: LineObserver) -> None:
        """
        Have this one write at the levels in force, now and from now on.
        """
        self._observers.append(observer)
        self._apply()

    def on_change(self, tell: Callable[[Levels], None]) -> None:
        """
        Have this one told which levels are in force, now and from now on.
        """
        self._told.append(tell)
        tell(self._levels)

    def use(self, section: schema.Log) -> None:
        """
        Go by another [log]; what was set by hand goes on to hold.
        """
        self._section = section
        self._apply()

    async def restore(self) -> None:
        """
        Take up what was set by hand before the last restart.
        """
        try:
            level, others = await self._storage.get(KEY), await self._storage.get(NAMESPACES)
        except StorageError as trouble:
            log.error("the log level set by hand cannot be read, the configured one holds: {why}", why=str(trouble))
            return
        self._by_hand = _levels_in(others)
        if level in LEVELS:
            self._by_hand[""] = level
        self._apply()
        for namespace, each in self._by_hand.items():
            log.warn(
                "log level {by_hand}, set by hand, holds{whom} instead of {file}",
                by_hand=each,
                whom=f" for {namespace}" if namespace else "",
                file=self.configured_for(namespace),
            )

    async def set_by_hand(self, level: str | None, namespace: str = "") -> None:
        """
        Log at this level across restarts, or with None at the configured one again: all, or what `namespace` and those
        below it say. ValueError for no level at all, or for too many; StorageError, and nothing is changed, if it
        cannot be kept.
        """
        if level is not None and level not in LEVELS:
            raise ValueError(f"{level!r} is no log level: there are {', '.join(LEVELS)}")
        await self._setting.run(lambda: Deferred.fromCoroutine(self._set(level, namespace)))

    async def _set(self, level: str | None, namespace: str) -> None:
        wanted = {**self._by_hand, namespace: level}
        if len(wanted) > MOST:
            raise ValueError(f"there are {MOST} log levels set by hand already")
        held = {name: each for name, each in wanted.items() if each is not None}
        if namespace:
            await self._keep(NAMESPACES, json.dumps({name: held[name] for name in held if name}))
        else:
            await self._keep(KEY, level)
        self._by_hand = held
        self._apply()

    async def _keep(self, key: str, text: str | None) -> None:
        if text is None or text == "{}":
            await self._storage.delete(key)
        else:
            await self._storage.put(key, text)

    def _apply(self) -> None:
        differing = {**self._section.levels, **self._by_hand}
        self._levels = Levels(differing.pop("", self._section.level), differing)
        for tell in self._told:
            tell(self._levels)
        for observer in self._observers:
            observer.reconfigure(self._section)
            observer.use_levels(self._levels)


def _levels_in(text: str | None) -> dict[str, str]:
    """
    Read the levels of namespaces, as far as this version knows them.
    """
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: level for name, level in found.items() if name and level in LEVELS}
