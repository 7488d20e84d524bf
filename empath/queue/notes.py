"""
What the queue keeps beside mail: how sites fare and what an operator set while we ran, by key.

Retried: what cannot be stored now, with the next change and with each round of the watchdog. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from empath.errors import StorageError
from empath.interfaces import IStorage

log = Logger()

KEPT: Final = 7 * 86400.0  # seconds


class Notes:
    """
    Writes to `storage`, one after the other, of each key only the newest text; `now` tells the time. `failures` counts
    how often that failed.
    """

    def __init__(self, storage: IStorage, now: Callable[[], float]) -> None:
        self.failures = 0
        self._storage = storage
        self._now = now
        self._unwritten: dict[str, tuple[str | None, bool]] = {}
        self._stored: set[str] = set()
        self._writing: Deferred[None] | None = None

    def keep(self, key: str, text: str | None, forever: bool = False) -> None:
        """
        Store a text, for a week unless it is to stay; None: forget the key.
        """
        if text is None and key not in self._stored and key not in self._unwritten:
            return
        self._unwritten[key] = (text, forever)
        self.write()

    def write(self) -> None:
        """
        Write what is unwritten, unless that is being done.
        """
        if self._writing is None and self._unwritten:
            writing = Deferred.fromCoroutine(self._write())
            if not writing.called:
                self._writing = writing

    async def read(self) -> dict[str, str]:
        """
        Give all that is stored.
        """
        found: dict[str, str] = {}
        after = ""
        while page := await self._storage.items(after):
            found.update(page)
            after = page[-1][0]
        self._stored.update(found)
        return found

    async def close(self) -> None:
        """
        Write what is unwritten, as far as that is possible.
        """
        self.write()
        if self._writing is not None:
            await self._writing

    async def flush(self) -> None:
        """
        Have all on stable storage; StorageError if that cannot be: it is tried again, but somebody waits to be told.
        """
        while self._unwritten or self._writing is not None:
            failures = self.failures
            await self.close()
            if self.failures != failures:
                raise StorageError("what was set cannot be stored now")

    async def _write(self) -> None:
        unwritten = self._unwritten
        try:
            while unwritten:
                key = next(iter(unwritten))
                await self._put(key, *unwritten.pop(key))
        except StorageError as error:
            self.failures += 1
            log.warn("how sites fare cannot be stored, tried again: {error}", error=error)
        except CancelledError:
            pass  # stopping
        except Exception:
            self.failures += 1
            log.failure("how sites fare cannot be stored")
        finally:
            self._writing = None

    async def _put(self, key: str, text: str | None, forever: bool) -> None:
        """
        Write one; if that fails it stays unwritten, unless there is something newer.
        """
        try:
            if text is None:
                await self._storage.delete(key)
                self._stored.discard(key)
            else:
                await self._storage.put(key, text, None if forever else self._now() + KEPT)
                self._stored.add(key)
        except BaseException:
            self._unwritten.setdefault(key, (text, forever))
            raise
