"""
What is said of a collector that does not take what it should, and how much was lost: rarely, however bad it is.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

SAID_EVERY: Final = 60.0  # seconds between two words on losses

log = Logger()


class Losses:
    """
    Counts what of this `signal` ("traces", "logs" or "metrics") is lost and sent, and requests that failed, and tells
    in the log.
    """

    def __init__(self, signal: str, clock: IReactorTime) -> None:
        self.lost = 0
        self.sent = 0
        self.failures = 0
        self._signal = signal
        self._clock = clock
        self._trouble = ""
        self._before = 0
        self._untold = 0
        self._reason = ""
        self._said = 0.0

    def lose(self, count: int, reason: str) -> None:
        """
        Count what will not get there.
        """
        self.lost += count
        self._untold += count
        self._reason = reason or self._reason

    def failed(self, why: str) -> None:
        """
        Count a request that was not taken; say why nothing goes, once until it goes again.
        """
        self.failures += 1
        if not self._trouble:
            self._before = self.lost
            log.warn("{signal} do not get to their collector: {why}", signal=self._signal, why=why)
        self._trouble = why

    def went(self, count: int) -> None:
        """
        Count what got there; say that it goes again, if it did not.
        """
        self.sent += count
        if self._trouble:
            self._trouble = ""
            lost, self._untold = self.lost - self._before, 0
            log.info("{signal} get to their collector again; {lost} lost", signal=self._signal, lost=lost)

    def figures(self, waiting: int) -> dict[str, int]:
        """
        Give the numbers for monitoring.
        """
        return {"sent": self.sent, "lost": self.lost, "failures": self.failures, "waiting": waiting}

    def tell(self, now: bool = False) -> None:
        """
        Say what was lost since this was last said, if that is long enough ago, or has to be `now`.
        """
        seconds = self._clock.seconds()
        if self._untold and (now or seconds - self._said >= SAID_EVERY):
            count, self._untold, self._said = self._untold, 0, seconds
            reason = self._reason or self._trouble or "they come faster than they go"
            log.warn("{signal}: {count} lost: {why}", signal=self._signal, count=count, why=reason)
