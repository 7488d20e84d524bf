"""
What takes mail out: resolver, routes, agents, reports, and the queue that drives them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import attrs
from twisted.internet.defer import Deferred

from empath.config.schema import Config, Delivery
from empath.deliver.dispatch import Dispatch
from empath.deliver.lmtp import LmtpAgent
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

DNS_FRESH: Final = 30.0  # seconds for which a server's answer vouches for the resolver


@attrs.frozen(slots=True, eq=False)
class Stores:
    """
    Where what has to last is kept: mail in the spool, all else in storages by the names of the parts that keep it.
    """

    spool: ISpool
    storages: Any


@attrs.frozen(slots=True, eq=False)
class Outgoing:
    """
    The parts that carry a message on, wired. `restores` fetch, before anything begins, what parts had stored.
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
    strategies: Strategies
    signing: DkimSigning
    reporter: Reporter
    queue: Queue
    expansions: Expansions
    restores: tuple[Callable[[], Awaitable[None]], ...]

    def dns_answers(self) -> bool | Deferred[bool]:
        """
        Tell whether no route needs DNS, or a server answered lately; else ask one.
        """
        if not self.routing.needs_dns:
            return True
        if self.clock.seconds() - self.resolver.last_answer < DNS_FRESH:
            return True
        return self.resolver.probe()

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


def make_outgoing(
    config: Config, reactor: Any, machine: Machine, stores: Stores, in_thread: InThread[Any], emit: Emit
) -> Outgoing:
    """
    Make them; ConfigError for a route that cannot be used.
    """
    section, chance, spool = config.delivery, machine.chance, stores.spool
    resolver = Resolver(section.dns, reactor, machine.secret_chance, emit, machine.datagrams, machine.streams)
    routing = _routing(config)
    overrides = Overrides(routing, stores.storages.of(".dns"), lambda: queue.routes_changed())
    fetcher = PolicyFetcher(reactor, resolver, section.address_families, section.allow_private_mx)
    submit = submitting(spool, emit, lambda message, deliveries: queue.fresh(message, deliveries))
    tls_reporting = make_tls_reporting(
        config, reactor, machine, stores.storages.of(".tls-rpt"), cast("IResolver", resolver), emit, submit
    )
    sts = StsPolicies(resolver, fetcher.fetch, stores.storages.of(".mta-sts"), reactor, tls_reporting.tell)
    smtp_agent = _smtp_agent(config, reactor, machine, resolver, spool, routing, sts)
    smtp_agent.collect(tls_reporting.hears)
    returning = make_returning(config, reactor, spool, stores.storages, emit)
    returning.use_in(smtp_agent)
    strategies = make_strategies(config, reactor, cast("IResolver", resolver), spool, in_thread, routing)
    own = {"smtp": smtp_agent, LMTP: LmtpAgent(smtp_agent), STRATEGY: returning.reader}
    agent = Dispatch(routing, {**strategies.agents, **own})
    signing = DkimSigning(Signer(section.dkim, reactor, in_thread), smtp_agent, agent, spool.open_body)
    signing.use()
    reporter = Reporter(section.dsn, config.hostname, reactor, chance, emit)
    sites = Sites(routing, cast("IResolver", resolver), reactor)
    queue = Queue(
        section,
        spool,
        SparingAgent(agent, returning.suppression),
        reporter.report_for,
        reactor,
        chance,
        emit,
        sites,
        stores.storages.of(".sites"),
    )
    expansions = Expansions(reporter.report_for, spool.store, queue.fresh, emit)
    restores = (overrides.restore, queue.restore, sts.restore, tls_reporting.reports.restore, returning.restore)
    return Outgoing(
        reactor,
        resolver,
        routing,
        overrides,
        sts,
        fetcher,
        tls_reporting,
        returning,
        smtp_agent,
        agent,
        strategies,
        signing,
        reporter,
        queue,
        expansions,
        restores,
    )


def _smtp_agent(
    config: Config,
    reactor: Any,
    machine: Machine,
    resolver: Resolver,
    spool: ISpool,
    routing: Routing,
    policies: StsPolicies,
) -> SmtpAgent:
    return SmtpAgent(
        reactor,
        cast("IResolver", resolver),
        spool.open_body,
        machine.chance,
        config.delivery,
        config.hostname,
        routing.find,
        machine.addresses(),
        policies=policies,
    )


def _routing(config: Config) -> Routing:
    try:
        return Routing(config.delivery)
    except ValueError as error:
        raise ConfigError([f"delivery.domains: {error}"]) from error
