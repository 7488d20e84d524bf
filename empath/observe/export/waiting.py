"""
What waits for a collector, so much of it and no more: the oldest goes first, and goes where there is no room.
"""

from __future__ import annotations

from collections import deque
from threading import RLock
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """
    Holds `most` items at most, and no more of them than take `most_octets` of memory, by the word of who hands them in.
    All threads may use it; the lock is taken again where the garbage collector has somebody log meanwhile.
    """

    def __init__(self, most: int, most_octets: int) -> None:
        self._most = most
        self._most_octets = most_octets
        self._items: deque[tuple[T, int]] = deque()
        self._octets = 0
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T, octets: int) -> int:
        """
        Take something in; tell how much is lost by that.
        """
        with self._lock:
            self._items.append((item, octets))
            self._octets += octets
            return self._lost()

    def fills(self, most: int, most_octets: int) -> bool:
        """
        Tell whether so many items wait, or ones of so much memory.
        """
        return len(self._items) >= most or self._octets >= most_octets

    def put_back(self, items: list[tuple[T, int]]) -> int:
        """
        Take in again what was taken, before what came since; tell how much is lost by that.
        """
        with self._lock:
            self._items.extendleft(reversed(items))
            self._octets += sum(octets for _, octets in items)
            return self._lost()

    def take(self, most: int, most_octets: int) -> list[tuple[T, int]]:
        """
        Give the oldest: so many, and no more octets, but one in any case.
        """
        taken: list[tuple[T, int]] = []
        with self._lock:
            while self._items and len(taken) < most:
                most_octets -= self._items[0][1]
                if taken and most_octets < 0:
                    break
                taken.append(self._next())
        return taken

    def clear(self) -> None:
        """
        Forget all of it.
        """
        with self._lock:
            self._items.clear()
            self._octets = 0

    def _next(self) -> tuple[T, int]:
        item = self._items.popleft()
        self._octets -= item[1]
        return item

    def _lost(self) -> int:
        lost = 0
        while len(self._items) > self._most or self._octets > self._most_octets:
            self._next()
            lost += 1
        return lost
