"""
How late the reactor's loop is: how long anything that is due waits for its turn.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from empath.observe.metrics.counts import LATENCIES, Histogram

EVERY: Final = 0.25  # seconds between two measurements: each wakes a process that may have nothing else to do
REMEMBERED: Final = 20  # measurements
PATIENCE: Final = 15.0  # seconds that nobody has looked, after which no more is measured


class LoopLatency:
    """
    Measures from `start` to `stop`, for less than 0.1 % of a processor; without `start` from the first `look` on, until
    nobody looks any more. `durations` counts all that was measured.
    """

    __slots__ = ("_always", "_call", "_clock", "_due", "_late", "_looked", "durations")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._always = False
        self.durations = Histogram(LATENCIES)
        self._call: IDelayedCall | None = None
        self._due = self._looked = 0.0
        self._late: deque[float] = deque(maxlen=REMEMBERED)

    def start(self) -> None:
        """
        Measure until `stop`, whether anybody looks or not.
        """
        self._always = True
        if self._call is None:
            self._begin()

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
        self._always = False
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _begin(self) -> None:
        self._due = self._clock.seconds() + EVERY
        self._call = self._clock.callLater(EVERY, self._measure)

    def _measure(self) -> None:
        self._call = None
        now = self._clock.seconds()
        late = max(0.0, now - self._due)
        self._late.append(late)
        self.durations.observe(late)
        if self._always or now - self._looked < PATIENCE:
            self._begin()
