"""
Delivery over SMTP: one pass over a destination's hosts, by pooled connections.

Fatal: nothing. What fails with a scope of session or host is tried at the next host in the same attempt, what was
refused for its recipient or message is told. An idle connection that turns out to be dead is replaced once by a fresh
one. Ignored: how a connection ends after its last transaction.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.deliver.cargo import Cargo
from empath.deliver.connection import Connection
from empath.deliver.contexts import TlsContexts
from empath.deliver.hosts import HostFinder
from empath.deliver.pool import Pool, Target
from empath.deliver.probe import PER_CONNECTION, PER_SITE, Probes
from empath.deliver.streaming import OpenBody
from empath.deliver.visits import Pass
from empath.interfaces import IAgent, IResolver
from empath.mail.address import Address
from empath.mail.life import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.route import Route
from empath.policy.tls import Course, Policy, Seen, course
from empath.smtp.client import ClientSession
from empath.smtp.client_events import SessionEnded, State, Terms, Trouble
from empath.smtp.sasl import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IConnector
    from twisted.internet.protocol import ClientFactory


@implementer(IAgent)
class SmtpAgent:
    """
    Carries mail to SMTP servers.

    `reactor` is the clock and what connects; `find_route` tells a domain's route, `open_body` reads stored content.
    `hostname` is what we say in EHLO; mail is not sent to it, nor to `own_addresses`, when the DNS says so.
    `trust_root` judges certificates, by default as the system does.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: IResolver,
        open_body: OpenBody,
        chance: random.Random,
        section: Section,
        hostname: str,
        find_route: Callable[[str], Route],
        own_addresses: Collection[str] = frozenset(),
        trust_root: Any = None,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._tcp: IReactorTCP = reactor
        self._open_body = open_body
        self._hostname = hostname
        self._find_route = find_route
        self._contexts = TlsContexts(trust_root)
        self._finder = HostFinder(resolver, chance, section, frozenset({hostname.lower()}), frozenset(own_addresses))
        self._section = section
        limits = section.connection_pool
        self._pool = Pool(self._dial, self._connect, limits.max_per_server, limits.max_messages)
        probing = Pool(self._dial, self._connect, PER_SITE, PER_CONNECTION)
        self._probes = Probes(reactor, find_route, self._finder, probing, open_body)
        self._timeouts = timeouts_of(section)

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Make one pass; see `IAgent`.
        """
        route = self._find_route(delivery.domain)
        found = await self._finder.find(route, delivery.domain)
        clock = self._clock
        attempt.resolved = clock.seconds()
        most = self._section.max_recipients_per_transaction
        work = Pass(self._pool, route, Cargo(message, delivery, attempt, clock, self._open_body), attempt, most)
        try:
            return await work.over(found)
        finally:
            attempt.ended = clock.seconds()

    def verify(self, address: Address) -> Deferred[Reply]:
        """
        Ask the next hop whether it takes mail for an address; see `IServices.verify`.
        """
        return self._probes.verify(address)

    def reconfigure(self, section: Section) -> None:
        """
        Use a new section for what begins from now on.
        """
        self._section = self._finder.section = section
        self._pool.max_per_server = section.connection_pool.max_per_server
        self._pool.max_messages = section.connection_pool.max_messages
        self._timeouts = timeouts_of(section)

    def stop(self) -> Deferred[None]:
        """
        Say QUIT on idle connections and close the others; fires when all are gone, after `timeouts.quit` at the most.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for stopping in [self._probes.stop(), self._pool.stop()]:  # both at once
            await stopping

    def connections(self) -> Iterator[tuple[str, int]]:
        """
        Tell how many connections there are to each site, named "[address]:port", those of probes among them.
        """
        sizes: Counter[str] = Counter()
        for site, number in chain(self._pool.sizes(), self._probes.pool.sizes()):
            sizes[f"[{site.address}]:{site.port}"] += number
        return iter(sizes.items())

    def _dial(self, target: Target, host: str, pool: Pool) -> Connection:
        implicit, policy = target.implicit, target.demand.policy
        terms = Terms(
            self._hostname,
            host,
            starttls=course(policy, Seen.OFFERED) is Course.STARTTLS,
            tls_needed=course(policy, Seen.NOT_OFFERED) is Course.NEXT_HOST,
            secured=implicit,
            credentials=Credentials(target.username, target.password) if target.username else None,
            clear_auth=ip_address(target.address).is_loopback,
        )
        trouble = None
        creator = self._contexts.unjudged(host)
        if policy is Policy.VERIFIED:
            try:
                creator = self._contexts.verified(host)
            except ValueError:
                trouble = _NO_NAME
        connection = Connection(ClientSession(terms), pool, self._clock, self._timeouts, creator, self._open_body)
        connection.trouble = trouble
        return connection

    def _connect(self, target: Target, factory: ClientFactory) -> IConnector:
        source = self._section.source_address
        bind = (source, 0) if source and (":" in source) == (":" in target.address) else None
        return self._tcp.connectTCP(target.address, target.port, cast(Any, factory), self._timeout, bind)

    @property
    def _timeout(self) -> int:
        return cast(int, self._section.timeouts.connect)  # Twisted takes fractions, whatever it declares


_NO_NAME = SessionEnded(
    TransientFailure(Reply(454, "4.7.5", ("the host's name is none that a certificate can be for",)), Scope.HOST),
    Trouble.TLS,
)


def timeouts_of(section: Section) -> dict[State, float]:
    """
    Give the time of each state, in seconds (RFC 5321 §4.5.3.2).
    """
    times = section.timeouts
    return {
        State.GREETING: times.greeting,
        State.EHLO: times.ehlo,
        State.HELO: times.ehlo,
        State.STARTTLS: times.starttls,
        State.HANDSHAKE: times.starttls,
        State.AUTH: times.ehlo,
        State.READY: section.connection_pool.idle_timeout,
        State.RSET: times.mail_from,
        State.MAIL: times.mail_from,
        State.RCPT: times.rcpt_to,
        State.DATA: times.data,
        State.CONTENT: times.data_block,
        State.DOT: times.data_termination,
        State.BDAT: times.data_block,
        State.LAST: times.data_termination,
        State.SPOILED: times.data_block,
        State.QUIT: times.quit,
        State.CLOSED: times.quit,
    }
