"""
All live sessions: how many there may be, in all and of one client, and how they come to an end together.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.config.units import NO_LIMIT, Rate
from empath.mail.reply import Reply
from empath.policy.limit import TokenBuckets
from empath.policy.relay import client_address
from empath.receive.shown import Shown

TOO_MANY: Final = Reply.of("421 4.7.0 too many connections")
TOO_MANY_OF_CLIENT: Final = Reply.of("421 4.7.0 too many connections from your network")
TOO_FAST: Final = Reply.of("421 4.7.0 too many connections in a short time from your network")
_LAST_WORDS: Final = 2.0  # seconds for the last replies to leave after the bound
_IPV6_HOST_BITS: Final = 64

ClientKey = str | int


class Drainable(Protocol):
    """
    A session that can be brought to its end.
    """

    @property
    def transaction_began(self) -> float:
        """
        When the transaction began that it is in, in seconds since the epoch; infinity without one.
        """

    def drain(self) -> None:
        """
        End at once, or once the message that is coming in has its answer.
        """

    def abandon(self) -> None:
        """
        End now, whatever is under way.
        """

    def abort(self) -> None:
        """
        Cut the connection, whatever has not been sent.
        """


def peer_of(host: str) -> tuple[str, ClientKey]:
    """
    Give a client's address as sessions name it, and the key it is counted by: the address, or an IPv6 one's /64.
    """
    if ":" not in host:
        return host, host
    address = client_address(host)
    if address.version == 4:
        return str(address), str(address)
    return str(address), int(address) >> _IPV6_HOST_BITS


class Sessions:
    """
    The register of the sessions of all listeners; `shown` are those that people can look at. Limits that are lowered
    hold for new connections.
    """

    def __init__(
        self, clock: IReactorTime, max_connections: int, max_connections_per_client: int, rate: Rate = NO_LIMIT
    ) -> None:
        self._clock = clock
        self._live: set[Drainable] = set()
        self._clients: dict[ClientKey, int] = {}
        self._closing: Reply | None = None
        self._empty: Deferred[None] | None = None
        self._made = 0
        self._prefix = f"{int(clock.seconds()):x}-"
        self.shown = Shown(self._prefix)
        self.count = 0
        self._rate = NO_LIMIT
        self._pace = TokenBuckets(0, 1.0)
        self.reconfigure(max_connections, max_connections_per_client, rate)

    def reconfigure(self, max_connections: int, max_connections_per_client: int, rate: Rate = NO_LIMIT) -> None:
        """
        Use these limits from now on; a client's rate starts anew where it is another one.
        """
        if rate != self._rate:
            self._rate = rate
            self._pace = TokenBuckets(rate.count, rate.seconds)
        self._limit = max_connections
        self._client_limit = max_connections_per_client

    def next_id(self) -> str:
        """
        Name a session: by when this register was made, and a number.
        """
        self._made += 1
        return f"{self._prefix}{self._made:x}"

    def full(self) -> Reply | None:
        """
        Tell why nobody at all is let in; None: one more may come.
        """
        if self._closing is not None:
            return self._closing
        return TOO_MANY if self.count >= self._limit else None

    def refusal(self, client: ClientKey) -> Reply | None:
        """
        Tell why one more connection of a client is not let in; None: it may come, and counts against its rate.
        """
        refused = self.full()
        if refused is not None:
            return refused
        if self._clients.get(client, 0) >= self._client_limit:
            return TOO_MANY_OF_CLIENT
        if self._rate.count and not self._pace.take(str(client), self._clock.seconds()):
            return TOO_FAST
        return None

    def join(self, session: Drainable, client: ClientKey) -> None:
        """
        Count a session in.
        """
        self.count += 1
        self._clients[client] = self._clients.get(client, 0) + 1
        self._live.add(session)

    def leave(self, session: Drainable, client: ClientKey) -> None:
        """
        Count a session out.
        """
        self.count -= 1
        self._live.discard(session)
        left = self._clients[client] - 1
        if left:
            self._clients[client] = left
        else:
            del self._clients[client]
        if self._empty is not None and not self._live:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def oldest_transaction(self) -> float:
        """
        Tell when the oldest transaction began that is under way, in seconds since the epoch; infinity without one.
        """
        return min((session.transaction_began for session in self._live), default=inf)

    async def drain(self, farewell: Reply, bound: float) -> None:
        """
        Let no one in any more and end all sessions: idle ones at once, those inside DATA within `bound` seconds.
        """
        self._closing = farewell
        self._each(lambda session: session.drain())
        await self._emptied(bound)
        self._each(lambda session: session.abandon())
        await self._emptied(_LAST_WORDS)
        self._each(lambda session: session.abort())
        await self._emptied(_LAST_WORDS)

    def _each(self, end: Callable[[Drainable], None]) -> None:
        for session in tuple(self._live):
            end(session)

    async def _emptied(self, bound: float) -> None:
        """
        Wait until the last session has left, at most `bound` seconds.
        """
        if not self._live:
            return
        empty: Deferred[None] = Deferred()
        self._empty = empty
        limit = self._clock.callLater(bound, self._give_up)
        await empty
        if limit.active():
            limit.cancel()

    def _give_up(self) -> None:
        if self._empty is not None:
            empty, self._empty = self._empty, None
            empty.callback(None)
