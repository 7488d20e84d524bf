"""
Answers that are still good, the least recently used dropped first.

Nothing here waits or fails; a hit is one look into a dictionary, one comparison and one counter (hot-path rule P1).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from empath.config.schema import Dns
from empath.dns.question import Key
from empath.mail.answer import Answer, Found

FAILURE_TTL: Final = 5.0  # seconds that trouble is remembered: long enough to spare a server, short enough to heal


class Cache:
    """
    A bounded cache of answers with its counters.

    `hits` and `misses` count look-ups, `evictions` what was dropped for room or because its time was over.
    """

    __slots__ = ("_ceiling", "_entries", "_floor", "_size", "evictions", "hits", "misses")

    def __init__(self, section: Dns) -> None:
        self._entries: OrderedDict[Key, Answer] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.reconfigure(section)

    def __len__(self) -> int:
        return len(self._entries)

    def reconfigure(self, section: Dns) -> None:
        """
        Use other bounds from now on; what is kept keeps its time.
        """
        self._size = section.cache_size
        self._floor: float = section.min_cache_ttl
        self._ceiling: float = section.max_cache_ttl
        self._shrink()

    def find(self, key: Key, now: float) -> Answer | None:
        """
        Tell the answer that is kept under `key`, None if there is none that is still good. Only hits are counted.
        """
        answer = self._entries.get(key)
        if answer is None:
            return None
        if answer.expires > now:
            self.hits += 1
            self._entries.move_to_end(key)
            return answer
        del self._entries[key]
        self.evictions += 1
        return None

    def lifetime(self, found: Found, ttl: float) -> float:
        """
        Tell for how many seconds an answer is kept: its own time within floor and ceiling, trouble `FAILURE_TTL`.
        """
        if found is Found.FAILED:
            return FAILURE_TTL
        return min(max(ttl, self._floor), self._ceiling)

    def keep(self, key: Key, answer: Answer) -> None:
        """
        Remember an answer until it expires or has to make room.
        """
        self._entries[key] = answer
        self._entries.move_to_end(key)
        self._shrink()

    def evict(self, now: float) -> int:
        """
        Drop all that has expired; tells how many.
        """
        over = [key for key, answer in self._entries.items() if answer.expires <= now]
        for key in over:
            del self._entries[key]
        self.evictions += len(over)
        return len(over)

    def clear(self, domain: str | None = None) -> int:
        """
        Forget everything, or all about `domain` and the names below it; tells how many answers.
        """
        if domain is None:
            gone = list(self._entries)
        else:
            apex = domain.removesuffix(".").lower()
            gone = [key for key in self._entries if key[0] == apex or key[0].endswith(f".{apex}")]
        for key in gone:
            del self._entries[key]
        return len(gone)

    def listing(self, now: float) -> list[Answer]:
        """
        List what is still good, the least recently used first.
        """
        return [answer for answer in self._entries.values() if answer.expires > now]

    def _shrink(self) -> None:
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
            self.evictions += 1
