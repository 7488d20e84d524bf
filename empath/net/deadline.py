"""
One deadline a connection, moved at every step for the price of an assignment (hot-path rule P2).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """
    Calls `expired` once the time set last has passed.

    A later time only moves a number: the timer that is running finds out when it fires, and runs on. Only an earlier
    one starts a new timer, since `DelayedCall.reset` to an earlier time searches the reactor's whole heap. `since` is
    when it was set last, 0.0 for never.
    """

    __slots__ = ("_call", "_clock", "_due", "_expired", "_fires", "since")

    def __init__(self, clock: IReactorTime, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._call: IDelayedCall | None = None
        self._due: float | None = None
        self._fires = self.since = 0.0

    def set(self, seconds: float) -> None:
        """
        Expire in `seconds` from now, whatever was set before.
        """
        self.since = now = self._clock.seconds()
        self._due = due = now + seconds
        if self._call is None:
            self._start(due, seconds)
        elif due < self._fires:
            self._call.cancel()
            self._start(due, seconds)

    def clear(self) -> None:
        """
        Do not expire until set again.
        """
        self._due = None

    def stop(self) -> None:
        """
        Let go of the timer, and of the connection, which is over: so no cycle keeps it in memory.
        """
        self._due = None
        self._expired = _nothing
        if self._call is not None:
            self._call.cancel()
            self._call = None

    @property
    def remaining(self) -> float | None:
        """
        Seconds until it expires, None while nothing is set.
        """
        return None if self._due is None else self._due - self._clock.seconds()

    def _start(self, due: float, seconds: float) -> None:
        self._fires = due
        self._call = self._clock.callLater(seconds, self._fire)

    def _fire(self) -> None:
        self._call = None
        if self._due is None:
            return
        left = self._due - self._clock.seconds()
        if left > 0:
            self._start(self._due, left)
        else:
            self._due = None
            self._expired()


def _nothing() -> None:
    """
    Nobody is there any more.
    """
