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
from empath.dns.reading import MAX_CHAIN
from empath.dns.records import host_text
from empath.dns.servers import Roster, Server
from empath.dns.told import Alias, Failed, Heard, Silent, Useless
from empath.dns.vouching import Vouching, weaker
from empath.mail.answer import Security

ROUNDS: Final = 2


class Walk:
    """
    How one question is put to several servers, `timeout` seconds each; `vouching` tells what the answers are worth.
    """

    def __init__(
        self,
        clock: IReactorTime,
        exchange: Exchange,
        servers: Sequence[Server],
        timeout: float,
        vouching: Vouching,
    ) -> None:
        self._clock = clock
        self._exchange = exchange
        self._roster = Roster(servers)
        self._timeout = timeout
        self._vouching = vouching
        self._manner = vouching.manner
        self._plainer = attrs.evolve(vouching.manner, edns=False)

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
        asked, ttl, security = question, float("inf"), Security.SECURE
        for _ in range(MAX_CHAIN):
            told = await self._ask_servers(asked)
            if not isinstance(told, Heard | Alias):
                return told
            ttl, security = min(ttl, told.ttl), weaker(security, told.security)
            if isinstance(told, Heard):
                canonical = told.canonical or ("" if asked is question else host_text(asked.name) or "")
                return attrs.evolve(told, ttl=ttl, security=security, canonical=canonical)
            asked = attrs.evolve(asked, name=told.target)
        return Useless("malformed", f"more than {MAX_CHAIN} aliases, or a circle of them")

    async def _ask_servers(self, question: Question) -> Heard | Alias | Failed:
        waiting = self._roster.order(self._clock.seconds())
        told: Told = Useless("unasked", "no server")
        for manner in (self._manner, self._plainer):
            silent = []
            for server in waiting:
                told = await self._exchange.ask(server, question, manner, self._timeout)
                self._note(server, told)
                if isinstance(told, Heard | Alias):
                    return attrs.evolve(told, security=self._vouching.judge(server, told))
                if isinstance(told, Silent):
                    silent.append(server)
            waiting = silent
        return told

    def _note(self, server: Server, told: Told) -> None:
        if isinstance(told, Silent):
            self._roster.silent(server, self._clock.seconds(), told.why)
        else:
            self._roster.answered(server)
