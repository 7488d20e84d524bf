"""
Finding out what the hosts of a destination must show: MTA-STS policies, TLSA records.

Retried, with the next attempt: every look-up that failed; where it could hide a demand, its host is barred until then.
Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from empath.interfaces import IResolver, IStsPolicies
from empath.mail.answer import Answer
from empath.mail.wish import Wish
from empath.policy.demand import (
    Assurance,
    Barred,
    Destination,
    Tlsa,
    alias_bases,
    assurance,
    read_tlsa,
    tlsa_bases,
    usual,
)
from empath.policy.mta_sts import StsPolicy
from empath.policy.route import Route
from empath.policy.tls import Policy
from empath.policy.tlsa import owner


class Assurances:
    """
    Asks `resolver` and, where there are any, `policies`. `mta_sts`: policies count; `collected`: what has no
    consequence but in reports is to be found, too.
    """

    def __init__(self, resolver: IResolver, policies: IStsPolicies | None) -> None:
        self._resolver = resolver
        self._policies = policies
        self.mta_sts = True
        self.collected = False

    def destination(
        self, route: Route, domain: str, wish: Wish, mx: Answer | None
    ) -> Destination | Assurance | Awaitable[Destination | Assurance]:
        """
        Tell what is known of a destination, or at once what is asked of all its hosts, where that is all the same.
        `mx` is the answer that named its hosts, None where the operator named them.
        """
        if mx is None or self._policies is None or not self.mta_sts or not _asks_sts(route, wish):
            return self._told(route, domain, wish, mx, None)
        asked = self._policies.policy_of(domain, wish is Wish.REQUIRE)  # else it bounces
        if asked is None and wish is Wish.NONE and (told := usual(route.tls)) is not None:
            return told
        if asked is None or isinstance(asked, StsPolicy):
            return self._told(route, domain, wish, mx, asked)
        return self._after(route, domain, wish, mx, asked)

    async def of(self, to: Destination, host: str, port: int, answers: Sequence[Answer]) -> Assurance:
        """
        Tell what is asked of one host, given the answers for its addresses: none where it goes by its address.
        """
        return assurance(to, host, await self._tlsa(host, port, answers) if to.asks_tlsa and answers else None)

    async def _after(
        self, route: Route, domain: str, wish: Wish, mx: Answer, asked: Awaitable[StsPolicy | None]
    ) -> Destination | Assurance:
        return self._told(route, domain, wish, mx, await asked)

    def _told(
        self, route: Route, domain: str, wish: Wish, mx: Answer | None, sts: StsPolicy | None
    ) -> Destination | Assurance:
        if sts is None and wish is Wish.NONE:
            told = usual(route.tls)
            if told is not None:
                return told
        return Destination(
            domain,
            route.tls,
            route.encrypted,
            route.lowered,
            wish,
            None if mx is None else mx.security,
            (mx.canonical,) if mx is not None and mx.secure and mx.canonical else (),
            sts,
            self._unsure(domain, wish, mx, sts),
            self.collected,
        )

    def _unsure(self, domain: str, wish: Wish, mx: Answer | None, sts: StsPolicy | None) -> bool:
        """
        Tell whether a policy may vouch for hosts later on; asked only where mail bounces without one.
        """
        if mx is None or sts is not None or wish is not Wish.REQUIRE or self._policies is None or not self.mta_sts:
            return False
        return self._policies.unsure(domain)

    async def _tlsa(self, host: str, port: int, answers: Sequence[Answer]) -> Tlsa | Barred | None:
        """
        Look for secure TLSA records below the end of a chain of aliases, then below the host's own name.
        """
        bases = tlsa_bases(host, answers)
        if bases is None:
            bases = alias_bases(host, await self._ask(host, "CNAME"))
        if isinstance(bases, Barred):
            return bases
        for base in bases:
            found = read_tlsa(base, await self._ask(owner(base, port), "TLSA"))
            if found is not None:
                return found
        return None

    async def _ask(self, name: str, rdtype: str) -> Answer:
        asked = self._resolver.lookup(name, rdtype)
        return asked if isinstance(asked, Answer) else await asked


def _asks_sts(route: Route, wish: Wish) -> bool:
    """
    Tell whether a policy of the destination's could count.
    """
    return route.tls is not Policy.DISABLED if wish is Wish.NONE else wish is Wish.REQUIRE
