"""
What asks certified web servers, by our own resolver: where these are, and the connection of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from empath.interfaces import IResolver
from empath.mail.answer import Answer
from empath.net.certified import CertifiedHosts
from empath.net.web_line import Line
from empath.policy import mx

MAX_ADDRESSES: Final = 4


class WebClient:
    """
    `families` are those of the addresses to use, in their order; unless `allow_private`, no address of a private
    network is connected to. `trust_root` is whom certificates are judged by, the system's roots by default.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: IResolver,
        families: Sequence[Literal["ipv6", "ipv4"]],
        allow_private: bool,
        trust_root: Any = None,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._hosts = CertifiedHosts(trust_root)
        self.use(families, allow_private)

    def use(self, families: Sequence[Literal["ipv6", "ipv4"]], allow_private: bool) -> None:
        """
        Use addresses of other families, or of private networks as well, from now on.
        """
        self._rdtypes = [mx.RDTYPES[family] for family in families]
        self._allow_private = allow_private

    async def look_up(self, host: str) -> tuple[list[str], list[Answer]]:
        """
        Tell at which addresses a server may be asked, and all that the DNS said of it.
        """
        asked = [self._resolver.lookup(host, rdtype) for rdtype in self._rdtypes]
        answers = [each if isinstance(each, Answer) else await each for each in asked]
        found = mx.interleave([answer.addresses for answer in answers])
        usable = [address for address in found if self._allow_private or mx.is_public(address)]
        return usable[:MAX_ADDRESSES], answers

    def line(self, host: str, addresses: Sequence[str], port: int, most: int) -> Line:
        """
        Make the connection of one request to a certified host; see `Line`.
        """
        return Line(self._reactor, addresses, port, self._hosts.host(host), most)
