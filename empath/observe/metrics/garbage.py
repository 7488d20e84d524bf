"""
How long the process stands still while Python's garbage collector looks for cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from empath.observe.metrics.counts import PAUSES, Histograms

GENERATIONS: Final = ("0", "1", "2")

Callback = Callable[[str, dict[str, Any]], object]


class GarbagePauses:
    """
    Measures from `start` to `stop`, as one of the interpreter's `callbacks` (`gc.callbacks`): two calls a collection,
    which makes 20,000 objects and more. `durations` are by generation. A collection may run in any thread, but only one
    at a time. `now` is in seconds, since whenever.
    """

    __slots__ = ("_began", "_callbacks", "_now", "durations")

    def __init__(self, callbacks: list[Callback], now: Callable[[], float] = perf_counter) -> None:
        self._callbacks = callbacks
        self._now = now
        self._began = 0.0
        self.durations = Histograms(PAUSES, known=GENERATIONS)

    def start(self) -> None:
        """
        Begin to measure; harmless when repeated.
        """
        if self._heard not in self._callbacks:
            self._callbacks.append(self._heard)

    def stop(self) -> None:
        """
        Measure no more; harmless when repeated.
        """
        if self._heard in self._callbacks:
            self._callbacks.remove(self._heard)

    def _heard(self, phase: str, told: dict[str, Any]) -> None:
        if phase == "start":
            self._began = self._now()
        elif self._began:
            self.durations.observe(str(told["generation"]), self._now() - self._began)
            self._began = 0.0
