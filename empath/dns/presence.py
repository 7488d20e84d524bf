"""
Whether any name server is there, as asked now: what was heard a while ago says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from empath.dns.exchange import Exchange
from empath.dns.question import ROOT, Manner
from empath.dns.servers import Server
from empath.dns.told import Silent

FRESH: Final = 0.25  # seconds for which any answer vouches for the servers: with the tries, less than one
PATIENCE: Final = 0.25  # seconds of one try
TRIES: Final = 2  # a datagram may be lost
_PLAIN: Final = Manner(edns=False)


class _Silence(Exception):
    """
    A server did not answer.
    """


class Presence:
    """
    Asks `servers`, all at once, for the name servers of the root, which any of them can tell, past the cache and
    without an event. `seconds` is how long the latest of these answers took, None before the first.
    """

    __slots__ = ("_clock", "_exchange", "_servers", "seconds")

    def __init__(self, clock: IReactorTime, exchange: Exchange, servers: Callable[[], Sequence[Server]]) -> None:
        self._clock = clock
        self._exchange = exchange
        self._servers = servers
        self.seconds: float | None = None

    def look(self) -> bool | Deferred[bool]:
        """
        Tell, within TRIES times PATIENCE seconds, whether any of them answers, if only with SERVFAIL; at once if one
        did just now.
        """
        if 0 <= self._clock.seconds() - self._exchange.last_answer < FRESH:
            return True
        return Deferred.fromCoroutine(self._look())

    async def _look(self) -> bool:
        for _ in range(TRIES):
            started = self._clock.seconds()
            asked = [Deferred.fromCoroutine(self._ask(server)) for server in self._servers()]
            first = await DeferredList(asked, fireOnOneCallback=True, consumeErrors=True)
            if isinstance(first, tuple):
                self.seconds = self._clock.seconds() - started
                return True
        return False

    async def _ask(self, server: Server) -> None:
        if isinstance(await self._exchange.ask(server, ROOT, _PLAIN, PATIENCE), Silent):
            raise _Silence
