"""
Who waits in a line: by age, and where some are more urgent than others, in four classes that take turns by weight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from empath.queue.entry import Entry

WEIGHTS: Final = (8, 4, 2, 1)


class Urgency(IntEnum):
    """
    The four classes that the priorities of RFC 6710 (-9 to 9) make.
    """

    CRITICAL = 0  # 6 and above
    HIGH = 1  # 1 to 5
    NORMAL = 2  # 0
    LOW = 3  # below


def urgency(priority: int) -> Urgency:
    """
    Tell the class of a priority.
    """
    if not priority:
        return Urgency.NORMAL
    if priority < 0:
        return Urgency.LOW
    return Urgency.CRITICAL if priority >= 6 else Urgency.HIGH


class Classes:
    """
    A deque of entries that gives the more urgent first, but of every fifteen one to the least urgent class: while all
    have something they get 8, 4, 2 and 1. Within a class the older goes first.

    Each class has a time at which its next turn ends, were turns as long as its weight makes them; the earliest is
    next (weighted fair queueing). One that was empty begins now, and saves nothing up.
    """

    __slots__ = ("_count", "_ends", "_now", "_queues")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._queues: tuple[deque[Entry], ...] = tuple(deque() for _ in WEIGHTS)
        self._ends = [0.0] * len(WEIGHTS)
        self._now = 0.0
        self._count = 0
        for entry in entries:
            self.append(entry)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        """
        All, class by class.
        """
        for queue in self._queues:
            yield from queue

    def append(self, entry: Entry) -> None:
        """
        Put an entry behind those of its class.
        """
        rank = urgency(entry.delivery.priority)
        queue = self._queues[rank]
        if not queue:
            self._ends[rank] = self._now + 1 / WEIGHTS[rank]
        queue.append(entry)
        self._count += 1

    def popleft(self) -> Entry:
        """
        Take the entry whose turn it is; IndexError if there is none.
        """
        turn = (
            min((self._ends[rank], rank) for rank, queue in enumerate(self._queues) if queue) if self._count else None
        )
        if turn is None:
            raise IndexError("nobody waits")
        self._now, rank = turn
        self._ends[rank] += 1 / WEIGHTS[rank]
        self._count -= 1
        return self._queues[rank].popleft()

    def pop(self) -> Entry:
        """
        Take the entry that would be last: the youngest of the least urgent class.
        """
        for queue in reversed(self._queues):
            if queue:
                self._count -= 1
                return queue.pop()
        raise IndexError("nobody waits")

    def remove(self, entry: Entry) -> None:
        """
        Take this entry; ValueError if it is not here.
        """
        self._queues[urgency(entry.delivery.priority)].remove(entry)
        self._count -= 1


Waiting = deque["Entry"] | Classes
