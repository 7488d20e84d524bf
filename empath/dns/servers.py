"""
Which servers are asked, and in which order.

A server that stays silent is asked last for a while, so that one dead server costs one look-up a time-out now and then
and not every look-up. Nothing here is fatal: an unreadable resolv.conf means the server on this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

import attrs
from twisted.logger import Logger

from empath.config.schema import Dns
from empath.errors import ConfigError

PORT: Final = 53
RESOLV_CONF: Final = "/etc/resolv.conf"
MAX_SYSTEM_SERVERS: Final = 3  # as many as the C library reads: resolv.conf(5), MAXNS
HOLD_DOWN: Final = 30.0  # seconds that a silent server is asked after the others
_WRITTEN: Final = re.compile(r"\[([^\[\]]+)\](?::(\d{1,5}))?|([^:\[\]]+)(?::(\d{1,5}))?|([^\[\]]+)", re.ASCII)

log = Logger()


@attrs.frozen(slots=True)
class Server:
    """
    A DNS server: `host` is an IP address as text (a scope such as "%eth0" may follow), never a name.
    """

    host: str
    port: int = PORT

    @property
    def address(self) -> str:
        """
        The IP address without its scope.
        """
        return self.host.partition("%")[0]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


LOCAL: Final = Server("127.0.0.1")


def parse_server(text: str) -> Server:
    """
    Read "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53"; ValueError says what is wrong with others.

    A name is refused: to look it up would need the very server that it names.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not host[:port]")
    host = match[1] or match[3] or match[5]
    port = int(match[2] or match[4] or PORT)
    if not 1 <= port <= 65535:
        raise ValueError(f"{text!r}: a port is 1 to 65535")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r}: a DNS server is given by its IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return Server(str(address), port)


def system_servers(path: str = RESOLV_CONF) -> tuple[Server, ...]:
    """
    Read the nameservers of resolv.conf(5), at most three; the server on this machine if there are none or no file.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as lines:
            words = [line.split() for line in lines]
    except OSError:
        return (LOCAL,)
    found = []
    for line in words:
        if len(line) < 2 or line[0] != "nameserver":
            continue
        try:
            found.append(parse_server(f"[{line[1]}]"))
        except ValueError:
            log.warn("{path}: {address!r} is not an IP address, ignored", path=path, address=line[1])
    return tuple(found[:MAX_SYSTEM_SERVERS]) or (LOCAL,)


class Roster:
    """
    The servers in the order given, those that were silent a moment ago after all others.
    """

    __slots__ = ("_silent_until", "servers")

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = tuple(servers)
        self._silent_until: dict[Server, float] = {}

    def order(self, now: float) -> list[Server]:
        """
        Tell whom to ask, first to last; every server is among them.
        """
        return sorted(self.servers, key=lambda server: self._silent_until.get(server, 0.0) > now)

    def silent(self, server: Server, now: float, why: str) -> None:
        """
        Note that `server` did not answer; said in the log once for each time that it is put last.
        """
        if self._silent_until.get(server, 0.0) <= now:
            log.warn("DNS server {server} is silent: {why}", server=server, why=why)
        self._silent_until[server] = now + HOLD_DOWN

    def answered(self, server: Server) -> None:
        """
        Note that `server` is well: it is back at its place.
        """
        if self._silent_until.pop(server, None) is not None:
            log.info("DNS server {server} answers again", server=server)


def configured_servers(section: Dns) -> tuple[Server, ...]:
    """
    Read the servers that [delivery.dns] names; ConfigError tells all that are none.
    """
    servers, problems = [], []
    for text in section.servers:
        try:
            servers.append(parse_server(text))
        except ValueError as why:
            problems.append(f"delivery.dns.servers: {why}")
    if problems:
        raise ConfigError(problems)
    return tuple(servers)
