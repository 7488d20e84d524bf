"""
Work that is done again and again: rounds never overlap, and a round that fails is logged and not the last one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from empath.errors import SpoolError

log = Logger()

SHORTEST: Final = 0.1


class Periodic:
    """
    Calls `work` every `interval` seconds (never more often than every 0.1 s); `what` names it in the log.
    """

    def __init__(self, what: str, work: Callable[[], Awaitable[object]], interval: float, clock: IReactorTime) -> None:
        self._what = what
        self._work = work
        self._interval = interval
        self._round: Deferred[None] | None = None
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock

    def start(self, now: bool = False) -> None:
        """
        Begin, with the first round at once or after one interval.
        """
        self._loop.start(max(self._interval, SHORTEST), now=now)

    def stop(self) -> None:
        """
        Make no more rounds and cancel the one that runs; harmless when repeated.
        """
        if self._loop.running:
            self._loop.stop()
        if self._round is not None:
            self._round.cancel()

    def reconfigure(self, interval: float) -> None:
        """
        Use another interval, counted from now.
        """
        if interval == self._interval:
            return
        self._interval = interval
        self._loop.interval = max(interval, SHORTEST)
        if self._loop.running:
            self._loop.reset()

    def _begin(self) -> Deferred[None]:
        self._round = Deferred.fromCoroutine(self._guarded())
        return self._round

    async def _guarded(self) -> None:
        try:
            await self._work()
        except CancelledError:
            pass  # stopping
        except SpoolError as error:
            log.warn("{what} failed, tried again next time: {error}", what=self._what, error=error)
        except Exception:
            log.failure("{what} failed", what=self._what)
        finally:
            self._round = None
