"""
How late the reactor's loop is: how long anything that is due waits for its turn. Measured while somebody looks.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EVERY: Final = 0.1  # seconds between two measurements
REMEMBERED: Final = 50  # measurements
PATIENCE: Final = 15.0  # seconds that nobody has looked, after which no more is measured


class LoopLatency:
    """
    Measures from the first `look` on, until nobody looks any more.
    """

    __slots__ = ("_call", "_clock", "_due", "_late", "_looked")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._due = self._looked = 0.0
        self._late: deque[float] = deque(maxlen=REMEMBERED)

    def look(self) -> float:
        """
        Tell the worst of the latest measurements, in seconds; 0.0 before the first.
        """
        self._looked = self._clock.seconds()
        if self._call is None:
            self._late.clear()
            self._begin()
        return max(self._late, default=0.0)

    def stop(self) -> None:
        """
        Measure no more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _begin(self) -> None:
        self._due = self._clock.seconds() + EVERY
        self._call = self._clock.callLater(EVERY, self._measure)

    def _measure(self) -> None:
        self._call = None
        now = self._clock.seconds()
        self._late.append(max(0.0, now - self._due))
        if now - self._looked < PATIENCE:
            self._begin()
