"""
What takes mail out: resolver, routes, agents, reports, and the queue that drives them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import attrs
from twisted.internet.defer import Deferred

from empath.config.schema import Config
from empath.deliver.dispatch import Dispatch
from empath.deliver.maildir import MaildirAgent
from empath.deliver.overrides import Overrides
from empath.deliver.routing import Routing
from empath.deliver.sites import Sites
from empath.deliver.smtp import SmtpAgent
from empath.dns.mta_sts.fetching import PolicyFetcher
from empath.dns.mta_sts.policies import StsPolicies
from empath.dns.resolver import Resolver
from empath.errors import ConfigError
from empath.interfaces import InThread, IResolver, ISpool
from empath.mail.life import Emit
from empath.queue.queue import Queue
from empath.report.bounce import Reporter
from empath.service.machine import Machine

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
    smtp_agent: SmtpAgent
    agent: Dispatch
    reporter: Reporter
    queue: Queue
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
    overrides = Overrides(routing, stores.storages.of(".dns"))
    fetcher = PolicyFetcher(reactor, resolver, section.address_families, section.allow_private_mx)
    sts = StsPolicies(resolver, fetcher.fetch, stores.storages.of(".mta-sts"), reactor, emit)
    smtp_agent = SmtpAgent(
        reactor,
        cast("IResolver", resolver),
        spool.open_body,
        chance,
        section,
        config.hostname,
        routing.find,
        machine.addresses(),
        policies=sts,
    )
    maildir = MaildirAgent(reactor, spool.open_body, in_thread, routing.find)
    agent = Dispatch(routing, {"smtp": smtp_agent, "maildir": maildir})
    reporter = Reporter(section.dsn, config.hostname, reactor, chance, emit)
    sites = Sites(routing, cast("IResolver", resolver), reactor)
    queue = Queue(
        section, spool, agent, reporter.report_for, reactor, chance, emit, sites, stores.storages.of(".sites")
    )
    restores = (overrides.restore, queue.restore, *((sts.restore,) if section.tls.mta_sts else ()))
    return Outgoing(reactor, resolver, routing, overrides, sts, smtp_agent, agent, reporter, queue, restores)


def _routing(config: Config) -> Routing:
    try:
        return Routing(config.delivery)
    except ValueError as error:
        raise ConfigError([f"delivery.domains: {error}"]) from error
