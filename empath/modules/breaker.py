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

REFUSED: Final = 0  # what `admits` tells: not now,
ADMITTED: Final = 1  # a call like any other,
TRIAL: Final = 2  # or the one that finds out

log = Logger()


class Breaker:
    """
    Opens after `threshold` failures in a row, for `retry_after` seconds; then one call is let through, and its end
    closes it or opens it again.

    Failures of a hook are in a row until that hook succeeds: that another one, which may do nothing, has no trouble
    proves nothing. So it is a hook that failed whose call finds out, and the others are asked again meanwhile.

    `failures` counts those in a row, of all hooks: as long as it is 0 there is nothing to ask, and no success to tell.
    """

    __slots__ = ("_by_hook", "_clock", "_module", "_retry_after", "_threshold", "_until", "failures", "state")

    def __init__(self, module: str, threshold: int, retry_after: float, clock: IReactorTime) -> None:
        self._module = module
        self._threshold = threshold
        self._retry_after = retry_after
        self._clock = clock
        self._until = 0.0
        self._by_hook: dict[str, int] = {}
        self.failures = 0
        self.state = CLOSED

    def admits(self, hook: str) -> int:
        """
        Tell whether the module may be asked now: REFUSED, ADMITTED or TRIAL. The end of a call that may be made has to
        be told with that, or that it was `released`.
        """
        if self.state == CLOSED:
            return ADMITTED
        if self._rests():
            return REFUSED
        if hook not in self._by_hook:
            return ADMITTED
        if self.state == HALF_OPEN:
            return REFUSED
        self.state = HALF_OPEN
        return TRIAL

    def failed(self, hook: str, admitted: int) -> None:
        """
        Take note of a failure. One that was asked before the breaker opened says nothing new.
        """
        self.failures += 1
        self._by_hook[hook] = self._by_hook.get(hook, 0) + 1
        if self.state == CLOSED:
            if self.failures < self._threshold:
                return
        elif admitted != TRIAL and (self.state == HALF_OPEN or self._rests()):
            return
        self.state = OPEN
        self._until = self._clock.seconds() + self._retry_after
        log.warn(
            "module {module}: failed {failures} times in a row, not asked for {seconds:g} s",
            module=self._module,
            failures=self.failures,
            seconds=self._retry_after,
        )

    def succeeded(self, hook: str, admitted: int) -> None:
        """
        Take note of a success. One that was asked before the breaker opened does not close it.
        """
        if self.state != CLOSED:
            if admitted != TRIAL:
                return
            log.info("module {module}: works again", module=self._module)
            self.state = CLOSED
        self.failures -= self._by_hook.pop(hook, 0)

    def released(self, admitted: int) -> None:
        """
        A call ended without telling anything: the next one may find out.
        """
        if admitted == TRIAL:
            self.state = OPEN
            self._until = self._clock.seconds()

    def _rests(self) -> bool:
        """
        Tell whether the module is to be left alone; more time is left than that only if the clock was set back.
        """
        return self.state == OPEN and 0.0 < self._until - self._clock.seconds() <= self._retry_after
