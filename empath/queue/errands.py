"""
Work that is done in the background, by name, however often it fails.

Retried, with growing pauses: all that spool, storage or a bug keep from being done. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.errors import SpoolError, StorageError
from empath.mail.queue_id import is_queue_id

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

log = Logger()


class Errands:
    """
    At most one of each name at a time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._running: dict[str, Deferred[None]] = {}

    def begin(self, name: str, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """
        Do this instead of what is being done under the name.
        """
        before = self._running.pop(name, None)
        if before is not None:
            before.cancel()
        errand = Deferred.fromCoroutine(work)
        if not errand.called:
            self._running[name] = errand
            errand.addBoth(partial(self._over, name, errand))
        return errand

    def close(self) -> None:
        """
        End what is under way.
        """
        for errand in list(self._running.values()):
            errand.cancel()

    async def insist(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """
        Do a step, however often it fails.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                await work()
            except (SpoolError, StorageError) as error:
                log.warn("{name}: not done yet, tried again: {error}", error=error, **_named(name))
            except CancelledError:
                raise
            except Exception:
                log.failure("{name}: not done yet, tried again", **_named(name))
            else:
                return
            await deferLater(self._clock, pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _over(self, name: str, errand: Deferred[None], _: object) -> None:
        if self._running.get(name) is errand:
            del self._running[name]


async def followed(errand: Deferred[None]) -> None:
    """
    Wait until it is over; whoever stops waiting does not stop it.
    """
    over: Deferred[None] = Deferred()
    errand.addBoth(_pass_on, over)
    await over


def _pass_on(_: object, over: Deferred[None]) -> None:
    if not over.called:
        over.callback(None)


def _named(name: str) -> dict[str, Any]:
    """
    Give the fields of a log record about an errand, which may be about a message.
    """
    return {"name": name, "queue_id": name} if is_queue_id(name) else {"name": name}
