"""
Where the numbers of the metrics page come from that are not counted but looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from empath.observe.gauges import Gauges

if TYPE_CHECKING:
    from empath.service import EmpathService


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
        audit=service.auditing.figures,
    )
