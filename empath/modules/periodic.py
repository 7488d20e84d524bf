"""
What a module has called again and again: rounds never overlap, and none of them is the last one because it failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from empath.modules.waiting import deferred_of

SHORTEST: Final = 0.1  # seconds

log = Logger()


class Rounds:
    """
    Calls `call` every `seconds`, first after that time.
    """

    def __init__(self, module: str, seconds: float, call: Callable[[], object], clock: IReactorTime) -> None:
        self._module = module
        self._call = call
        self._round: Deferred[object] | None = None
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock
        self._loop.start(max(seconds, SHORTEST), now=False)

    def stop(self) -> None:
        """
        Make no more rounds, and cancel the one that runs; harmless when repeated.
        """
        if self._loop.running:
            self._loop.stop()
        if self._round is not None:
            with contextlib.suppress(BaseException):  # a canceller is the module's code
                self._round.cancel()

    def _begin(self) -> Deferred[object] | None:
        try:
            answer = self._call()
        except BaseException:  # a module's code, and a loop that has to go on
            self._failed(Failure())
            return None
        if not isinstance(answer, Awaitable):
            return None
        self._round = running = deferred_of(answer)
        return running.addErrback(self._failed).addBoth(self._ended)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) and not self._loop.running:
            return
        log.emit(
            LogLevel.error,
            "module {module}: what it does now and then failed: {reason}",
            module=self._module,
            reason=failure.getErrorMessage(),
            log_failure=failure,
        )

    def _ended(self, _: object) -> None:
        self._round = None
