"""
Who guessed wrong too often waits: failed logins are counted for each client.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_CLIENTS: Final = 10_000


class Throttle:
    """
    After `max_failures` within `window` seconds a client is held off until the window, which its first failure opened,
    is over; a success forgives. `max_failures` 0 holds off nobody.

    Beyond `max_clients` the one that failed longest ago is forgotten first: memory is bounded, whoever comes.
    """

    __slots__ = ("_failures", "_max_clients", "_max_failures", "_window")

    def __init__(self, max_failures: int, window: float, max_clients: int = MAX_CLIENTS) -> None:
        self._max_failures = max_failures
        self._window = window
        self._max_clients = max_clients
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, since when; last failed last

    def reconfigure(self, max_failures: int, window: float) -> None:
        """
        Hold off by these from now on; failures that were counted stay counted.
        """
        self._max_failures, self._window = max_failures, window

    def __len__(self) -> int:
        return len(self._failures)

    def holds_off(self, client: str, now: float) -> bool:
        """
        Tell whether a login of this client is to be refused unseen; `now` in seconds.
        """
        count, _ = self._current(client, now)
        return 0 < self._max_failures <= count

    def failed(self, client: str, now: float) -> None:
        """
        Count a failure.
        """
        count, since = self._current(client, now)
        self._failures.pop(client, None)
        self._failures[client] = (count + 1, since)
        if len(self._failures) > self._max_clients:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """
        Forgive what was before.
        """
        self._failures.pop(client, None)

    def _current(self, client: str, now: float) -> tuple[int, float]:
        """
        Give the failures of the window that is open, and when it was opened (before `now`, even if a clock is set).
        """
        count, since = self._failures.get(client, (0, now))
        return (count, since) if 0 <= now - since < self._window else (0, now)
