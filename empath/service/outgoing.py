"""
What takes mail out: resolver, routes, agents, reports, and the queue that drives them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred

from empath.config.schema import Config, Delivery, Tracing
from empath.deliver.dispatch import Dispatch
from empath.deliver.lmtp import LmtpAgent
from empath.deliver.looking import Looking
from empath.deliver.overrides import Overrides
from empath.deliver.routing import Routing
from empath.deliver.sites import Sites
from empath.deliver.smtp import SmtpAgent
from empath.deliver.suppressed import SparingAgent
from empath.dns.mta_sts.fetching import PolicyFetcher
from empath.dns.mta_sts.policies import REFRESH_INTERVAL, StsPolicies
from empath.dns.resolver import Resolver
from empath.errors import ConfigError
from empath.interfaces import InThread, IResolver, ISpool
from empath.mail.life import Emit
from empath.mail.traces import Traces
from empath.policy.incoming import STRATEGY
from empath.policy.route import LMTP
from empath.queue.periodic import Periodic
from empath.queue.queue import Queue
from empath.report.bounce import Reporter
from empath.report.expansion import Expansions
from empath.report.tls_rpt.reports import ROUND
from empath.service.machine import Machine
from empath.service.returning import Returning, make_returning
from empath.service.signing import DkimSigning
from empath.service.strategies import Strategies, make_strategies
from empath.service.tls_rpt import TlsReporting, make_tls_reporting, submitting
from empath.sign.signer import Signer


@attrs.frozen(slots=True, eq=False)
class Stores:
    """
    Where what has to last is kept: mail in the spool, all else in storages by the names of the parts that keep it.
    """

    spool: ISpool
    storages: Any


class Outgoing:
    """
    The parts that carry a message on, wired. `restores` fetch, before anything begins, what parts had stored.

    ConfigError for a route that cannot be used.
    """

    clock: Any
    resolver: Resolver
    routing: Routing
    overrides: Overrides
    sts: StsPolicies
    sts_fetcher: PolicyFetcher
    tls_reporting: TlsReporting
    returning: Returning
    smtp_agent: SmtpAgent
    agent: Dispatch
    looking: Looking
    strategies: Strategies
    signing: DkimSigning
    reporter: Reporter
    queue: Queue
    expansions: Expansions
    restores: tuple[Callable[[], Awaitable[None]], ...]

    def __init__(
        self,
        config: Config,
        reactor: Any,
        machine: Machine,
        stores: Stores,
        in_thread: InThread[Any],
        emit: Emit,
        traces: Traces,
    ) -> None:
        self.clock, self._machine, self._stores, self._emit = reactor, machine, stores, emit
        self._traces = traces
        self._make_ways(config)
        self._make_agents(config, in_thread)
        self._make_queue(config)
        reports = self.tls_reporting.reports
        restores = (self.overrides, self.queue, self.sts, reports, self.returning)
        self.restores = tuple(part.restore for part in restores)

    def _make_ways(self, config: Config) -> None:
        """
        Make what finds the hosts of a domain, and how they want to be met.
        """
        section, clock, machine, storages = config.delivery, self.clock, self._machine, self._stores.storages
        self.resolver = Resolver(
            section.dns, clock, machine.secret_chance, self._emit, machine.datagrams, machine.streams
        )
        resolver = self._answers = cast("IResolver", self.resolver)
        self.routing = _routing(config)
        self.overrides = Overrides(self.routing, storages.of(".dns"), lambda: self.queue.routes_changed())
        self.sts_fetcher = PolicyFetcher(clock, resolver, section.address_families, section.allow_private_mx)
        submit = submitting(self._stores.spool, self._emit, lambda *stored: self.queue.fresh(*stored), self._traces)
        self.tls_reporting = make_tls_reporting(
            config, clock, machine, storages.of(".tls-rpt"), resolver, self._emit, submit
        )
        told = self.tls_reporting.tell
        self.sts = StsPolicies(resolver, self.sts_fetcher.fetch, storages.of(".mta-sts"), clock, told)

    def _make_agents(self, config: Config, in_thread: InThread[Any]) -> None:
        """
        Make what carries a message along these ways, by strategy.
        """
        clock, spool = self.clock, self._stores.spool
        self.smtp_agent = self._make_smtp(config)
        self.smtp_agent.collect(self.tls_reporting.hears)
        self.returning = make_returning(config, clock, spool, self._stores.storages, self._emit)
        self.returning.use_in(self.smtp_agent)
        self.strategies = make_strategies(config, clock, self._answers, spool, in_thread, self.routing)
        own = {"smtp": self.smtp_agent, LMTP: LmtpAgent(self.smtp_agent), STRATEGY: self.returning.reader}
        self.agent = Dispatch(self.routing, {**self.strategies.agents, **own}, clock)
        signer = Signer(config.delivery.dkim, clock, in_thread)
        self.signing = DkimSigning(signer, self.smtp_agent, self.agent, spool.open_body)
        self.signing.use()
        self.smtp_agent.emit = self._emit
        self.use_tracing(config.tracing)

    def use_tracing(self, section: Tracing) -> None:
        """
        Tell next hops of a message's trace, or not, from now on.
        """
        self.smtp_agent.propagates = self.strategies.webhook.propagates = section.enabled and section.propagate

    def _make_smtp(self, config: Config) -> SmtpAgent:
        return SmtpAgent(
            self.clock,
            self._answers,
            self._stores.spool.open_body,
            self._machine.chance,
            config.delivery,
            config.hostname,
            self.routing.find,
            self._machine.addresses(),
            policies=self.sts,
        )

    def _make_queue(self, config: Config) -> None:
        """
        Make what drives the agents, and reports what came of it.
        """
        section, spool, clock, chance = config.delivery, self._stores.spool, self.clock, self._machine.chance
        sites = Sites(self.routing, self._answers, clock)
        self.looking = Looking(self.routing, self._answers, sites, self.smtp_agent)
        self.reporter = Reporter(section.dsn, config.hostname, clock, chance, self._emit)
        self.reporter.traces = self._traces
        self.queue = Queue(
            section,
            spool,
            SparingAgent(self.agent, self.returning.suppression),
            self.reporter.report_for,
            clock,
            chance,
            self._emit,
            sites,
            self._stores.storages.of(".sites"),
        )
        self.queue.attempts.traces = self._traces
        self.expansions = Expansions(self.reporter.report_for, spool.store, self.queue.fresh, self._emit)

    def dns_answers(self) -> bool | Deferred[bool]:
        """
        Tell whether no route needs DNS, or a server answers.
        """
        return not self.routing.needs_dns or self.resolver.presence.look()

    def periodic(self, section: Delivery) -> tuple[Periodic, ...]:
        """
        Make the work that is done again and again.
        """
        return (
            Periodic("the DNS cache's eviction", self.evict, section.dns.eviction_interval, self.clock),
            Periodic("the refresh of MTA-STS policies", self.refresh_sts, REFRESH_INTERVAL, self.clock),
            Periodic("the reports about TLS", self.tls_reporting.reports.round, ROUND, self.clock),
        )

    async def put_away(self) -> None:
        """
        Store what is to outlast us, once nothing runs any more.
        """
        await self.tls_reporting.reports.stop()
        await self.returning.stop()
        await self.strategies.web.stop()

    async def refresh_sts(self) -> None:
        """
        Fetch MTA-STS policies again in time, unless nobody goes by them.
        """
        if self.smtp_agent.follows_sts:
            await self.sts.refresh()

    async def evict(self) -> None:
        """
        Drop what has expired from the DNS cache.
        """
        self.resolver.cache.evict(self.clock.seconds())


def _routing(config: Config) -> Routing:
    try:
        return Routing(config.delivery)
    except ValueError as error:
        raise ConfigError([f"delivery.domains: {error}"]) from error
