"""
What is asked about the DNS cache and the hosts that were set by hand, and done to them.
"""

from __future__ import annotations

from heapq import nsmallest
from typing import Final

from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Answers, Call, Refused
from empath.control.terms.dns import (
    CachedAnswer,
    CachePage,
    ClearCache,
    Cleared,
    DnsStats,
    GetDnsStats,
    ListCache,
    ListOverrides,
    OverrideRow,
    Overrides,
    RefreshDomain,
    Refreshed,
    RemoveOverride,
    SetOverride,
)
from empath.deliver.overrides import Overrides as Given
from empath.deliver.overrides import domain_pattern
from empath.dns.cache import Listed
from empath.dns.resolver import Resolver
from empath.errors import StorageError
from empath.mail.answer import Answer
from empath.policy.selection import destination
from empath.policy.tlsa import spelled
from empath.service.control.paging import bounded, cursor, moment, place_of

MOST_HOSTS: Final = 10  # whose addresses are asked for again with a domain


class DnsControl:
    """
    Answers for the resolver, and for the hosts that stand in for what it says.
    """

    def __init__(self, resolver: Resolver, given: Given, clock: IReactorTime) -> None:
        self._resolver = resolver
        self._given = given
        self._clock = clock

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {
            ListCache: self._list,
            GetDnsStats: self._stats,
            ClearCache: self._clear,
            RefreshDomain: self._refresh,
            ListOverrides: self._overrides,
            SetOverride: self._set,
            RemoveOverride: self._remove,
        }

    # -- the cache

    def _list(self, request: ListCache, call: Call) -> CachePage:
        limit, now = bounded(request.limit), self._clock.seconds()
        after = place_of(request.after, 2)
        listing = (each for each in self._resolver.cache.listing(now) if _key(each) > after)
        if request.domain:
            domain = destination(request.domain)
            below = f".{domain}"
            listing = (each for each in listing if each.answer.name == domain or each.answer.name.endswith(below))
        found = nsmallest(limit + 1, listing, key=_key)
        rows = tuple([_row(each.answer, each.age, now) for each in found[:limit]])
        return CachePage(rows, cursor(_key(found[limit - 1]) if len(found) > limit else None))

    def _stats(self, request: GetDnsStats, call: Call) -> DnsStats:
        resolver, cache = self._resolver, self._resolver.cache
        asked = cache.hits + cache.misses
        return DnsStats(
            len(cache),
            resolver.section.cache_size,
            cache.hits,
            cache.misses,
            cache.evictions,
            cache.stand_ins,
            resolver.refreshes,
            round(cache.hits / asked, 4) if asked else 0.0,
            resolver.servers,
            moment(resolver.last_answer or None),
            resolver.section.dnssec,
        )

    def _clear(self, request: ClearCache, call: Call) -> Cleared:
        try:
            return Cleared(self._resolver.clear(request.domain or None))
        except ValueError as error:
            raise Refused(f"domain: {error}") from error

    async def _refresh(self, request: RefreshDomain, call: Call) -> Refreshed:
        """
        Ask again for what is known of a domain, then for the addresses of hosts that lie elsewhere.
        """
        begun = self._clock.seconds()
        try:
            answers = list(await self._resolver.refresh(request.domain))
        except ValueError as error:
            raise Refused(f"domain: {error}") from error
        asked = {(each.name, each.rdtype) for each in answers}
        hosts = dict.fromkeys(record.host for answer in answers for record in answer.mx if record.host)
        keys = [(host, rdtype) for host in list(hosts)[:MOST_HOSTS] for rdtype in ("AAAA", "A")]
        asking = [self._resolver.renew(*key) for key in keys if key not in asked]
        answers += [await each for each in asking]
        now = self._clock.seconds()
        return Refreshed(tuple([_row(each, now - begun if not each.stale else 0.0, now) for each in answers]))

    # -- hosts set by hand

    def _overrides(self, request: ListOverrides, call: Call) -> Overrides:
        return self._all()

    async def _set(self, request: SetOverride, call: Call) -> Overrides:
        before = self._given.overrides()
        try:
            await self._given.set_override(request.domain, request.hosts)
        except ValueError as error:
            raise Refused(str(error)) from error
        except StorageError as error:
            raise Refused(f"it could not be stored, and nothing is changed: {error}") from error
        return self._all(self._given.overrides() != before)

    async def _remove(self, request: RemoveOverride, call: Call) -> Overrides:
        try:
            domain_pattern(request.domain)
        except ValueError as error:
            raise Refused(f"domain: {error}") from error
        try:
            changed = await self._given.remove_override(request.domain)
        except StorageError as error:
            raise Refused(f"it could not be stored, and nothing is changed: {error}") from error
        return self._all(changed)

    def _all(self, changed: bool = False) -> Overrides:
        rows = tuple([OverrideRow(domain, hosts) for domain, hosts in self._given.overrides().items()])
        return Overrides(rows, changed)


def _key(listed: Listed) -> tuple[str, ...]:
    return listed.answer.name, listed.answer.rdtype


def _row(answer: Answer, age: float, now: float) -> CachedAnswer:
    return CachedAnswer(
        answer.name,
        answer.rdtype,
        answer.found.value,
        records_of(answer) or ((answer.detail,) if answer.detail else ()),
        round(max(0.0, answer.expires - now), 3),
        round(max(0.0, age), 3),
        answer.security.value,
        answer.stale,
    )


def records_of(answer: Answer) -> tuple[str, ...]:
    """
    Write the records of an answer as a zone file has them, or nearly so.
    """
    hosts = [f"{record.preference} {record.host or '.'}" for record in answer.mx]
    return (*hosts, *answer.addresses, *answer.texts, *[spelled(record) for record in answer.tlsa])
