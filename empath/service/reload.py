"""
Another configuration while we run: what of it can be used at once is, as a whole, and what else changed is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.logger import Logger

from empath.config.changes import changes
from empath.config.schema import Config, Delivery
from empath.errors import ConfigError
from empath.modules.host import Modules
from empath.queue.periodic import Periodic
from empath.receive.listeners import Reception
from empath.service.modules import sections_of
from empath.service.outgoing import Outgoing
from empath.service.safety import Safety

log = Logger()


def usable(now: Config, wanted: Config) -> Config:
    """
    Give `now` with all of `wanted` that can be used while we run: [[modules]], and [delivery] but for what the spool
    was opened with, and the names by which we are known, as `hostname` is one of them.
    """
    kept, delivery = now.delivery, wanted.delivery
    dsn = attrs.evolve(delivery.dsn, reporting_mta=kept.dsn.reporting_mta, postmaster=kept.dsn.postmaster)
    delivery = attrs.evolve(delivery, dsn=dsn, max_cleanup_attempts=kept.max_cleanup_attempts)
    return attrs.evolve(now, modules=wanted.modules, delivery=delivery)


@attrs.frozen(slots=True, eq=False)
class Reload:
    """
    Has all parts use another configuration; `census` and `eviction` are the rounds that go by intervals of [delivery].
    """

    outgoing: Outgoing
    reception: Reception
    modules: Modules
    census: Periodic
    eviction: Periodic
    safety: Safety

    def use(self, now: Config, wanted: Config) -> tuple[Config, list[str]]:
        """
        Use what can be used of `wanted` instead of `now`: tells the configuration in force, and the keys of what else
        changed. ConfigError, and nothing is changed, if any of it cannot be used.
        """
        new = usable(now, wanted)
        use_delivery = self._prepare(new.delivery)
        self.modules.reconfigure(sections_of(new))
        use_delivery()
        if new != now:
            log.info("in use from now on: {keys}", keys=", ".join(changes(now, new)))
        return new, list(changes(new, wanted))

    def _prepare(self, section: Delivery) -> Callable[[], None]:
        """
        Read all that `section` names, and give what has it used, which does not fail.
        """
        outgoing = self.outgoing
        use_dns = outgoing.resolver.prepare(section.dns)
        use_signing = outgoing.signing.prepare(section.dkim)
        try:
            use_routes: Callable[[], Any] = outgoing.agent.prepare(section)
        except ValueError as error:
            raise ConfigError([f"delivery.domains: {error}"]) from error
        use_returning = outgoing.returning.prepare(section)

        def use() -> None:
            use_dns()
            use_routes()
            use_signing()
            use_returning()
            outgoing.returning.use_in(outgoing.smtp_agent)
            self._use(section)

        return use

    def _use(self, section: Delivery) -> None:
        outgoing = self.outgoing
        outgoing.sts_fetcher.use(section.address_families, section.allow_private_mx)
        outgoing.strategies.use(section)
        outgoing.tls_reporting.use(section)
        outgoing.smtp_agent.collect(outgoing.tls_reporting.hears)
        outgoing.reporter.reconfigure(section.dsn)
        self.reception.shutdown_timeout = section.shutdown_timeout
        self.census.reconfigure(section.process_interval)
        self.eviction.reconfigure(section.dns.eviction_interval)
        self.safety.use(section)
        outgoing.queue.reconfigure(section)
        outgoing.queue.routes_changed()
