"""
One look-up: from server to server until one tells, and from alias to alias where a server does not look further.

First round with EDNS0, in the roster's order. A second round, without EDNS0, goes only to those that stayed silent: a
fire-wall may have swallowed the larger datagrams (RFC 6891 §6.2.2), and who said SERVFAIL would say it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.dns.exchange import Exchange, Told
from empath.dns.question import Question
from empath.dns.reading import MAX_CHAIN, Alias, Failed, Heard, Silent, Useless
from empath.dns.servers import Roster, Server

ROUNDS: Final = 2


class Walk:
    """
    How one question is put to several servers, `timeout` seconds each.
    """

    def __init__(self, clock: IReactorTime, exchange: Exchange, servers: Sequence[Server], timeout: float) -> None:
        self._clock = clock
        self._exchange = exchange
        self._roster = Roster(servers)
        self._timeout = timeout

    @property
    def bound(self) -> float:
        """
        Seconds after which any look-up is given up, aliases included.
        """
        return ROUNDS * self._timeout * len(self._roster.servers)

    async def ask(self, question: Question) -> Heard | Failed:
        """
        Look it up; `bound` is for the caller to enforce.
        """
        ttl = float("inf")
        for _ in range(MAX_CHAIN):
            told = await self._ask_servers(question)
            match told:
                case Heard():
                    return attrs.evolve(told, ttl=min(ttl, told.ttl))
                case Alias(target, alias_ttl):
                    question, ttl = attrs.evolve(question, name=target), min(ttl, alias_ttl)
                case _:
                    return told
        return Useless("malformed", f"more than {MAX_CHAIN} aliases, or a circle of them")

    async def _ask_servers(self, question: Question) -> Heard | Alias | Failed:
        waiting = self._roster.order(self._clock.seconds())
        told: Told = Useless("unasked", "no server")
        for turn in range(ROUNDS):
            silent = []
            for server in waiting:
                told = await self._exchange.ask(server, question, turn == 0, self._timeout)
                self._note(server, told)
                if isinstance(told, Heard | Alias):
                    return told
                if isinstance(told, Silent):
                    silent.append(server)
            waiting = silent
        return told

    def _note(self, server: Server, told: Told) -> None:
        if isinstance(told, Silent):
            self._roster.silent(server, self._clock.seconds(), told.why)
        else:
            self._roster.answered(server)
