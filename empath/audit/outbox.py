"""
Records that wait for another place than the file: a queue, bounded in records and in octets, whose losses are counted.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.logger import Logger

MOST: Final = 10_000  # records
MOST_OCTETS: Final = 16 * 1024 * 1024  # a record of a message to thousands has hundreds of thousands
MOST_SAID: Final = 16  # reasons
STEADY: Final = 5.0  # seconds after which a way that was opened again counts as one that goes

log = Logger()


class Outbox:
    """
    Records for the place of this name. Beyond the bound the oldest are dropped: they stand in the file.
    """

    def __init__(self, name: str, most: int = MOST, octets: int = MOST_OCTETS) -> None:
        self.name = name
        self.lost = 0
        self._most = most
        self._most_octets = octets
        self._octets = 0
        self._lines: deque[bytes] = deque()
        self._trouble = ""
        self._said: set[str] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, lines: list[bytes]) -> None:
        """
        Take more in.
        """
        self._lines.extend(lines)
        self._octets += sum(map(len, lines))
        self._drop()

    def take(self, most: int, octets: int = MOST_OCTETS) -> list[bytes]:
        """
        Give the oldest ones out: so many, and no more than so many octets, but one at least.
        """
        taken: list[bytes] = []
        while self._lines and len(taken) < most and (not taken or len(self._lines[0]) <= octets):
            taken.append(self._lines.popleft())
            octets -= len(taken[-1])
            self._octets -= len(taken[-1])
        return taken

    def put_back(self, lines: list[bytes]) -> None:
        """
        Take back what did not go.
        """
        self._lines.extendleft(reversed(lines))
        self._octets += sum(map(len, lines))
        self._drop()

    def lose(self, count: int, why: str) -> None:
        """
        Count records that will not go.
        """
        self.lost += count
        self.failed(why)

    def skip(self, count: int, why: str) -> None:
        """
        Count records that the place does not take, while it takes others. Said in the log once for each reason.
        """
        self.lost += count
        if why not in self._said and len(self._said) < MOST_SAID:
            self._said.add(why)
            log.warn("audit trail: {count} records do not go to {name}: {why}", count=count, name=self.name, why=why)

    def end(self) -> None:
        """
        Count and tell what waits still, and will not go.
        """
        if left := len(self._lines):
            self.take(left)
            self.lost += left
            log.warn("audit trail: {left} records did not get to {name} before the end", left=left, name=self.name)

    def failed(self, why: str) -> None:
        """
        Say in the log why nothing goes, once until it goes again.
        """
        if not self._trouble:
            log.warn("audit trail: no records go to {name}: {why}", name=self.name, why=why)
        self._trouble = why

    def went(self) -> None:
        """
        Say that it goes again.
        """
        if self._trouble:
            self._trouble = ""
            log.info(
                "audit trail: records go to {name} again; {lost} did not get there", name=self.name, lost=self.lost
            )

    def _drop(self) -> None:
        over = 0
        while len(self._lines) > self._most or (self._octets > self._most_octets and self._lines):
            self._octets -= len(self._lines.popleft())
            over += 1
        if over:
            self.lose(over, self._trouble or "it is too slow")
