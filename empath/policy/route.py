"""
Which way mail for a domain goes: what the operator wrote for it, for a domain above it, or for every other.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

import attrs

from empath.policy.mx import read_address
from empath.policy.tls import Policy

LMTP: Final = "lmtp"  # the strategy whose hosts keep the mailboxes (RFC 2033)


@attrs.frozen(slots=True)
class NextHop:
    """
    A host given by the operator: a name (looked up for addresses, not for MX) or an IP address, and a port.

    `address` is the IP address, None for a name: reading one takes microseconds, so it is done once.
    """

    host: str
    port: int
    address: str | None = attrs.field(init=False, eq=False, repr=False)

    @address.default
    def _address(self) -> str | None:
        return read_address(self.host)

    @property
    def local(self) -> bool:
        """
        Whether it is this machine, whatever a look-up says.
        """
        return self.host == "localhost" or (self.address is not None and ip_address(self.address).is_loopback)


@attrs.frozen(slots=True)
class Route:
    """
    How mail for a domain goes on. `hosts` are tried in order; empty: the MX hosts of the domain, and for LMTP the UNIX
    socket at `path`.

    `implicit`: TLS begins with the connection. `username` is "" where no login is needed. `path` is the folder of
    strategies that deliver on this machine. `pool` names where connections leave from, "" for any; `max_connections` to
    the site and `max_messages` on each of them are None where the general limits hold.

    `encrypted`: TLS is needed whatever the policy `tls` finds; `lowered`: a certificate that it asks for need not be
    valid. `identity` is the file of the certificate that we show where a server asks for one, "" for none.

    `url`, `secret`, `format` and `headers` (fields of the request) are the webhook's; `options` are what the maker of a
    third party's strategy is called with.
    """

    strategy: str = "smtp"
    hosts: tuple[NextHop, ...] = ()
    tls: Policy = Policy.OPPORTUNISTIC
    implicit: bool = False
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    path: str = ""
    pool: str = ""
    max_connections: int | None = None
    max_messages: int | None = None
    encrypted: bool = False
    lowered: bool = False
    identity: str = ""
    url: str = ""
    secret: str = attrs.field(default="", repr=False)
    format: str = "json"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False, hash=False)

    @property
    def stays(self) -> bool:
        """
        Whether LMTP does not leave this machine: it goes to a UNIX socket or to loopback addresses.
        """
        return all(hop.local for hop in self.hosts)


class Routes:
    """
    The routes by what they are for: "example.org", "*.example.org" (every domain below it) and "*" (every other).
    """

    def __init__(self, routes: Mapping[str, Route], default: Route) -> None:
        self._routes = {key.lower(): route for key, route in routes.items()}
        self._default = self._routes.get("*", default)
        self._suffixes = any(key.startswith("*.") for key in self._routes)

    def __contains__(self, name: object) -> bool:
        """
        Tell whether there is a route of exactly this name, in lower case.
        """
        return name in self._routes

    def find(self, domain: str) -> Route:
        """
        Find the route of a domain in lower case: the exact one, else that of the longest suffix, else the default.
        """
        route = self._routes.get(domain)
        if route is not None:
            return route
        name = self._suffix_of(domain) if self._suffixes else ""
        return self._routes[name] if name else self._default

    def name_of(self, domain: str) -> str:
        """
        Tell under which name `find` finds it, "" where it is the default.
        """
        if domain in self._routes:
            return domain
        return self._suffix_of(domain) or ("*" if "*" in self._routes else "")

    def _suffix_of(self, domain: str) -> str:
        rest = domain
        while (dot := rest.find(".")) >= 0:
            rest = rest[dot + 1 :]
            if f"*.{rest}" in self._routes:
                return f"*.{rest}"
        return ""


def next_hop(text: str, port: int) -> NextHop:
    """
    Read "host", "host:port", "[host]:port" or an IP address; `port` where none is given. ValueError if it is none.
    """
    host, given = _divide(text.strip())
    host = host.lower().removeprefix("ipv6:").removesuffix(".")
    if not host or any(c.isspace() for c in host):
        raise ValueError(f"no host: {text!r}")
    if not given:
        return NextHop(host, port)
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65536):
        raise ValueError(f"no port: {text!r}")
    return NextHop(host, int(given))


def _divide(text: str) -> tuple[str, str]:
    """
    Part host and port; a bare IPv6 address has colons of its own.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or rest == ":":
            raise ValueError(f"no host: {text!r}")
        return host, rest[1:]
    if text.count(":") > 1:
        return text, ""
    host, colon, port = text.partition(":")
    if colon and not port:
        raise ValueError(f"no port: {text!r}")
    return host, port
