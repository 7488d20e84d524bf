"""
Finding the addresses to try for a domain: MX hosts by preference, or the hosts the operator gave.

Retried: every look-up that failed, with the next attempt. Fatal: nothing.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from empath.config.schema import Delivery as Section
from empath.interfaces import IResolver
from empath.mail.answer import Answer
from empath.mail.outcome import Failure, PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy import mx
from empath.policy.mx import Candidate
from empath.policy.route import NextHop, Route

_PER_HOST: Final = 3  # addresses of one host, where there are several hosts
_LOOPBACK: Final = {"ipv6": "::1", "ipv4": "127.0.0.1"}
_VERDICTS_KEPT: Final = 10000


class HostFinder:
    """
    Asks the resolver, and orders what it says by `empath.policy.mx`.

    `own_names` and `own_addresses` are this machine's: mail is never sent back to it, but to where the operator says.
    """

    def __init__(
        self,
        resolver: IResolver,
        chance: random.Random,
        section: Section,
        own_names: Collection[str],
        own_addresses: Collection[str],
    ) -> None:
        self.section = section
        self._resolver = resolver
        self._chance = chance
        self._own_names = own_names
        self._own_addresses = own_addresses
        self._public: dict[str, bool] = {}

    async def find(self, route: Route, domain: str) -> Sequence[Candidate] | Failure:
        """
        Give up to five addresses in the order to try them, or why there are none.
        """
        if route.hosts:
            return await self._given(route.hosts)
        literal = mx.read_literal(domain)
        if isinstance(literal, str):
            return [Candidate(domain, literal, self.section.port)] if self._allowed(literal) else mx.NOT_USABLE
        if literal is not None:
            return literal
        if not domain:
            return mx.NO_DOMAIN
        asked = self._resolver.lookup(domain, "MX")
        answer = asked if isinstance(asked, Answer) else await asked
        groups = mx.host_groups(answer, self._own_names, self._chance)
        if isinstance(groups, (PermanentFailure, TransientFailure)):
            return groups
        return await self._addresses_of(groups)

    async def _addresses_of(self, groups: tuple[tuple[str, ...], ...]) -> Sequence[Candidate] | Failure:
        """
        Look up group after group until there are enough; a group in which we find ourselves ends it.
        """
        found: list[Candidate] = []
        answers: list[Answer] = []
        most = mx.MAX_ADDRESSES if len(groups) == 1 and len(groups[0]) == 1 else _PER_HOST
        for hosts in groups:
            told = await self._look_up(hosts)
            answers += [answer for of_host in told for answer in of_host]
            if self._is_us(answers):
                return found or mx.LOOP
            for host, of_host in zip(hosts, told, strict=True):
                usable = [self._usable(answer.addresses) for answer in of_host]
                found += [Candidate(host, a, self.section.port) for a in mx.interleave(usable)[:most]]
            if len(found) >= mx.MAX_ADDRESSES:
                break
        return found[: mx.MAX_ADDRESSES] or mx.no_candidates(answers)

    async def _given(self, hosts: Iterable[NextHop]) -> Sequence[Candidate] | Failure:
        """
        Find the addresses of hosts that the operator named: any address will do. One that cannot be found is the
        operator's slip, which must not bounce mail.
        """
        found: list[Candidate] = []
        for hop in hosts:
            address = mx.read_address(hop.host)
            if address is not None:
                found.append(Candidate(hop.host, address, hop.port))
                continue
            if hop.host == "localhost":
                families = [[_LOOPBACK[family]] for family in self.section.address_families]
            else:
                families = [list(answer.addresses) for answer in (await self._look_up((hop.host,)))[0]]
            found += [Candidate(hop.host, a, hop.port) for a in mx.interleave(families)[: mx.MAX_ADDRESSES]]
        return found[: mx.MAX_ADDRESSES] or TransientFailure(
            Reply(451, "4.4.4", ("no configured next hop has an address",)), Scope.HOST
        )

    async def _look_up(self, hosts: Iterable[str]) -> list[list[Answer]]:
        """
        Ask for the addresses of all hosts at once, in the order of the families.
        """
        rdtypes = [mx.RDTYPES[family] for family in self.section.address_families]
        asked = [[self._resolver.lookup(host, rdtype) for rdtype in rdtypes] for host in hosts]
        return [[a if isinstance(a, Answer) else await a for a in of_host] for of_host in asked]

    def _is_us(self, answers: Iterable[Answer]) -> bool:
        own = self._own_addresses
        if not own or self.section.allow_private_mx:
            return False
        return any(address in own for answer in answers for address in answer.addresses)

    def _usable(self, addresses: Sequence[str]) -> list[str]:
        usable = [address for address in addresses if self._allowed(address)]
        if len(usable) > 1:
            self._chance.shuffle(usable)
        return usable

    def _allowed(self, address: str) -> bool:
        """
        Tell whether mail may go to an address from the DNS; judging one takes microseconds, so it is remembered.
        """
        if self.section.allow_private_mx:
            return True
        known = self._public.get(address)
        if known is None:
            if len(self._public) >= _VERDICTS_KEPT:
                self._public.clear()
            known = self._public[address] = mx.is_public(address) and address not in self._own_addresses
        return known
