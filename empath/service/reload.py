"""
Another configuration while we run: what of it can be used at once is, as a whole, and what else changed is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import attrs
from twisted.logger import Logger

from empath.config.again import Outcome
from empath.config.changes import changes
from empath.config.hot import usable, waiting
from empath.config.schema import Config, Delivery
from empath.errors import ConfigError
from empath.queue.periodic import Periodic
from empath.service.modules import sections_of
from empath.service.receiving import Receiving

if TYPE_CHECKING:
    from empath.service import EmpathService

log = Logger()


@attrs.frozen(slots=True, eq=False)
class Reload:
    """
    Has all parts of `service` use another configuration; `census` and `eviction` are the rounds that go by intervals of
    [delivery].
    """

    service: EmpathService
    receiving: Receiving
    census: Periodic
    eviction: Periodic

    def use(self, now: Config, wanted: Config) -> tuple[Config, Outcome]:
        """
        Use what can be used of `wanted` instead of `now`: tells the configuration in force, and what became of all that
        changed. ConfigError, and nothing is changed, if any of it cannot be used.
        """
        new = usable(now, wanted)
        with ExitStack() as undo:
            prospect = self.receiving.prepare(now, new, undo)
            new = attrs.evolve(new, smtp=prospect.smtp)
            uses = [*self._prepared(new, undo), prospect.use]
            self._use_modules(new, undo)
            undo.pop_all()
        for use in uses:
            use()
        changed = tuple(changes(now, new))
        if changed:
            log.info("in use from now on: {keys}", keys=", ".join(changed), log_answer=True)
        return new, Outcome(changed, {**waiting(now, wanted), **prospect.restart})

    def _use_modules(self, new: Config, undo: ExitStack) -> None:
        """
        Have modules replaced. This is the last that can fail, as there is no way back from it.
        """
        modules = self.service.modules
        undo.callback(modules.use_domains, modules.use_domains(frozenset(new.relay.domains)))
        modules.reconfigure(sections_of(new))

    def _prepared(self, new: Config, undo: ExitStack) -> Iterator[Callable[[], None]]:
        """
        Read all that `new` names beside reception and modules, and give what has it used, which does not fail.
        """
        service = self.service
        yield self._prepare_delivery(new)
        yield service.auditing.prepare(new.audit)
        yield service.pages.prepare(new, undo)
        yield lambda: self._use_limits(new)

    def _use_limits(self, new: Config) -> None:
        """
        Use what is nothing but numbers and words.
        """
        service = self.service
        service.spool.reconfigure(new.spool)
        service.outgoing.use_tracing(new.tracing)
        service.metrics.reconfigure(new.metrics)
        service.live.use(new.metrics)
        service.exporting.use(new)
        service.exposition.reconfigure(new.metrics)
        service.readiness.reconfigure(new.health)
        service.status.use(new.health)
        service.logs.use(new.log)
        service.tracing.use(new.tracing)
        service.control.server.tokens.use(new.control.tokens)
        service.configuration.watch(new.watch_config)

    def _prepare_delivery(self, new: Config) -> Callable[[], None]:
        outgoing, section = self.service.outgoing, new.delivery
        use_dns = outgoing.resolver.prepare(section.dns)
        use_signing = outgoing.signing.prepare(section.dkim)
        try:
            use_routes: Callable[[], Any] = outgoing.agent.prepare(section)
        except ValueError as error:
            raise ConfigError([f"delivery.domains: {error}"]) from error
        use_returning = outgoing.returning.prepare(new)

        def use() -> None:
            use_dns()
            use_routes()
            use_signing()
            use_returning()
            outgoing.returning.use_in(outgoing.smtp_agent)
            self._use_delivery(section)

        return use

    def _use_delivery(self, section: Delivery) -> None:
        outgoing = self.service.outgoing
        outgoing.sts_fetcher.use(section.address_families, section.allow_private_mx)
        outgoing.strategies.use(section)
        outgoing.tls_reporting.use(section)
        outgoing.smtp_agent.collect(outgoing.tls_reporting.hears)
        outgoing.reporter.reconfigure(section.dsn)
        self.service.reception.shutdown_timeout = section.shutdown_timeout
        self.census.reconfigure(section.process_interval)
        self.eviction.reconfigure(section.dns.eviction_interval)
        self.service.safety.use(section)
        outgoing.queue.reconfigure(section)
        outgoing.queue.routes_changed()
