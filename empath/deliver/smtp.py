"""
Delivery over SMTP, and LMTP: one pass over a destination's hosts, by pooled connections.

Fatal: nothing. What fails with a scope of session or host is tried at the next host in the same attempt, what was
refused for its recipient or message is told. An idle connection that turns out to be dead is replaced once by a fresh
one. Ignored: how a connection ends after its last transaction.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUNIX
from twisted.logger import Logger
from zope.interface import implementer

from empath.config.schema import ConnectionPool
from empath.config.schema import Delivery as Section
from empath.deliver.cargo import Cargo, ReturnPaths
from empath.deliver.connection import Connection
from empath.deliver.contexts import TlsContexts
from empath.deliver.egress import Egresses
from empath.deliver.hosts import HostFinder
from empath.deliver.identities import Identities
from empath.deliver.overheard import overhear
from empath.deliver.pool import Pool
from empath.deliver.probe import Probes, probing_limits
from empath.deliver.propagated import field_of
from empath.deliver.remaining import reachable
from empath.deliver.step_time import timeouts_of
from empath.deliver.streaming import OpenBody
from empath.deliver.target import Target, Want
from empath.deliver.tls_report import Tell
from empath.deliver.tls_sessions import TlsSessions
from empath.deliver.traced import AttemptTrace, ConnectionTrace
from empath.deliver.visits import NO_WAY, Pass
from empath.interfaces import IAgent, IResolver, ISigner, IStsPolicies
from empath.mail.address import Address
from empath.mail.attempt import Attempt
from empath.mail.life import Emit, StepEnded
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Failure, Outcome, PermanentFailure, TransientFailure
from empath.mail.reply import Reply
from empath.mail.step import Step, Steps
from empath.mail.wish import Wish, wishes
from empath.net.dialogues import Dialogues
from empath.policy.mx import Candidate
from empath.policy.route import LMTP, Route
from empath.policy.tls import Course, Seen, course
from empath.smtp.client import ClientSession
from empath.smtp.client_events import Terms
from empath.smtp.client_lmtp import LmtpSession
from empath.smtp.sasl import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IConnector
    from twisted.internet.protocol import ClientFactory


log = Logger()


@implementer(IAgent)
class SmtpAgent:
    """
    Carries mail to SMTP servers, and to LMTP servers (RFC 2033) where a route's strategy says so.

    `reactor` is the clock and what connects; `find_route` tells a domain's route, `open_body` reads stored content.
    `hostname` is what we say in EHLO; mail is not sent to it, nor to `own_addresses`, when the DNS says so.
    `trust_root` judges certificates, by default as the system does; `policies` are those of MTA-STS. ConfigError, at
    making and reconfiguring, for a certificate of ours that cannot be used. `signer` and `return_paths` may be set and
    taken away at any time: they hold for deliveries that begin later. So may `dialogues`, who overhear connections, and
    `emit`, which hears of steps of an attempt that end after it. `propagates`: mail that has a trace tells of it.
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
        policies: IStsPolicies | None = None,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._tcp: IReactorTCP = reactor
        self._unix: IReactorUNIX = reactor
        self._open_body = open_body
        self._hostname = hostname
        self._find_route = find_route
        self._identities = Identities(reactor)
        self._identities.use(section)
        self._contexts = TlsContexts(self._identities.find, trust_root)
        own_names = frozenset({hostname.lower()})
        self._finder = HostFinder(resolver, chance, section, own_names, frozenset(own_addresses), policies)
        self._section = section
        self._chance = chance
        self._egresses = Egresses(section, hostname, chance)
        self._tls_sessions = TlsSessions()
        self._pool = self._make_pool(section.connection_pool)
        probing = self._make_pool(probing_limits(section.connection_pool))
        self._probes = Probes(reactor, find_route, self._finder, probing, open_body, self._egresses.choose)
        self._timeouts = timeouts_of(section)
        self._tell: Tell | None = None
        self.signer: ISigner | None = None
        self.return_paths: ReturnPaths | None = None
        self.dialogues: Dialogues | None = None
        self.emit: Emit | None = None
        self.propagates = False

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Make one pass; see `IAgent`.
        """
        route = self._find_route(delivery.domain)
        egress = self._egresses.choose(route.pool)
        lmtp = route.strategy == LMTP
        wish = Wish.NONE if lmtp and route.stays else wishes(message)
        finding = self._finder.find(route, delivery.domain, wish)
        trace = None if attempt.steps is None else self._trace(attempt.steps, message, delivery, attempt)
        found = await (finding if trace is None else trace.finding(delivery.domain, finding))
        clock = self._clock
        attempt.resolved = clock.seconds()
        most = self._section.max_recipients_per_transaction
        paths = None if lmtp else self.return_paths
        cargo = Cargo(message, delivery, attempt, clock, self._open_body, self.signer, paths)
        cargo.trace = trace
        if self.propagates and message.trace:
            cargo.traceparent = field_of(message, delivery, attempt)
        work = Pass(self._pool, route, cargo, attempt, most, egress, None if lmtp else self._tell_of(wish))
        try:
            return await work.over(found)
        finally:
            attempt.ended = clock.seconds()
            if trace is not None:
                trace.finish()

    def _trace(self, steps: Steps, message: Message, delivery: Delivery, attempt: Attempt) -> AttemptTrace:
        def late(step: Step) -> None:
            if self.emit is not None:
                self.emit(StepEnded(message, delivery, attempt, step))

        return AttemptTrace(steps, self._clock, late)

    async def hosts_of(self, domain: str, wish: Wish) -> Sequence[Candidate] | Failure:
        """
        Give the addresses that an attempt would try now, in their order, or why there are none; connects to none.
        """
        route = self._find_route(domain)
        wish = Wish.NONE if route.strategy == LMTP and route.stays else wish
        found = await self._finder.find(route, domain, wish)
        if isinstance(found, (PermanentFailure, TransientFailure)):
            return found
        egress = self._egresses.choose(route.pool)
        reached = reachable(found, egress)
        return self._pool.slow.last(reached) if reached else NO_WAY

    def _tell_of(self, wish: Wish) -> Tell | None:
        """
        Give who is told of a session's TLS. Mail that does without says nothing about a policy, and reports about TLS
        are such mail: or there would be one about the last one, every day, for ever.
        """
        return None if wish is Wish.OPTIONAL else self._tell

    def collect(self, tell: Tell | None) -> None:
        """
        Tell from now on, for each session of a delivery, how its TLS ended; to nobody, for None.
        """
        self._tell = tell
        self._finder.assurances.collected = tell is not None

    @property
    def follows_sts(self) -> bool:
        """
        Whether MTA-STS policies are asked for.
        """
        return self._section.tls.mta_sts

    def verify(self, address: Address) -> Deferred[Reply]:
        """
        Ask the next hop whether it takes mail for an address; see `IServices.verify`.
        """
        return self._probes.verify(address)

    def reconfigure(self, section: Section) -> None:
        """
        Use a new section for what begins from now on.
        """
        self.prepare(section)()

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Read what a new section names, and give what has it used; ConfigError if it cannot be.
        """
        use_identities = self._identities.prepare(section)

        def use() -> None:
            use_identities()
            self._use(section)

        return use

    def _use(self, section: Section) -> None:
        self._section = section
        self._finder.use(section)
        self._egresses.reconfigure(section)
        self._pool.limits = section.connection_pool
        self._probes.pool.limits = probing_limits(section.connection_pool)
        self._timeouts = timeouts_of(section)

    def stop(self) -> Deferred[None]:
        """
        Say QUIT on idle connections and close the others; fires when all are gone, after `timeouts.quit` at the most.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for stopping in [self._probes.stop(), self._pool.stop()]:  # both at once
            await stopping

    def certificates(self) -> dict[str, float]:
        """
        Tell when each certificate of ours ends, in seconds since the epoch, by its file.
        """
        return self._identities.ends()

    def connections(self) -> Iterator[tuple[str, int]]:
        """
        Tell how many connections there are to each site, those of probes by "[address]:port".
        """
        sizes = Counter(dict(self._pool.sizes()))
        sizes.update(dict(self._probes.pool.sizes()))
        return iter(sizes.items())

    def overhear(self) -> None:
        """
        Have each connection asked anew who wants to overhear it.
        """
        if self.dialogues is not None:
            for connection in (*self._pool.connections(), *self._probes.pool.connections()):
                overhear(connection, self.dialogues)

    def _make_pool(self, limits: ConnectionPool) -> Pool:
        return Pool(self._clock, self._dial, self._connect, limits, self._tls_sessions)

    def _dial(self, want: Want, pool: Pool) -> Connection:
        """
        Make the protocol; nobody logs in over cleartext unless every address that may be reached is loopback.
        """
        target, host = want.targets[0], want.host
        implicit, policy = target.implicit, target.demand.policy
        terms = Terms(
            target.egress.ehlo_name,
            host,
            starttls=course(policy, Seen.OFFERED) is Course.STARTTLS,
            tls_needed=course(policy, Seen.NOT_OFFERED) is Course.NEXT_HOST,
            secured=implicit,
            credentials=Credentials(target.username, target.password) if target.username else None,
            clear_auth=bool(target.username) and all(each.local for each in want.targets),
            guarded=target.demand.guarded,
        )
        if target.demand.lowered:
            log.warn("{host}: its certificate is not looked at, as accept_invalid_certs says", host=host)
        handshake = self._contexts.handshake(target.demand, host, target.identity)
        session = LmtpSession(terms) if target.lmtp else ClientSession(terms)
        connection = Connection(session, pool, self._clock, self._timeouts, handshake, self._open_body)
        if self.dialogues is not None and self.dialogues.watches:
            overhear(connection, self.dialogues, want.cargo)
        if want.cargo is not None and want.cargo.trace is not None:
            connection.trace = ConnectionTrace(want.cargo.trace, connection)
        return connection

    def _connect(self, target: Target, factory: ClientFactory) -> IConnector:
        if target.unix:
            return self._unix.connectUNIX(target.address, cast(Any, factory), self._timeout)
        source = target.egress.source(target.address, self._chance)
        bind = (source, 0) if source else None
        return self._tcp.connectTCP(target.address, target.port, cast(Any, factory), self._timeout, bind)

    @property
    def _timeout(self) -> int:
        return cast(int, self._section.timeouts.connect)  # Twisted takes fractions, whatever it declares
