"""
One look-up: from server to server until one tells, and from alias to alias where a server does not look further.

First round with EDNS0, in the roster's order. A second round, without EDNS0, goes only to those that stayed silent: a
fire-wall may have swallowed the larger datagrams (RFC 6891 §6.2.2), and who said SERVFAIL would say it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import dns.message
import dns.name
from dns.rdatatype import RdataType
from twisted.internet.interfaces import IReactorTime

from empath.dns.cache import FAILURE_TTL
from empath.dns.dnssec.validator import Finding
from empath.dns.exchange import Exchange, Told
from empath.dns.question import Question
from empath.dns.reading import MAX_CHAIN
from empath.dns.records import host_text
from empath.dns.servers import Roster, Server
from empath.dns.told import BOGUS, UNPROVEN, Alias, Failed, Heard, Silent, Useless
from empath.dns.vouching import Vouching
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

    @property
    def servers(self) -> tuple[Server, ...]:
        """
        The servers, in the order given.
        """
        return tuple(self._roster.servers)

    @property
    def bound(self) -> float:
        """
        Seconds after which any look-up is given up, aliases included; as much again where answers have to be checked.
        """
        return ROUNDS * self._timeout * len(self._roster.servers) * (2 if self._vouching.manner.unchecked else 1)

    async def ask(self, question: Question) -> Heard | Failed:
        """
        Look it up; `bound` is for the caller to enforce.
        """
        asked, ttl, finding = question, float("inf"), Finding(Security.SECURE)
        for _ in range(MAX_CHAIN):
            server, told = await self._ask_servers(asked)
            if not isinstance(told, Heard | Alias):
                return told
            finding = finding.weaker(await self._vouching.judge(server, asked, told))
            if finding.security is Security.BOGUS and self._vouching.enforced:
                return Useless(_kind(finding), finding.why)
            ttl = min(ttl, told.ttl, finding.lifetime)
            if isinstance(told, Heard):
                alias = "" if asked is question else host_text(asked.name) or ""
                return _weighed(told, max(ttl, 0.0), finding, told.canonical or alias)
            asked = attrs.evolve(asked, name=told.target)
        return Useless("malformed", f"more than {MAX_CHAIN} aliases, or a circle of them")

    async def fetch(self, name: dns.name.Name, rdtype: RdataType) -> dns.message.Message | None:
        """
        Get the message with the answer to a question that is asked for the sake of another one; None if nobody tells.
        """
        _, told = await self._ask_servers(Question(name.to_text(), rdtype.name, name, rdtype))
        return told.message if isinstance(told, Heard | Alias) else None

    async def _ask_servers(self, question: Question) -> tuple[Server, Heard | Alias | Failed]:
        waiting = self._roster.order(self._clock.seconds())
        for manner in (self._vouching.manner, self._vouching.manner.plainer):
            silent = []
            for server in waiting:
                told = await self._exchange.ask(server, question, manner, self._timeout)
                self._note(server, told)
                if isinstance(told, Heard | Alias):
                    return server, told
                if isinstance(told, Silent):
                    silent.append(server)
            if not silent:
                break
            waiting = silent
        return server, told

    def _note(self, server: Server, told: Told) -> None:
        if isinstance(told, Silent):
            self._roster.silent(server, self._clock.seconds(), told.why)
        else:
            self._roster.answered(server)


def _kind(finding: Finding) -> str:
    """
    Say in a word what is wrong with what is bogus.
    """
    return UNPROVEN if finding.silent else BOGUS


def _weighed(told: Heard, ttl: float, finding: Finding, canonical: str) -> Heard:
    """
    Add what was found out to an answer; why it is bogus is more than what was left out of it.
    """
    detail = f"{_kind(finding)}: {finding.why}" if finding.security is Security.BOGUS else told.detail
    ttl = min(ttl, FAILURE_TTL) if finding.silent else ttl
    return attrs.evolve(told, ttl=ttl, security=finding.security, canonical=canonical, detail=detail, message=None)
