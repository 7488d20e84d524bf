"""
Where mail for a destination would go, found by the look-ups of a delivery and without connecting to any of its hosts.

An MTA-STS policy that is not known yet is fetched as for a delivery (RFC 8461 §3.3). Fatal, retried: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

import attrs

from empath.deliver.routing import Routing
from empath.interfaces import IResolver, ISites
from empath.mail.answer import Answer
from empath.mail.outcome import Failure, PermanentFailure, TransientFailure
from empath.mail.wish import Wish
from empath.policy.demand import Assurance
from empath.policy.mx import Candidate
from empath.policy.route import LMTP, Route


class HostsOf(Protocol):
    """
    What finds the hosts of a destination, as a delivery does.
    """

    async def hosts_of(self, domain: str, wish: Wish) -> Sequence[Candidate] | Failure:
        """
        Give the addresses to try in their order, or why there are none.
        """


@attrs.frozen(slots=True)
class Stop:
    """
    A host with its addresses in the order in which they are tried, and what it must show; `preference` is that of its
    MX record, None without one.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    assurance: Assurance
    preference: int | None = None


@attrs.frozen(slots=True)
class Way:
    """
    Where mail goes: by the route of this name ("" for what holds of every domain) to a site, or by `stops` in their
    order; where there are none, `failure` is what becomes of the attempt. Neither: it is delivered without hosts.
    """

    domain: str
    name: str
    route: Route
    site: str
    stops: tuple[Stop, ...] = ()
    failure: Failure | None = None


class Looking:
    """
    Tells ways by `routing`, with sites as the queue has them.
    """

    def __init__(self, routing: Routing, resolver: IResolver, sites: ISites, agent: HostsOf) -> None:
        self._routing = routing
        self._resolver = resolver
        self._sites = sites
        self._agent = agent

    async def way(self, domain: str, wish: Wish = Wish.NONE) -> Way:
        """
        Tell the way to a destination, for mail with this wish; it may take as long as the look-ups.
        """
        route = self._routing.find(domain)
        asked = self._sites.site_of(domain)
        site = asked if isinstance(asked, str) else await asked
        way = Way(domain, self._routing.name_of(domain), route, site)
        if route.strategy not in ("smtp", LMTP):
            return way
        found = await self._agent.hosts_of(domain, wish)
        if isinstance(found, (PermanentFailure, TransientFailure)):
            return attrs.evolve(way, failure=found)
        preferences = {} if route.hosts or route.strategy == LMTP else await self._preferences(domain)
        return attrs.evolve(way, stops=_stops(found, preferences))

    async def _preferences(self, domain: str) -> dict[str, int]:
        """
        Tell the preferences of MX hosts; the cache has them by now.
        """
        asked: Answer | Awaitable[Answer] = self._resolver.lookup(domain, "MX")
        answer = asked if isinstance(asked, Answer) else await asked
        found: dict[str, int] = {}
        for record in answer.mx:
            found[record.host] = min(record.preference, found.get(record.host, record.preference))
        return found


def _stops(found: Sequence[Candidate], preferences: dict[str, int]) -> tuple[Stop, ...]:
    """
    Put the addresses of each host together, where it comes first.
    """
    stops: dict[tuple[str, int], Stop] = {}
    for each in found:
        key = each.host, each.port
        before = stops.get(key)
        if before is None:
            stops[key] = Stop(*key, (each.address,), each.assurance, preferences.get(each.host))
        else:
            stops[key] = attrs.evolve(before, addresses=(*before.addresses, each.address))
    return tuple(stops.values())
