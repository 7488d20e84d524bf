"""
Requests to web servers that the operator named, over connections that are kept: by our own resolver, verified HTTPS, or
plain HTTP. No redirect is followed.

Told as answers: whatever keeps a server from answering. Retried: an address that cannot be reached, on the next one;
and a request on a kept connection that its server had closed meanwhile, once, on a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit
from weakref import WeakSet

import attrs
from twisted.internet.defer import Deferred
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from empath.interfaces import IResolver
from empath.net.web_answer import LARGEST, GivenUp, Patience, WebAnswer
from empath.net.web_asking import Asking
from empath.net.web_body import Body, Held
from empath.net.web_client import WebClient
from empath.net.web_line import Line
from empath.policy.mx import read_address

KEPT: Final = 20  # idle connections to one server
OVERHEAD: Final = 32 * 1024  # octets of an answer beside its body
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
LOOPBACK: Final[Mapping[str, str]] = {"ipv6": "::1", "ipv4": "127.0.0.1"}
USUAL: Final = Patience()


class WebPool(WebClient):
    """
    See `WebClient` for the arguments; an IP address, and "localhost", is connected to as it is given. An idle
    connection is closed after `idle` seconds.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: IResolver,
        families: Sequence[Literal["ipv6", "ipv4"]],
        allow_private: bool,
        trust_root: Any = None,
        idle: float = 30.0,
    ) -> None:
        super().__init__(reactor, resolver, families, allow_private, trust_root)
        pool: Any = HTTPConnectionPool(reactor)
        pool.retryAutomatically = False
        pool.maxPersistentPerHost = KEPT
        pool.cachedConnectionTimeout = idle
        self._pool = pool
        self._asked = set[Deferred[WebAnswer]]()
        self._connections: WeakSet[Any] = WeakSet()

    def use(self, families: Sequence[Literal["ipv6", "ipv4"]], allow_private: bool) -> None:
        """
        See `WebClient.use`.
        """
        super().use(families, allow_private)
        self._families = families

    def request(
        self,
        method: str,
        url: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes | Body = b"",
        patience: Patience = USUAL,
    ) -> Deferred[WebAnswer]:
        """
        Make a request; fires with the answer. It fails if it is cancelled, and with what reading `body` fails with.
        """
        headers = Headers()
        for name, value in fields:
            headers.addRawHeader(name, value)
        if not headers.hasHeader("User-Agent"):
            headers.addRawHeader("User-Agent", "empath")
        content = (Held(body) if body else None) if isinstance(body, bytes) else body
        asked: Deferred[WebAnswer] = Deferred.fromCoroutine(self._request(method, url, headers, content, patience))
        self._asked.add(asked)
        return asked.addBoth(self._over, asked)

    def stop(self) -> Deferred[None]:
        """
        Give up what is under way, and close the connections that are kept; fires when they are closed.
        """
        for asked in tuple(self._asked):
            asked.cancel()
        closed: Deferred[None] = self._pool.closeCachedConnections()
        for connection in tuple(self._connections):
            if connection.transport is not None:
                connection.transport.abortConnection()  # a server that is gone does not end TLS
        return closed

    async def _request(
        self, method: str, url: str, headers: Headers, body: Body | None, patience: Patience
    ) -> WebAnswer:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
        addresses = await self._addresses_of(host)
        if not addresses:
            return WebAnswer(trouble=f"{host} has no address that we would connect to")
        line = self._line_to(host, addresses, parts, patience)
        asking = Asking(self._reactor, self._pool, line, patience, self._connections.add)
        answer = await asking.ask(method, url, headers, body)
        if not asking.stale:
            return answer
        line = self._line_to(host, addresses, parts, patience)
        fresh = HTTPConnectionPool(self._reactor, persistent=False)
        again = Asking(self._reactor, fresh, line, patience, self._connections.add)
        try:
            second = await again.ask(method, url, headers, body)
        except GivenUp as cancelled:
            raise GivenUp(cancelled.doubtful or answer.doubtful) from cancelled
        return attrs.evolve(second, doubtful=answer.doubtful) if answer.doubtful and not second.code else second

    def _line_to(self, host: str, addresses: Sequence[str], parts: SplitResult, patience: Patience) -> Line:
        secure = parts.scheme == "https"
        certified = self._hosts.host(host) if secure else None
        most = LARGEST + OVERHEAD
        return Line(self._reactor, addresses, parts.port or PORTS[parts.scheme], certified, most, patience.connect)

    async def _addresses_of(self, host: str) -> Sequence[str]:
        if read_address(host) is not None:
            return [host]
        if host == "localhost":
            return [LOOPBACK[family] for family in self._families]
        return (await self.look_up(host))[0]

    def _over(self, result: Any, asked: Deferred[WebAnswer]) -> Any:
        self._asked.discard(asked)
        return result
