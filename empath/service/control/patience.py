"""
Waiting for something in bounded time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Call

R = TypeVar("R")
T = TypeVar("T")


class Late:
    """
    What took too long.
    """


LATE: Final = Late()


async def within(clock: IReactorTime, seconds: float, work: Coroutine[Any, Any, T]) -> T | Late:
    """
    Wait for work, and cancel it when it takes longer.
    """
    working = Deferred.fromCoroutine(work)
    late = False

    def too_late() -> None:
        nonlocal late
        late = True
        working.cancel()

    timer = clock.callLater(seconds, too_late)
    try:
        found: T = await working
    except CancelledError:
        if late:
            return LATE
        raise
    finally:
        if timer.active():
            timer.cancel()
    return found


def by_turns(most: int, answer: Callable[[R, Call], Awaitable[T]]) -> Callable[[R, Call], Awaitable[T]]:
    """
    Answer so many at the same time at most, and let others wait: each holds a page of what was read.
    """
    turns = DeferredSemaphore(most)

    async def answered(request: R, call: Call) -> T:
        await turns.acquire()
        try:
            return await answer(request, call)
        finally:
            turns.release()

    return answered
