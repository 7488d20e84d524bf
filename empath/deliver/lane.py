"""
The connections to one target, and those who wait for one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from empath.deliver.connection import Connection


class Lane:
    """
    `open` counts the connections that exist or are being made, `line` are those who wait.
    """

    __slots__ = ("idle", "line", "open")

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.open = 0
        self.line: deque[Deferred[Connection | None]] = deque()
