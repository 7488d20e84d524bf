"""
The operator's [delivery] section, and the hosts given at run time, as the routes that decide about each domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import attrs

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.policy.incoming import PLACE, STRATEGY
from empath.policy.route import LMTP, NextHop, Route, Routes, next_hop
from empath.policy.tls import Policy

_SMTP: Final = 25
_SUBMISSIONS: Final = 465  # RFC 8314 §3.3


class Routing:
    """
    The routes of the section in force, and of the hosts given in its stead. ValueError, at making and reconfiguring,
    for a host that cannot be read.
    """

    def __init__(self, section: Section) -> None:
        self._overrides: dict[str, tuple[str, ...]] = {}
        self.reconfigure(section)

    def find(self, domain: str) -> Route:
        """
        Give the route of a domain.
        """
        return self._routes.find(domain)

    def name_of(self, domain: str) -> str:
        """
        Tell under which name the route of a domain was found ("example.org", "*.example.org", "*"), "" for none.
        """
        return self._routes.name_of(domain)

    @property
    def overridden(self) -> Mapping[str, tuple[str, ...]]:
        """
        The hosts that stand in for those in the section.
        """
        return self._overrides

    def configured(self, name: str) -> Route:
        """
        Give the route that the section alone has for a domain or a pattern.
        """
        return self._configured.find(name)

    def leads_to(self, name: str) -> bool:
        """
        Tell whether mail can go by this name: a route of its own, or a domain as others are. A name without a dot is
        no domain that anybody meant.
        """
        return "." in name or name in self._routes

    @property
    def needs_dns(self) -> bool:
        """
        Tell whether any route begins with a look-up.
        """
        return self._needs_dns

    def reconfigure(self, section: Section) -> None:
        """
        Use a new section from now on; the hosts given in its stead stay.
        """
        self._use(section, self._overrides)

    def override(self, overrides: Mapping[str, tuple[str, ...]]) -> None:
        """
        Send mail for these domains (or patterns, as in the section) to these hosts, instead of theirs in the section or
        the DNS; all that is given no more goes again as the section says. A domain with a strategy of its own keeps it.
        """
        self._use(self._section, dict(overrides))

    def _use(self, section: Section, overrides: dict[str, tuple[str, ...]]) -> None:
        fallback = _fallback(section)
        table = _table(section)
        configured = Routes(table, fallback)
        for name, hosts in overrides.items():
            route = configured.find(name)
            if route.strategy == "smtp":
                table[name] = attrs.evolve(route, hosts=_hops(hosts, section.port, route.implicit))
        self._needs_dns = "*" not in table or any(_looks_up(route) for route in table.values())
        self._section, self._overrides, self._configured = section, overrides, configured
        self._routes = Routes(table, fallback) if overrides else configured


def _table(section: Section) -> dict[str, Route]:
    fallback = _fallback(section)
    table = {name.lower(): _route(domain, fallback, section.port) for name, domain in section.domains.items()}
    return {**table, PLACE: Route(strategy=STRATEGY)}


def _fallback(section: Section) -> Route:
    """
    Give the route of domains that have none of their own.
    """
    tls = section.tls
    return Route(tls=Policy(tls.default_policy), lowered=section.accept_invalid_certs, identity=tls.certificate)


def _looks_up(route: Route) -> bool:
    if route.strategy == LMTP:
        return not all(_known(hop.host) for hop in route.hosts)
    if route.url:
        return not _known(urlsplit(route.url).hostname or "")
    return route.strategy == "smtp" and not (route.hosts and all(_known(hop.host) for hop in route.hosts))


def _known(host: str) -> bool:
    """
    Tell whether a host is found without a look-up.
    """
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _route(domain: Domain, fallback: Route, port: int) -> Route:
    lowered = domain.accept_invalid_certs
    implicit = domain.tls == "implicit"
    return Route(
        strategy=domain.strategy,
        hosts=_hops(domain.mx_override, port, implicit),
        tls=_policy(domain, fallback.tls),
        implicit=implicit,
        username=domain.username,
        password=domain.password,
        path=domain.path,
        pool=domain.pool,
        max_connections=domain.max_connections,
        max_messages=domain.max_messages,
        encrypted=domain.require_tls,
        lowered=fallback.lowered if lowered is None else lowered,
        identity=domain.certificate or fallback.identity,
        url=domain.url,
        secret=domain.secret,
        format=domain.format,
        headers=tuple(domain.headers.items()),
        options=domain.options,
    )


def _hops(hosts: Iterable[str], port: int, implicit: bool) -> tuple[NextHop, ...]:
    """
    Read hosts; where TLS begins with the connection, port 25 is not meant.
    """
    port = _SUBMISSIONS if implicit and port == _SMTP else port
    return tuple(next_hop(text, port) for text in hosts)


def _policy(domain: Domain, default: Policy) -> Policy:
    """
    Give the domain's policy; `require_tls` raises it, and never lowers one that is stricter.
    """
    policy = default if domain.tls_policy is None else Policy(domain.tls_policy)
    if domain.require_tls and policy in (Policy.DISABLED, Policy.OPPORTUNISTIC):
        return Policy.REQUIRED
    return policy
