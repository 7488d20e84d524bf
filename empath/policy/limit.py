"""
Limits on how often something may happen: a token bucket for each of many keys.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_KEYS: Final = 10_000


class TokenBuckets:
    """
    For each key `count` events in `seconds`, refilled evenly, and up to `burst` (None: `count`) at once if nothing
    happened before; a count of 0: no limit.

    A key is forgotten once its bucket is full again. Beyond `max_keys` the one not used for longest goes first, and so
    starts anew: memory is bounded, whoever comes.
    """

    __slots__ = ("_buckets", "_burst", "_count", "_max_keys", "_seconds", "_until_full")

    def __init__(self, count: int, seconds: float, max_keys: int = MAX_KEYS, burst: int | None = None) -> None:
        self._count = count
        self._seconds = seconds
        self._burst = float(count if burst is None else burst)
        self._until_full = seconds * self._burst / count if count else 0.0
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when; oldest first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> bool:
        """
        Tell whether one more event is within the limit, and count it if so; `now` in seconds.
        """
        if not self._count:
            return True
        self._forget(now)
        left, then = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - then) * self._count / self._seconds)  # a clock may be set back
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return allowed

    def _forget(self, now: float) -> None:
        """
        Drop up to two keys that are full again: more go than can come.
        """
        for _ in range(2):
            key = next(iter(self._buckets), None)
            if key is None or now - self._buckets[key][1] < self._until_full:
                return
            del self._buckets[key]
