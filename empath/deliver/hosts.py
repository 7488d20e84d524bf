"""
Finding the addresses to try for a domain: MX hosts by preference, or the hosts the operator gave.

Retried: every look-up that failed, with the next attempt. Fatal: nothing.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from empath.config.schema import Delivery as Section
from empath.deliver.assurances import Assurances
from empath.deliver.target import NO_PORT
from empath.interfaces import IResolver, IStsPolicies
from empath.mail.answer import Answer
from empath.mail.outcome import Failure, PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.mail.wish import Wish
from empath.policy import mx
from empath.policy.demand import Assurance, Destination
from empath.policy.forged import unless_forged
from empath.policy.mx import Candidate
from empath.policy.route import LMTP, Route
from empath.policy.tls import CLEARTEXT

THIS_MACHINE: Final = "localhost"  # what a UNIX socket's host is called
IN_CLEAR: Final = Assurance(CLEARTEXT)
_PER_HOST: Final = 3  # addresses of one host, where there are several hosts
_PER_FAMILY: Final = 2  # where the operator gave more than two: each is to have its turn
_MOST_GROUPS: Final = 10  # of MX hosts, looked up one after the other: each may take as long as a look-up can
_MOST_HOSTS: Final = 10  # whose demands are found out, barred ones included
_LOOPBACK: Final = {"ipv6": "::1", "ipv4": "127.0.0.1"}
_VERDICTS_KEPT: Final = 10000


class HostFinder:
    """
    Asks the resolver, and orders what it says by `empath.policy.mx`.

    `own_names` and `own_addresses` are this machine's: mail is never sent back to it, but to where the operator says.
    `policies` are those of MTA-STS, None where there are none.
    """

    def __init__(
        self,
        resolver: IResolver,
        chance: random.Random,
        section: Section,
        own_names: Collection[str],
        own_addresses: Collection[str],
        policies: IStsPolicies | None = None,
    ) -> None:
        self.assurances = Assurances(resolver, policies)
        self._resolver = resolver
        self._chance = chance
        self._own_names = own_names
        self._own_addresses = own_addresses
        self._public: dict[str, bool] = {}
        self.use(section)

    def use(self, section: Section) -> None:
        """
        Use a new section from now on.
        """
        self.section = section
        self.assurances.mta_sts = section.tls.mta_sts

    async def find(self, route: Route, domain: str, wish: Wish = Wish.NONE) -> Sequence[Candidate] | Failure:
        """
        Give up to five addresses in the order to try them, or why there are none; and what each must show, as the
        destination and the sender want it.
        """
        if route.hosts:
            return await self._given(route, domain, wish)
        if route.strategy == LMTP:
            return [Candidate(THIS_MACHINE, route.path, NO_PORT, IN_CLEAR)]
        literal = mx.read_literal(domain)
        if isinstance(literal, str):
            return await self._literal(route, domain, wish, literal)
        if literal is not None:
            return literal
        if not domain:
            return mx.NO_DOMAIN
        asked = self._resolver.lookup(domain, "MX")
        answer = asked if isinstance(asked, Answer) else await asked
        groups = mx.host_groups(answer, self._own_names, self._chance)
        if isinstance(groups, (PermanentFailure, TransientFailure)):
            return unless_forged(groups, (answer,), route.tls, wish)
        told = self.assurances.destination(route, domain, wish, answer)
        return await self._addresses_of(groups, told if isinstance(told, (Assurance, Destination)) else await told)

    async def _literal(self, route: Route, domain: str, wish: Wish, address: str) -> Sequence[Candidate] | Failure:
        """
        Give the one address that a domain literal is.
        """
        if not self._allowed(address):
            return mx.NOT_USABLE
        port = self.section.port
        told = self.assurances.destination(route, domain, wish, None)
        to = told if isinstance(told, (Assurance, Destination)) else await told
        assurance = to if isinstance(to, Assurance) else await self.assurances.of(to, address, port, ())
        return [Candidate(domain, address, port, assurance)]

    async def _addresses_of(
        self, groups: tuple[tuple[str, ...], ...], to: Destination | Assurance
    ) -> Sequence[Candidate] | Failure:
        """
        Look up group after group until there are enough; a group in which we find ourselves ends it.
        """
        found: list[Candidate] = []
        answers: list[Answer] = []
        room, left = mx.MAX_ADDRESSES, _MOST_HOSTS
        most = room if len(groups) == 1 and len(groups[0]) == 1 else _PER_HOST
        for hosts in groups[:_MOST_GROUPS]:
            told = await self._look_up(hosts)
            answers += [answer for of_host in told for answer in of_host]
            if self._is_us(answers):
                return found or mx.LOOP
            for host, of_host in zip(hosts, told, strict=True):
                usable = mx.interleave([self._usable(answer.addresses) for answer in of_host])[: min(most, room)]
                if not usable:
                    continue
                those = await self._candidates(host, usable, to, of_host)
                found += those
                room, left = room - (those[0].assurance.barred is None and len(those)), left - 1
                if not room or not left:
                    return found
        if found:
            return found
        failure = mx.no_candidates(answers)
        return unless_forged(failure, answers, to.local, to.wish) if isinstance(to, Destination) else failure

    async def _candidates(
        self, host: str, addresses: Sequence[str], to: Destination | Assurance, answers: Sequence[Answer]
    ) -> list[Candidate]:
        """
        Tell what a host must show at its addresses; one that is barred has one for all, and takes no other's place.
        """
        port = self.section.port
        assurance = to if isinstance(to, Assurance) else await self.assurances.of(to, host, port, answers)
        if assurance.barred is not None:
            addresses = addresses[:1]
        return [Candidate(host, address, port, assurance) for address in addresses]

    async def _given(self, route: Route, domain: str, wish: Wish) -> Sequence[Candidate] | Failure:
        """
        Find the addresses of hosts that the operator named: any address will do. One that cannot be found is the
        operator's slip, which must not bounce mail.
        """
        told = self.assurances.destination(route, domain, wish, None)
        to = told if isinstance(told, (Assurance, Destination)) else await told
        found: list[Candidate] = []
        most = mx.MAX_ADDRESSES if len(route.hosts) == 1 else _PER_HOST if len(route.hosts) == 2 else _PER_FAMILY
        for hop in route.hosts:
            answers: list[Answer] = []
            address = hop.address
            if address is not None:
                addresses = [address]
            elif hop.host == "localhost":
                addresses = mx.interleave([[_LOOPBACK[family]] for family in self.section.address_families])
            else:
                answers = (await self._look_up((hop.host,)))[0]
                addresses = mx.interleave([list(answer.addresses) for answer in answers])[:most]
            assurance = to if isinstance(to, Assurance) else await self.assurances.of(to, hop.host, hop.port, answers)
            found += [Candidate(hop.host, each, hop.port, assurance) for each in addresses]
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
