"""
How a limit that nobody tells is found again and again (after CUBIC, RFC 9438): fall, come back quickly to where it was
too much, stay there for long, then try ever more.
"""

from __future__ import annotations

from typing import Final

DOUBLED: Final = 2.0  # seconds in which a value doubles while nobody knows where the trouble begins
PLATEAU: Final = 60.0  # seconds within which even the lowest value is back at the top, and another 60 double that
STEPS: Final = 20.0  # what the plateau lasts at least, in times that one event takes at the top
LIFTED: Final = 8.0  # so many times the top without trouble: there is no limit any more
LIFTED_UNKNOWN: Final = 64.0  # the same where the top is only where trouble was first met


class Curve:
    """
    A value that is `low` now and climbs to `top`, where there was trouble, and beyond, as `climb` lets time pass. While
    `searching` it doubles and doubles again, as the first trouble says little of where the limit is.

    Where an event takes time (`events` a second at the top), the climb takes at least that of 20 of them.
    """

    __slots__ = ("_flat", "_low", "_passed", "_span", "searching", "top", "value")

    def __init__(self, top: float, low: float, events: float, *, searching: bool = False) -> None:
        self.top = top
        self.searching = searching
        self.value = self._low = min(low, top)
        self._passed = 0.0
        self._span = max(PLATEAU, STEPS / events)
        self._flat: float = (1.0 - self._low / top) ** (1.0 / 3.0)  # where the curve is level, in spans

    def climb(self, seconds: float) -> None:
        """
        Let time pass without trouble.
        """
        if self.searching:
            self.value *= 2.0 ** (seconds / DOUBLED)
            return
        self._passed += seconds
        x = self._passed / self._span - self._flat
        self.value = max(self._low, self.top * (1.0 + x * x * x))

    @property
    def lifted(self) -> bool:
        """
        Whether it has climbed so far that there cannot be a limit near the top.
        """
        return self.value >= self.top * (LIFTED_UNKNOWN if self.searching else LIFTED)
