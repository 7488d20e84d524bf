"""
Times at which something may go on that a limit holds. Plain data.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf

from empath.queue.line import Gate, Line


class Timers:
    """
    A heap of times, in seconds since the epoch, with the line or gate that waits for each; None: everybody.
    """

    __slots__ = ("_sequence", "_then", "_total", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Line | Gate | None]] = []
        self._sequence = 0
        self._then = 0.0
        self._total = 0.0

    @property
    def next(self) -> float | None:
        """
        The earliest time.
        """
        return self.heap[0][0] if self.heap else None

    def come(self, now: float) -> float | None:
        """
        Tell up to which time all have come that are in the heap: now, or for ever where the clock was set back; None if
        none has.
        """
        back, self._then = now < self._then, now
        if back:
            return inf
        return now if self.heap[0][0] <= now else None

    def add(self, when: float, what: Line | Gate | None) -> None:
        """
        Remember a time.
        """
        self._sequence += 1
        heappush(self.heap, (when, self._sequence, what))

    def add_total(self, when: float) -> None:
        """
        Remember when everybody may go on, unless that is known already.
        """
        if not self._total:
            self._total = when
            self.add(when, None)

    def take(self, now: float) -> Iterator[tuple[float, Line | Gate | None]]:
        """
        Give all whose time has come, the earliest first, and forget them.
        """
        while self.heap and self.heap[0][0] <= now:
            when, _, what = heappop(self.heap)
            if what is None:
                self._total = 0.0
            yield when, what

    def lines(self) -> Iterator[Line]:
        """
        All lines that wait for a time.
        """
        return (what for _, _, what in self.heap if isinstance(what, Line))

    def gates(self) -> Iterator[Gate]:
        """
        All gates that are called when their time comes.
        """
        return (what for when, _, what in self.heap if isinstance(what, Gate) and what.until == when)

    def clear(self) -> None:
        """
        Forget all.
        """
        self.heap.clear()
        self._total = 0.0
