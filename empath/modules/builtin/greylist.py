"""
Greylisting (RFC 6647): whoever is not known yet is asked to come again, which mail servers do and others do not.

Fatal: nothing. Where nothing can be read or stored, the hook fails, and the module's `on_error` decides.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from math import ceil, isfinite
from string import Formatter
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from zope.interface import implementer

from empath.modules import IModule, IServices, MaybeVerdict, Recipient, Session, Transaction, Verdict, options, tempfail
from empath.modules.builtin.greylist_keys import client_key, client_network, triplet_key

NAME: Final = "greylist"
REPLY: Final = "450 4.2.0 greylisted, try again in {seconds} s"
RENEWALS: Final = 35  # how often in `keep` what is known is written again
MOST_REMEMBERED: Final = 10_000  # clients that are known without a look into the storage
UNIX: Final = "unix"


@attrs.frozen(slots=True)
class _Record:
    """
    What is stored: `count` is 1 for a triplet that has passed and 0 for one that waits, for a client how many of its
    triplets have passed. `at` is when it was first seen, or last written, in seconds since the epoch.
    """

    count: int
    at: float

    def __str__(self) -> str:
        return f"{self.count} {self.at!r}"


def _read(value: str | None) -> _Record | None:
    """
    Read what was stored; what cannot be read was never there.
    """
    try:
        count, at = (value or "").split(" ")
        record = _Record(int(count), float(at))
    except ValueError:
        return None
    return record if isfinite(record.at) else None


@implementer(IModule)
class Greylist:
    """
    Refuses mail from a client's network, by a sender, for a recipient, until it is tried again after `delay` and before
    `window` is over; then it passes for `keep`. A network of which `auto_allow` have passed is not asked any more.
    See docs/modules/builtin/greylist.md.
    """

    name = NAME

    def __init__(
        self,
        delay: object = "5m",
        window: object = "2d",
        keep: object = "35d",
        auto_allow: object = 5,
        domains: object = (),
        exempt: object = (),
        exempt_senders: object = (),
        exempt_recipients: object = (),
        ipv4_prefix: object = 24,
        ipv6_prefix: object = 64,
        reply: object = REPLY,
    ) -> None:
        self._delay = options.duration(delay, "delay")
        self._window = options.duration(window, "window")
        self._keep = options.duration(keep, "keep")
        self._auto_allow = options.integer(auto_allow, "auto_allow")
        self._domains = options.domains(domains, "domains") if domains else None
        self._exempt = options.networks(exempt, "exempt")
        self._exempt_senders = options.addresses(exempt_senders, "exempt_senders")
        self._exempt_recipients = options.addresses(exempt_recipients, "exempt_recipients")
        self._prefixes = (
            options.integer(ipv4_prefix, "ipv4_prefix", 0, 32),
            options.integer(ipv6_prefix, "ipv6_prefix", 0, 128),
        )
        self._reply = _template(reply)
        self._allowed: dict[str, float] = {}
        self._locks: dict[str, DeferredLock] = {}
        if self._window <= self._delay:
            raise ValueError("window: it must be longer than the delay, or nobody could ever pass")

    def start(self, services: IServices) -> None:
        """
        See ILifecycle.
        """
        self._services = services
        self._storage = services.storage
        self._seconds = services.clock.seconds

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge; at once where nothing has to be looked up.
        """
        if self._skips(session, transaction, recipient):
            return None
        network = client_network(session.peer, *self._prefixes)
        if self._allowed.get(network, 0.0) > self._seconds():
            self._services.count("client")
            return None
        return self._in_turn(network, transaction, recipient)

    def _skips(self, session: Session, transaction: Transaction, recipient: Recipient) -> bool:
        """
        Tell whether somebody is never asked to come again: who may relay or has logged in, a client on this host's
        UNIX socket, and whatever the options exempt.
        """
        address = recipient.address
        return (
            session.trusted
            or bool(session.login)
            or session.peer == UNIX
            or (self._domains is not None and not self._domains(address.domain))
            or self._exempt(session.peer)
            or self._exempt_senders(transaction.reverse_path)
            or self._exempt_recipients(address)
        )

    async def _in_turn(self, network: str, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Judge one session after the other where several bring the same at once.
        """
        triplet = triplet_key(network, transaction.reverse_path, recipient.address)
        async with self._turn(triplet):
            client, known = await self._look_up(client_key(network), triplet)
            now = self._seconds()
            if self._auto_allow and client is not None and client.count >= self._auto_allow:
                await self._allow(network, client, now)
                return None
            if known is not None and known.count:
                await self._renew(triplet, known, now)
                self._services.count("known")
                return None
            if known is None or known.at > now:  # the clock was set back
                await self._put(triplet, _Record(0, now), self._window)
                self._services.count("new")
                return self._later(self._delay)
            return await self._again(network, triplet, known, transaction, now)

    async def _again(
        self, network: str, triplet: str, known: _Record, transaction: Transaction, now: float
    ) -> Verdict | None:
        """
        Judge one that has come again.
        """
        waited = now - known.at
        if waited < self._delay:
            self._services.count("early")
            return self._later(self._delay - waited)
        await self._put(triplet, _Record(1, now), self._keep)
        transaction.metadata[NAME] = f"delayed {waited:.0f} s"
        self._services.count("passed")
        if self._auto_allow:
            await self._count(client_key(network), now)
        return None

    async def _look_up(self, client: str, triplet: str) -> tuple[_Record | None, _Record | None]:
        """
        Read both at once.
        """
        reads = [Deferred.fromCoroutine(self._get(key)) for key in (client, triplet)]
        results: list[tuple[bool, Any]] = await DeferredList(reads, consumeErrors=True)
        for done, failure in results:
            if not done:
                failure.raiseException()
        (_, first), (_, second) = results
        return first, second

    async def _get(self, key: str) -> _Record | None:
        return _read(await self._storage.get(key))

    async def _put(self, key: str, record: _Record, lifetime: float) -> None:
        await self._storage.put(key, str(record), record.at + lifetime)

    async def _renew(self, key: str, record: _Record, now: float) -> None:
        """
        Write again what is in use, now and then.
        """
        if not 0 <= now - record.at < self._keep / RENEWALS:
            await self._put(key, _Record(record.count, now), self._keep)

    async def _allow(self, network: str, client: _Record, now: float) -> None:
        """
        Let a client pass, and remember it until it is to be written again.
        """
        await self._renew(client_key(network), client, now)
        self._services.count("client")
        self._allowed.pop(network, None)
        if len(self._allowed) >= MOST_REMEMBERED:
            del self._allowed[next(iter(self._allowed))]
        self._allowed[network] = now + self._keep / RENEWALS

    async def _count(self, client: str, now: float) -> None:
        """
        Count a triplet of a client that has passed.
        """
        async with self._turn(client):
            before = await self._get(client)
            count = before.count if before is not None else 0
            await self._put(client, _Record(min(count + 1, self._auto_allow), now), self._keep)

    @contextlib.asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        """
        Be the only one that deals with a key.
        """
        lock = self._locks.setdefault(key, DeferredLock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked and not lock.waiting:
                self._locks.pop(key, None)

    def _later(self, seconds: float) -> Verdict:
        return tempfail(self._reply.format(seconds=max(1, ceil(seconds))), "greylisted")


def _template(value: object) -> str:
    """
    Read a 4yz reply that may have {seconds}.
    """
    template = options.text(value, "reply")
    try:
        parts = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
        if any(part != ("seconds", "", None) for part in parts):
            raise ValueError("{seconds} is all that it may have in braces")
        tempfail(template.format(seconds=300))
    except ValueError as problem:
        raise ValueError(f"reply: {problem}") from None
    return template
