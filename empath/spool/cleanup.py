"""
Content files that could not be deleted: tried again after 2, 4, 8 … seconds, and given up at last, which
the life event tells whoever logs loudly.

Fatal: nothing. Given up means until the next start, whose sweep finds every file without a message.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.interfaces import InThread
from empath.mail.life import CleanupGivenUp, Emit

log = Logger()

SHORTEST: Final = 1.0  # seconds between two rounds: each looks at all that failed


@attrs.define(slots=True)
class _Failed:
    first_failure: float
    due: float
    attempts: int = 0


class Cleanup:
    """
    Deletes content with `delete` in `in_thread`, and repeats what failed; `max_attempts` counts the repetitions.
    """

    def __init__(
        self,
        delete: Callable[[str], None],
        in_thread: InThread[Any],
        clock: IReactorTime,
        emit: Emit,
        max_attempts: int,
    ) -> None:
        self.max_attempts = max_attempts
        self.failures = 0
        self._delete = delete
        self._in_thread = in_thread
        self._clock = clock
        self._emit = emit
        self._failed: dict[str, _Failed] = {}
        self._timer: IDelayedCall | None = None
        self._round: Deferred[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._failed)

    def waiting(self) -> list[str]:
        """
        Give the names of the content that is still to be deleted.
        """
        return list(self._failed)

    async def remove(self, name: str, now: float) -> None:
        """
        Delete the content of this name, now or later; never fails.
        """
        try:
            await self._run(name)
        except Exception as failure:
            self.failed(name, now, failure)

    def failed(self, name: str, now: float, failure: Exception) -> None:
        """
        Take note that the content of this name is still there.
        """
        self.failures += 1
        if name not in self._failed:
            log.warn("{queue_id}: its content was not deleted: {error}", queue_id=name, error=str(failure))
            self._failed[name] = _Failed(now, now + 2)
            self._look_at(now + 2)

    async def retry(self, now: float) -> int:
        """
        Try again what is due; tells how much is still to be deleted.
        """
        for name, failed in list(self._failed.items()):
            if failed.due <= now and name in self._failed and not self._closed:
                await self._again(name, failed, now)
        if self._failed:
            self._look_at(min(failed.due for failed in self._failed.values()))
        return len(self._failed)

    async def close(self) -> None:
        """
        Repeat nothing more; waits for what is under way.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round is not None:
            await self._round

    def _look_at(self, due: float) -> None:
        """
        Have a round when this is due, or before.
        """
        if self._closed or self._round is not None:
            return
        now = self._clock.seconds()
        wait = max(SHORTEST, due - now)
        if self._timer is None:
            self._timer = self._clock.callLater(wait, self._begin)
        elif self._timer.getTime() > now + wait:
            self._timer.reset(wait)

    def _begin(self) -> None:
        self._timer = None
        self._round = Deferred.fromCoroutine(self._look())
        self._round.addBoth(self._looked)

    async def _look(self) -> None:
        await self.retry(self._clock.seconds())

    def _looked(self, result: Failure | None) -> None:
        self._round = None
        if result is not None:
            log.failure("the cleanup failed", failure=result)
        if self._failed:
            self._look_at(min(failed.due for failed in self._failed.values()))

    async def _again(self, name: str, failed: _Failed, now: float) -> None:
        failed.attempts += 1
        failed.due = now + 2 ** (failed.attempts + 1)
        try:
            await self._run(name)
        except Exception as failure:
            self.failures += 1
            if failed.attempts >= self.max_attempts:
                self._give_up(name, failed, failure)
            return
        self._failed.pop(name, None)

    def _give_up(self, name: str, failed: _Failed, failure: Exception) -> None:
        self._failed.pop(name, None)
        self._emit(CleanupGivenUp(name, failed.attempts, failed.first_failure, str(failure)))

    def _run(self, name: str) -> Deferred[None]:
        done: Deferred[None] = self._in_thread(partial(self._delete, name))
        return done
