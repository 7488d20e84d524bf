"""
Few at once: checks of passwords take turns, so that they leave threads, memory and processors to the mail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore

from empath.errors import AuthenticatorUnavailable
from empath.interfaces import InThread

T = TypeVar("T")

AT_ONCE: Final = 2  # of the threads that files use, too
MAX_WAITING: Final = 200


class Turns:
    """
    Runs calls in threads, `at_once` of them; when `max_waiting` wait already, more are refused.

    Whoever no longer wants an answer may cancel: a call that waits is dropped, one that runs keeps its turn until it is
    done, so that clients which come and go cannot pile up work.
    """

    def __init__(self, in_thread: InThread[Any], at_once: int = AT_ONCE, max_waiting: int = MAX_WAITING) -> None:
        self._in_thread = in_thread
        self._semaphore = DeferredSemaphore(at_once)
        self._max_waiting = max_waiting

    async def run(self, call: Callable[[], T], known: Callable[[], T | None]) -> T:
        """
        Run `call` in a thread when its turn comes, unless `known` tells the answer by then.

        AuthenticatorUnavailable: too many wait. What the call raises is raised.
        """
        if len(self._semaphore.waiting) >= self._max_waiting:
            raise AuthenticatorUnavailable("too many logins are being checked")
        await self._semaphore.acquire()
        found = known()
        if found is not None:
            self._semaphore.release()
            return found
        return await self._started(call)

    def _started(self, call: Callable[[], T]) -> Deferred[T]:
        """
        Begin a call, and give a Deferred whose cancellation does not reach it.
        """
        answer: Deferred[T] = Deferred()

        def done(result: Any) -> None:
            answer.callback(result)  # a Failure, too; dropped where the answer was cancelled
            self._semaphore.release()  # afterwards: the next one may know by now what it wants to

        self._in_thread(call).addBoth(done)
        return answer
