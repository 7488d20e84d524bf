"""
How often something may happen: a token bucket that tells how long to wait.
"""

from __future__ import annotations

from typing import Final

from empath.policy.quantity import written_rate

INSTANT: Final = 1e-6  # seconds: a shorter wait is none, as no clock that counts from 1970 is finer


class Bucket:
    """
    `count` tokens come in `seconds`, evenly, and up to `burst` lie ready if none were taken; a count of 0: no limit.

    It begins full. Who finds no token waits and asks again; what was taken in advance is paid back first.
    """

    __slots__ = ("_burst", "_level", "_rate", "_terms", "_then")

    def __init__(self, count: int, seconds: float, burst: int) -> None:
        self._rate = count / seconds
        self._terms = count, seconds
        self._burst = self._level = float(max(1, burst))
        self._then = 0.0

    @property
    def limited(self) -> bool:
        """
        Whether there is a limit at all.
        """
        return self._rate > 0.0

    @property
    def written(self) -> str:
        """
        Tell the limit as an operator writes it.
        """
        return written_rate(*self._terms)

    def wait(self, now: float, before: int = 0) -> float:
        """
        Tell in how many seconds there is a token that is none of the first `before`, 0.0 if there is one now.
        """
        if not self._rate:
            return 0.0
        wait = (1.0 + before - self._filled(now)) / self._rate
        return wait if wait > INSTANT else 0.0

    def take(self, now: float) -> None:
        """
        Take a token, in advance if there is none.
        """
        if self._rate:
            self._level = self._filled(now) - 1.0
            self._then = now

    def set(self, count: int, seconds: float, burst: int, now: float) -> None:
        """
        Change the limit; what lies ready, or is owed, stays as far as the new one allows. Without a limit before, it
        begins full.
        """
        full = float(max(1, burst))
        self._level = min(full, self._filled(now)) if self._rate else full
        self._rate, self._burst, self._then = count / seconds, full, now
        self._terms = count, seconds

    def _filled(self, now: float) -> float:
        """
        Tell how many tokens there are. A clock that was set back brings none and takes none.
        """
        if now < self._then:
            self._then = now
        return min(self._burst, self._level + (now - self._then) * self._rate)
