"""
Content files that could not be deleted: tried again after 2, 4, 8 … seconds, and given up at last, which
the life event tells whoever logs loudly.

Given up means until the next start, whose sweep finds every file without a message.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.interfaces import InThread
from empath.mail.life import CleanupGivenUp, Emit

log = Logger()


@attrs.define(slots=True)
class _Failed:
    first_failure: float
    due: float
    attempts: int = 0


class Cleanup:
    """
    Deletes content with `delete` in `in_thread`, and keeps what failed; `max_attempts` counts the repetitions.
    """

    def __init__(self, delete: Callable[[str], None], in_thread: InThread[Any], emit: Emit, max_attempts: int) -> None:
        self.max_attempts = max_attempts
        self.failures = 0
        self._delete = delete
        self._in_thread = in_thread
        self._emit = emit
        self._failed: dict[str, _Failed] = {}

    def __len__(self) -> int:
        return len(self._failed)

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

    async def retry(self, now: float) -> int:
        """
        Try again what is due; tells how much is still to be deleted.
        """
        for name, failed in list(self._failed.items()):
            if failed.due <= now and name in self._failed:
                await self._again(name, failed, now)
        return len(self._failed)

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
