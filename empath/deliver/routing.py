"""
The operator's [delivery] section as the routes that decide about each domain.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.policy.route import Route, Routes, next_hop
from empath.policy.tls import Policy

_SMTP: Final = 25
_SUBMISSIONS: Final = 465  # RFC 8314 §3.3


class Routing:
    """
    The routes of the section in force. ValueError, at making and reconfiguring, for a host that cannot be read.
    """

    def __init__(self, section: Section) -> None:
        self.reconfigure(section)

    def find(self, domain: str) -> Route:
        """
        Give the route of a domain.
        """
        return self._routes.find(domain)

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
        Use a new section from now on.
        """
        self._routes = routes_of(section)
        routes = [_route(domain, Policy.DISABLED, section.port) for domain in section.domains.values()]
        self._needs_dns = "*" not in section.domains or any(_looks_up(route) for route in routes)


def routes_of(section: Section) -> Routes:
    """
    Make the routes of a section.
    """
    default = Policy(section.tls.default_policy)
    return Routes(
        {name: _route(domain, default, section.port) for name, domain in section.domains.items()},
        Route(tls=default),
    )


def _looks_up(route: Route) -> bool:
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


def _route(domain: Domain, default: Policy, port: int) -> Route:
    implicit = domain.tls == "implicit"
    if implicit and port == _SMTP:
        port = _SUBMISSIONS
    return Route(
        strategy=domain.strategy,
        hosts=tuple(next_hop(text, port) for text in domain.mx_override),
        tls=_policy(domain, default),
        implicit=implicit,
        username=domain.username,
        password=domain.password,
        path=domain.path,
    )


def _policy(domain: Domain, default: Policy) -> Policy:
    """
    Give the domain's policy; `require_tls` raises it, and never lowers one that is stricter.
    """
    policy = default if domain.tls_policy is None else Policy(domain.tls_policy)
    if domain.require_tls and policy in (Policy.DISABLED, Policy.OPPORTUNISTIC):
        return Policy.REQUIRED
    return policy
