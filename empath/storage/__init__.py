"""
What modules and other parts keep beside mail: texts by owner and key, on stable storage when the Awaitable fires.

Fatal: at `open`, a file that cannot be used, unless for want of room. Operations that arrive while others are being
done form the next group; one sync serves all of it. Whoever asked hears of a failure (StorageError, StorageFull) and
decides; nothing is retried but the upkeep (see `upkeep`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import StorageError, StorageFull
from empath.interfaces import InThread
from empath.storage import upkeep
from empath.storage.file import Operation, StorageFile
from empath.storage.owned import Storage
from empath.storage.upkeep import MOST_KEYS

MOST_WAITING: Final = 10_000  # operations
MOST_OCTETS: Final = 32 * 1024 * 1024  # of keys and values that wait
UPKEEP_INTERVAL: Final = 60.0
UPKEEP_PAUSE: Final = 0.25  # between steps, while there is more
TELLING_INTERVAL: Final = 3600.0  # between two warnings of modules that store too much
log = Logger()


class Storages:
    """
    Gives each module, and each part of the service that asks, its storage, all of it in one SQLite file at `path`, or
    in memory for None.

    `in_thread` runs one call at a time, in the order given. `most` is how many keys of one owner may stay that expire.
    """

    def __init__(self, path: str | None, in_thread: InThread[Any], clock: IReactorTime, most: int = MOST_KEYS) -> None:
        self._file = StorageFile(path)
        self._in_thread = in_thread
        self._clock = clock
        self._waiting: list[Operation] = []
        self._octets = 0
        self._under_way: list[Operation] = []
        self._idle: list[Deferred[None]] = []
        self._closed = True
        self._upkeep: IDelayedCall | None = None
        self._most = most
        self._surplus: tuple[tuple[str, int], ...] = ()
        self._told: float | None = None

    def open(self) -> None:
        """
        Make or open the file; blocks. StorageError, in one line, if it cannot be used. On a full disk it is opened by
        the first operation that finds room.
        """
        try:
            self._file.open()
        except StorageFull as failure:
            log.warn("nothing can be stored beside mail now: {error}", error=failure)
        self._closed = False
        self._keep_up_in(UPKEEP_INTERVAL)

    async def close(self) -> None:
        """
        Finish all that was asked for, then let go of the file; what comes after that fails.
        """
        if self._closed:
            return
        self._closed = True
        if self._upkeep is not None and self._upkeep.active():
            self._upkeep.cancel()
        if self._under_way:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle
        await self._in_thread(self._file.close)

    def of(self, module: str) -> Storage:
        """
        Give the storage of one module; another name is another storage.
        """
        return Storage(module, self.submit, self._clock.seconds)

    def submit(self, work: Callable[[sqlite3.Connection], Any], writes: bool, size: int) -> Deferred[Any]:
        """
        Let an operation join the next group; fires with its result. It stands even if the Deferred is cancelled.
        """
        if self._closed:
            return fail(StorageError("the storage is closed"))
        if len(self._waiting) >= MOST_WAITING or self._octets + size > MOST_OCTETS:
            return fail(StorageError("too much waits for the storage"))
        operation = Operation(work, writes, size)
        done: Deferred[Any] = Deferred(lambda _: setattr(operation, "done", None))
        operation.done = done
        self._waiting.append(operation)
        self._octets += size
        if not self._under_way:
            self._hand_over()
        return done

    def _hand_over(self) -> None:
        group = self._under_way = self._waiting
        self._waiting, self._octets = [], 0
        self._in_thread(partial(self._file.run, group)).addCallbacks(self._done, self._crashed)

    def _done(self, _: object) -> None:
        for operation in self._under_way:
            done, operation.done = operation.done, None
            if done is None:
                continue
            if operation.failure is None:
                done.callback(operation.result)
            else:
                done.errback(operation.failure)
        self._under_way = []
        if self._waiting:
            self._hand_over()
            return
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)

    def _crashed(self, failure: Failure) -> None:
        """
        The thread itself did not do its work (its pool is stopped, say): nothing of the group was done.
        """
        for operation in self._under_way:
            operation.failure = StorageError(f"the storage failed: {failure.getErrorMessage()}")
        self._done(None)

    def _keep_up_in(self, seconds: float) -> None:
        if not self._closed:
            self._upkeep = self._clock.callLater(seconds, self._keep_up)

    def _keep_up(self) -> None:
        """
        Delete some of what is to go, soon again while there is more.
        """
        step = partial(upkeep.step, self._clock.seconds(), self._surplus, self._most)
        self.submit(step, True, 0).addCallbacks(self._kept_up, self._not_kept_up)

    def _kept_up(self, did: upkeep.Step) -> None:
        self._surplus = did.surplus
        self._tell(did.found)
        more = did.surplus or did.deleted >= upkeep.STEP
        self._keep_up_in(UPKEEP_PAUSE if more else UPKEEP_INTERVAL)

    def _tell(self, found: tuple[tuple[str, int], ...]) -> None:
        """
        Warn, once an hour, of modules that store too much.
        """
        now = self._clock.seconds()
        if not found or (self._told is not None and 0.0 <= now - self._told < TELLING_INTERVAL):
            return
        self._told = now
        modules = ", ".join(module for module, _ in found)
        log.warn(
            "more than {most} keys are stored by {modules}: those that expire first are forgotten",
            most=self._most,
            modules=modules,
        )

    def _not_kept_up(self, failure: Failure) -> None:
        log.warn("the upkeep of the storage failed: {error}", error=failure.getErrorMessage())
        self._keep_up_in(UPKEEP_INTERVAL)
