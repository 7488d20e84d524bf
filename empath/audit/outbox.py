"""
Records that wait for another place than the file: a bounded queue, whose losses are counted.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.logger import Logger

MOST: Final = 10_000  # records

log = Logger()


class Outbox:
    """
    Records for the place of this name. Beyond the bound the oldest are dropped: they stand in the file.
    """

    def __init__(self, name: str, most: int = MOST) -> None:
        self.name = name
        self.lost = 0
        self._most = most
        self._lines: deque[bytes] = deque()
        self._trouble = ""

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, lines: list[bytes]) -> None:
        """
        Take more in.
        """
        self._lines.extend(lines)
        self._drop()

    def take(self, most: int) -> list[bytes]:
        """
        Give the oldest ones out.
        """
        return [self._lines.popleft() for _ in range(min(most, len(self._lines)))]

    def put_back(self, lines: list[bytes]) -> None:
        """
        Take back what did not go.
        """
        self._lines.extendleft(reversed(lines))
        self._drop()

    def lose(self, count: int, why: str) -> None:
        """
        Count records that will not go.
        """
        self.lost += count
        self.failed(why)

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
        over = len(self._lines) - self._most
        if over > 0:
            self.take(over)
            self.lose(over, self._trouble or "it is too slow")
