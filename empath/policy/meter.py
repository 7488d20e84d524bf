"""
How much a site took lately.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 2.0  # seconds of a window, at least
ENOUGH: Final = 8  # what a window holds at least
IDLE: Final = 30.0  # but longer than so many seconds it is not
SHORTEST: Final = 1.0  # seconds for which what came counts at least: a burst is no rate


class Meter:
    """
    Counts what was taken and refused in the present window and in the one before: at least two seconds each, longer
    where little happens.
    """

    __slots__ = ("_refused", "_refused_before", "_since", "_since_before", "_took", "_took_before")

    def __init__(self) -> None:
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """
        Forget all before.
        """
        self._since = self._since_before = now
        self._took = self._took_before = self._refused = self._refused_before = 0

    def took(self, now: float) -> None:
        """
        Count one that the site took.
        """
        if not 0.0 <= now - self._since < WINDOW:
            self._roll(now)
        self._took += 1

    def refused(self, now: float) -> None:
        """
        Count one that the site did not take.
        """
        if not 0.0 <= now - self._since < WINDOW:
            self._roll(now)
        self._refused += 1

    @property
    def refusals(self) -> int:
        """
        How many it did not take.
        """
        return self._refused + self._refused_before

    @property
    def share(self) -> float:
        """
        The part that it took, of what there was.
        """
        took = self._took + self._took_before
        return took / max(1, took + self.refusals)

    def rate(self, now: float) -> float | None:
        """
        Tell how many it took in a second; None if none.
        """
        took = self._took + self._took_before
        return took / max(SHORTEST, now - self._since_before) if took else None

    def _roll(self, now: float) -> None:
        """
        Begin a window, if this one is over.
        """
        lasted = now - self._since
        if not 0.0 <= lasted < IDLE:
            self.begin(now)
        elif self._took + self._refused >= ENOUGH:
            self._since_before, self._since = self._since, now
            self._took_before, self._refused_before = self._took, self._refused
            self._took = self._refused = 0
