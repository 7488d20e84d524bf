"""
What a module makes us wait for, within its time: the one who asked hears of it once, whatever the module does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure


class Wait:
    """
    Waits at most `budget` seconds, then cancels and calls `ended` with what came: a result, a Failure, or `LATE`. What
    the module does after that is nobody's business any more.

    `ended` may be called before `begin` returns. `let_go` cancels, too, and `ended` is not called.
    """

    __slots__ = ("_budget", "_clock", "_ended", "_timer", "_work")

    def __init__(self, budget: float, clock: IReactorTime, ended: Callable[[Any], None]) -> None:
        self._budget = budget
        self._clock = clock
        self._ended: Callable[[Any], None] | None = ended
        self._timer: IDelayedCall | None = None
        self._work: Deferred[Any] | None = None

    def begin(self, awaitable: Awaitable[Any]) -> None:
        """
        Wait for this; called once.
        """
        self._work = deferred_of(awaitable)
        self._work.addBoth(self._done)
        if self._ended is not None:
            self._timer = self._clock.callLater(self._budget, self.give_up)

    def let_go(self) -> None:
        """
        Stop waiting.
        """
        if self._ended is not None:
            self._end()
            self._cancel()

    def _end(self) -> Callable[[Any], None] | None:
        """
        Take what is to be called, which only the first can.
        """
        ended, self._ended = self._ended, None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        return ended

    def give_up(self) -> None:
        """
        The time is over.
        """
        ended = self._end()
        self._cancel()
        if ended is not None:
            ended(LATE)

    def _cancel(self) -> None:
        with contextlib.suppress(BaseException):  # a canceller is the module's code
            if self._work is not None:
                self._work.cancel()

    def _done(self, result: Any) -> Any:
        """
        Hand on what came; a result stays that of the Deferred, in case that somebody else waits for it.
        """
        ended = self._end()
        if ended is not None:
            ended(result)
        return None if isinstance(result, Failure) else result


class _Late:
    """
    The answer that did not come in time.
    """


LATE = _Late()


def deferred_of(awaitable: Awaitable[Any]) -> Deferred[Any]:
    """
    Make a Deferred of anything that can be awaited.
    """
    if isinstance(awaitable, Deferred):
        return awaitable
    if isinstance(awaitable, Coroutine):
        return Deferred.fromCoroutine(awaitable)
    return Deferred.fromCoroutine(_awaited(awaitable))


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def discard(answer: object) -> None:
    """
    Let go of what a hook returned and nobody wants, so that it does not complain of it.
    """
    with contextlib.suppress(BaseException):  # the module's code, at its end
        if isinstance(answer, Deferred):
            answer.addErrback(_nothing)
            answer.cancel()
        elif isinstance(answer, Coroutine):
            answer.close()


def _nothing(_: object) -> None:
    return None
