"""
Which site a destination's mail goes to: the name of its set of hosts, from its route or its MX records.

Retried: a look-up that failed, after a while; meanwhile a destination stays at the site that it was at. Fatal: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable
from hashlib import sha256
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.deliver.routing import Routing
from empath.interfaces import IResolver, ISites
from empath.mail.answer import Answer, Found
from empath.policy.mx import read_address
from empath.policy.route import NextHop, Route

REMEMBERED: Final = 50_000  # destinations
SHORTEST: Final = 30.0  # seconds for which a name is not made anew
LONGEST_NAME: Final = 200  # characters; what is longer ends in a digest

_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)


@implementer(ISites)
class Sites:
    """
    Names sites by `routing` and what `resolver` says; remembers a name as long as the MX records are valid.
    """

    def __init__(self, routing: Routing, resolver: IResolver, clock: IReactorTime) -> None:
        self._routing = routing
        self._resolver = resolver
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}
        self._given: dict[tuple[NextHop, ...], str] = {}

    def site_of(self, domain: str) -> str | Awaitable[str]:
        """
        See `ISites`.
        """
        route = self._routing.find(domain)
        if route.hosts or route.strategy != "smtp":
            return self._by_route(route)
        known = self._known.get(domain)
        if known is not None and self._clock.seconds() < known[1]:
            return known[0]
        if domain.startswith("[") or not domain:
            return domain
        answer = self._resolver.lookup(domain, "MX")
        if isinstance(answer, Answer):
            return self._by_answer(domain, answer)
        return self._after(domain, answer)

    async def _after(self, domain: str, asked: Awaitable[Answer]) -> str:
        return self._by_answer(domain, await asked)

    def _by_route(self, route: Route) -> str:
        if not route.hosts:
            return name_of_place(route)
        name = self._given.get(route.hosts)
        if name is None:
            if len(self._given) >= REMEMBERED:
                self._given.clear()
            name = self._given[route.hosts] = name_of_hops(route.hosts)
        return name

    def _by_answer(self, domain: str, answer: Answer) -> str:
        known = self._known
        before = known.pop(domain, None)
        if answer.found is Found.FAILED and before is not None:
            name = before[0]
        else:
            name = name_of_hosts([record.host for record in answer.mx]) or domain
        if len(known) >= REMEMBERED:
            del known[next(iter(known))]
        known[domain] = (name, max(answer.expires, self._clock.seconds() + SHORTEST))
        return name


def name_of_hosts(hosts: Iterable[str]) -> str:
    """
    Name a set of MX hosts: "mx.example.org", "(alt1|alt2).mx.example.org"; "" where there is none, or where one could
    be taken for the name of another set.
    """
    names = sorted({host for host in hosts if host})
    if not all(_HOST.fullmatch(name) for name in names):
        return ""
    return _bounded(_joined(names)) if names else ""


def name_of_hops(hops: Iterable[NextHop]) -> str:
    """
    Name a set of configured hosts: "localhost:2525", "(a|b).example.org:25", "(192.0.2.1:25|[2001:db8::1]:26)".
    """
    ports = {hop.port for hop in hops}
    if len(ports) > 1:
        return _bounded(f"({'|'.join(sorted({f'{_bracketed(hop.host)}:{hop.port}' for hop in hops}))})")
    return _bounded(f"{_joined(sorted({_bracketed(hop.host) for hop in hops}))}:{ports.pop()}")


def name_of_place(route: Route) -> str:
    """
    Name where a strategy without hosts delivers to: "maildir:/var/mail", "webhook:https://hooks.example.org/mail" (what
    stands behind a "?" may be a secret), "mypackage:Courier#1f0e…" (by its options, if it has any).
    """
    place = route.path or route.url.partition("?")[0]
    if not place and route.options:
        digest = sha256(repr(sorted(route.options.items())).encode()).hexdigest()[:16]
        return _bounded(f"{route.strategy}#{digest}")
    return _bounded(f"{route.strategy}:{place}" if place else route.strategy)


def _joined(names: list[str]) -> str:
    """
    Write the labels that all names end in only once; each keeps one of its own.
    """
    if len(names) == 1:
        return names[0]
    if any(read_address(name.strip("[]")) for name in names):
        return f"({'|'.join(names)})"
    split = [name.split(".") for name in names]
    shared = 0
    while shared < min(map(len, split)) - 1 and len({labels[-1 - shared] for labels in split}) == 1:
        shared += 1
    if not shared:
        return f"({'|'.join(names)})"
    own = "|".join(".".join(labels[:-shared]) for labels in split)
    return f"({own}).{'.'.join(split[0][-shared:])}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bounded(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}#{sha256(name.encode()).hexdigest()[:16]}"
