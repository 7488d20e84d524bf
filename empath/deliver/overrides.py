"""
Hosts that an operator gives a domain while empath runs: they stand instead of its MX records, and of `mx_override` in
the configuration, until they are taken away again, across restarts and reloads.

Fatal: at `restore`, a storage that cannot be read (mail would go where it must not). Told to who asked, with nothing
changed: names that are none, and a storage that cannot be written. Ignored, and logged: stored hosts that cannot be
read, and hosts for a domain whose mail stays on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from twisted.logger import Logger

from empath.deliver.routing import Routing
from empath.interfaces import IStorage
from empath.mail.address import canonical_domain
from empath.policy.mx import read_address
from empath.policy.route import next_hop

PREFIX: Final = "override:"
MOST_HOSTS: Final = 32

log = Logger()


class Overrides:
    """
    The hosts that were given, kept in `storage` and put into `routing`; `changed` is told when mail goes another way.

    A domain is written as a key of [delivery.domains]: "example.org", "*.example.org" (every domain below it) or "*".
    A host is "host[:port]", "[address]:port" or an address, as in `mx_override`.
    """

    def __init__(self, routing: Routing, storage: IStorage, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._routing = routing
        self._storage = storage
        self._given: dict[str, tuple[str, ...]] = {}

    async def restore(self) -> None:
        """
        Take up what was given before the last stop.
        """
        after = PREFIX
        while items := await self._storage.items(after):
            for key, text in items:
                if key.startswith(PREFIX):
                    self._take_up(key.removeprefix(PREFIX), text)
            after = items[-1][0]
        self._routing.override(self._given)

    def overrides(self) -> dict[str, tuple[str, ...]]:
        """
        Tell the hosts by domain, in the order of the domains.
        """
        return dict(sorted(self._given.items()))

    async def set_override(self, domain: str, hosts: Sequence[str]) -> None:
        """
        Send a domain's mail to these hosts, tried in their order, from now on; stored when the Awaitable fires.

        All else that is configured for the domain holds: TLS, login, limits. ValueError, in words for the operator,
        for what is no domain or no host, and for a domain whose mail does not go to hosts.
        """
        name, given = domain_pattern(domain), hosts_of(hosts)
        strategy = self._routing.configured(name).strategy
        if strategy != "smtp":
            raise ValueError(f"mail for {name} is delivered by {strategy}, not to hosts")
        await self._storage.put(PREFIX + name, json.dumps(given))
        self._given[name] = given
        self._use()
        log.info("mail for {domain} goes to {hosts} by override", domain=name, hosts=", ".join(given))

    async def remove_override(self, domain: str) -> bool:
        """
        Let a domain's mail go again as its configuration and its MX records say; tells whether it did not.
        """
        name = domain_pattern(domain)
        await self._storage.delete(PREFIX + name)
        if self._given.pop(name, None) is None:
            return False
        self._use()
        log.info("mail for {domain} goes by configuration and MX records again", domain=name)
        return True

    def _use(self) -> None:
        self._routing.override(self._given)
        self._changed()

    def _take_up(self, name: str, text: str) -> None:
        try:
            given = json.loads(text)
            if not isinstance(given, list):
                raise ValueError("no list of hosts")
            self._given[domain_pattern(name)] = hosts_of(given)
        except ValueError as trouble:
            log.error("{domain}: a stored override cannot be read: {trouble}", domain=name, trouble=trouble)


def domain_pattern(text: str) -> str:
    """
    Read a domain as a key of [delivery.domains]; ValueError if it is none.
    """
    if text == "*":
        return text
    return "*." * text.startswith("*.") + canonical_domain(text.removeprefix("*."))


def hosts_of(texts: Sequence[object]) -> tuple[str, ...]:
    """
    Read hosts; ValueError if there is none among them, or one that is none.
    """
    if not 1 <= len(texts) <= MOST_HOSTS:
        raise ValueError(f"1 to {MOST_HOSTS} hosts are needed, not {len(texts)}")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"no host: {text!r}")
        host = next_hop(text, 25).host
        if read_address(host) is None:
            canonical_domain(host)
    return tuple(str(text).strip() for text in texts)
