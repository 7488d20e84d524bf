"""
Answers that are still good, and for a while those that were: they stand in where no server answers (RFC 8767). The
least recently used are dropped first.

Nothing here waits or fails; a hit is one look into a dictionary, one comparison and one counter (hot-path rule P1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

from empath.config.schema import Dns
from empath.dns.question import Key
from empath.mail.answer import Answer, Found, Security

FAILURE_TTL: Final = 5.0  # seconds that trouble is remembered: long enough to spare a server, short enough to heal
BOGUS_TTL: Final = 60.0  # seconds at most that what is bogus is kept (RFC 4035 §4.7)
STAND_IN: Final = 30.0  # seconds for which an expired answer stands in before the servers are asked again (RFC 8767 §4)
EARLY: Final = 0.1  # the last part of an answer's time, in which whoever asks for it has it fetched again


@attrs.define(slots=True, eq=False)
class _Kept:
    """
    An answer, told until `calm` without a thought; from then on it is time to ask the servers.
    """

    answer: Answer
    since: float
    calm: float


@attrs.frozen(slots=True)
class Listed:
    """
    An answer as it is kept: `age` seconds ago it came from a server. It counts until `answer.expires`.
    """

    answer: Answer
    age: float


class Cache:
    """
    A bounded cache of answers with its counters.

    `hits` and `misses` count look-ups, `evictions` what was dropped for room or because its time was over, `stand_ins`
    how often an answer began to stand in beyond its time.
    """

    __slots__ = ("_ceiling", "_entries", "_floor", "_size", "_stale", "evictions", "hits", "misses", "stand_ins")

    def __init__(self, section: Dns) -> None:
        self._entries: OrderedDict[Key, _Kept] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.stand_ins = 0
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
        self._stale: float = section.serve_stale
        self._shrink()

    def find(self, key: Key, now: float) -> Answer | None:
        """
        Tell the answer that is kept under `key`, None if there is none, or if it is time to ask. Only hits are counted.
        """
        kept = self._entries.get(key)
        if kept is None or kept.calm <= now:
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return kept.answer

    def find_late(self, key: Key, now: float) -> Answer | None:
        """
        Tell the answer that `find` kept back: it is still good, though who gets it has to ask the servers, too. The
        next ones need not, until it expires or, where it stands in, for `STAND_IN`.
        """
        kept = self._entries.get(key)
        if kept is None or kept.answer.expires <= now:
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        kept.calm = min(now + STAND_IN, kept.answer.expires) if kept.answer.stale else kept.answer.expires
        return kept.answer

    def lifetime(self, found: Found, ttl: float, security: Security = Security.UNCHECKED) -> float:
        """
        Tell for how many seconds an answer is kept: its own time within floor and ceiling, what is bogus `BOGUS_TTL`
        at most, trouble `FAILURE_TTL`.
        """
        if security is Security.BOGUS:
            return BOGUS_TTL if found is Found.FAILED else min(ttl, BOGUS_TTL)
        if found is Found.FAILED:
            return FAILURE_TTL
        return min(max(ttl, self._floor), self._ceiling)

    def keep(self, key: Key, answer: Answer, now: float) -> None:
        """
        Remember an answer until it expires, and as long as it may stand in, or until it has to make room.
        """
        early = 0 if answer.found is Found.FAILED else EARLY * (answer.expires - now)
        self._entries[key] = _Kept(answer, now, answer.expires - early)
        self._entries.move_to_end(key)
        self._shrink()

    def stand_in(self, key: Key, now: float, why: str) -> Answer | None:
        """
        Tell what can be used instead of a failed look-up: an answer that is still good, or was so up to `serve_stale`
        ago; None if nothing can. `why` it is used becomes its `detail`.
        """
        kept = self._entries.get(key)
        if kept is None or kept.answer.found is Found.FAILED or self._gone(kept.answer) <= now:
            return None
        if kept.answer.expires > now and not kept.answer.stale:
            return kept.answer
        self.stand_ins += 1
        kept.answer = attrs.evolve(kept.answer, stale=True, expires=self._gone(kept.answer), detail=why)
        kept.calm = min(now + STAND_IN, kept.answer.expires)
        return kept.answer

    def evict(self, now: float) -> int:
        """
        Drop all that can no longer be used; tells how many.
        """
        over = [key for key, kept in self._entries.items() if self._gone(kept.answer) <= now]
        for key in over:
            del self._entries[key]
        self.evictions += len(over)
        return len(over)

    def clear(self, domain: str | None = None) -> int:
        """
        Forget everything, or all about `domain` and the names below it; tells how many answers.
        """
        gone = list(self._entries) if domain is None else list(self.keys_of(domain))
        for key in gone:
            del self._entries[key]
        return len(gone)

    def keys_of(self, domain: str) -> Iterator[Key]:
        """
        Tell the keys of all about a domain, as written in a key, and the names below it.
        """
        below = f".{domain}"
        return (key for key in self._entries if key[0] == domain or key[0].endswith(below))

    def listing(self, now: float) -> list[Listed]:
        """
        List what is still good or stands in, the least recently used first.
        """
        return [Listed(kept.answer, now - kept.since) for kept in self._entries.values() if kept.answer.expires > now]

    def _gone(self, answer: Answer) -> float:
        """
        Tell when an answer is of no more use. Only records stand in: that there were none must not bounce mail later
        on. TLSA records do not: who trusts a key that was withdrawn trusts the wrong server, and mail can wait.
        """
        if answer.stale or answer.found is not Found.RECORDS:
            return answer.expires
        if answer.rdtype == "TLSA" or answer.security is Security.BOGUS:
            return answer.expires
        return answer.expires + self._stale

    def _shrink(self) -> None:
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
            self.evictions += 1
