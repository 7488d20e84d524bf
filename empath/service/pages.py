"""
The pages for monitoring, where they are enabled, and what they are made from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from empath.config.schema import Config
from empath.interfaces import InThread
from empath.observe.exposition import Exposition, Gauges
from empath.observe.health import Checks, Readiness
from empath.observe.http import HttpService, health_pages, metrics_pages
from empath.observe.metrics import Metrics

if TYPE_CHECKING:
    from empath.service import EmpathService


def make_pages(
    config: Config, reactor: Any, metrics: Metrics, gauges: Gauges, readiness: Readiness, in_thread: InThread[Any]
) -> tuple[HttpService, ...]:
    """
    Make the services that show them.
    """
    made = []
    if config.metrics.enabled:
        exposition = Exposition(config.metrics, metrics, gauges)
        made.append(HttpService(reactor, config.metrics.endpoint, metrics_pages(exposition, in_thread)))
    if config.health.enabled:
        made.append(HttpService(reactor, config.health.endpoint, health_pages(readiness)))
    return tuple(made)


def gauges_of(service: EmpathService) -> Gauges:
    """
    Tell where the numbers come from that are not counted but looked up.
    """
    cache = service.resolver.cache
    return Gauges(
        connections_active=lambda: service.reception.sessions.count,
        queue_size=lambda: service.census.counts,
        queue_oldest=lambda: service.census.oldest,
        site_connections=lambda: dict(service.outgoing.smtp_agent.connections()),
        dns_hits=lambda: cache.hits,
        dns_misses=lambda: cache.misses,
        dns_evictions=lambda: cache.evictions,
        deletion_failures=lambda: service.spool.deletion_failures,
        orphans=lambda: service.spool.orphans,
        strays=lambda: service.queue.watchdog.strays,
        overdue_attempts=lambda: service.queue.watchdog.overdue,
        frozen=lambda: service.queue.controls.frozen(),
        stopped_senders=lambda: len(service.safety.senders.stopped()),
        circuits=lambda: service.queue.controls.circuits(),
    )


def checks_of(service: EmpathService) -> Checks:
    """
    Tell what shows whether the service is ready.
    """

    async def spool_writable() -> bool:
        await service.spool.probe()
        return True

    return Checks(
        smtp=lambda: service.accepts_mail,
        spool=spool_writable,
        delivery=lambda: service.queue.attempts.open,
        dns=service.outgoing.dns_answers,
        disk=lambda: service.spool.has_room(0),
        queue_size=lambda: service.queue.due_waiting,
        shutting_down=lambda: service.shutting_down,
    )
