"""
The breaker of a module: one that fails again and again is not asked for a while.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

CLOSED: Final = 0  # the module is asked
OPEN: Final = 1  # it is not
HALF_OPEN: Final = 2  # one call finds out whether it works again

log = Logger()


class Breaker:
    """
    Opens after `threshold` failures in a row, for `retry_after` seconds; then one call is let through, and its end
    closes it or opens it again.

    `failures` counts those in a row: as long as it is 0 there is nothing to ask, and no success to tell.
    """

    __slots__ = ("_clock", "_module", "_retry_after", "_threshold", "_until", "failures", "state")

    def __init__(self, module: str, threshold: int, retry_after: float, clock: IReactorTime) -> None:
        self._module = module
        self._threshold = threshold
        self._retry_after = retry_after
        self._clock = clock
        self._until = 0.0
        self.failures = 0
        self.state = CLOSED

    def admits(self) -> bool:
        """
        Tell whether the module may be asked now. If so, the call's end has to be told, or that it was `released`.
        """
        if self.state == CLOSED:
            return True
        left = self._until - self._clock.seconds()
        if self.state == HALF_OPEN or 0.0 < left <= self._retry_after:  # more is left only if the clock was set back
            return False
        self.state = HALF_OPEN
        return True

    def failed(self) -> None:
        """
        Take note of a failure.
        """
        self.failures += 1
        if self.state == OPEN or (self.state == CLOSED and self.failures < self._threshold):
            return
        self.state = OPEN
        self._until = self._clock.seconds() + self._retry_after
        log.warn(
            "module {module}: failed {failures} times in a row, not asked for {seconds:g} s",
            module=self._module,
            failures=self.failures,
            seconds=self._retry_after,
        )

    def succeeded(self) -> None:
        """
        Take note of a success. One that was asked before the breaker opened does not close it.
        """
        if self.state == OPEN:
            return
        if self.state == HALF_OPEN:
            log.info("module {module}: works again", module=self._module)
        self.state = CLOSED
        self.failures = 0

    def released(self) -> None:
        """
        A call ended without telling anything: the next one may find out.
        """
        if self.state == HALF_OPEN:
            self.state = OPEN
            self._until = self._clock.seconds()
