"""
Waiting for something in bounded time.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

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
