"""
Where the numbers of the metrics page come from that are not counted but looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.threadpool import ThreadPool

from empath.observe.metrics.gauges import Gauges, PoolState
from empath.threads import Threads

if TYPE_CHECKING:
    from empath.service import EmpathService

CLIENT: Final = "delivery"  # stands where a listener does; no endpoint is called so
LOOK_BOUND: Final = 0.2  # seconds of the second that a page may take


def gauges_of(service: EmpathService, threads: Threads) -> Gauges:
    """
    Tell where they come from; `threads` are those of the service.
    """
    cache, live = service.resolver.cache, service.live
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
        queue_waiting=lambda: service.queue.due_waiting,
        queue_limit=lambda: service.config.health.max_queue_size,
        space=service.spool.space,
        findings=lambda: service.readiness.found,
        certificates=lambda: service.reception.certificates() | _shown(service) | service.pages.certificates(),
        reloads=lambda: service.configuration.reloads,
        pools=partial(_pools, service, threads),
        loop_latency=lambda: live.latency.durations,
        gc_pauses=lambda: None if live.garbage is None else live.garbage.durations,
        export=lambda: service.exporting.figures(),
        started=lambda: live.began,
    )


def look(service: EmpathService) -> Deferred[Any]:
    """
    Look at the readiness of all parts, for LOOK_BOUND seconds: one that takes longer is told with the next page.
    """
    looking: Deferred[Any] = service.readiness.look()
    return looking.addTimeout(LOOK_BOUND, service.clock).addErrback(lambda failure: failure.trap(TimeoutError))


def _shown(service: EmpathService) -> dict[tuple[str, str], float]:
    """
    Tell when those end that we show to servers.
    """
    return {(CLIENT, path): end for path, end in service.outgoing.smtp_agent.certificates().items()}


def _pools(service: EmpathService, threads: Threads) -> Mapping[str, PoolState]:
    """
    Tell of all pools with threads; the reactor has one once somebody asked for it, for the names of hosts, and a module
    once it needs one.
    """
    pools: dict[str, Any] = {**threads.pools, "audit": service.auditing.pool}
    pools["reactor"] = getattr(service.clock, "threadpool", None)
    states = {name: _state(pool) for name, pool in pools.items() if isinstance(pool, ThreadPool)}
    workers = {"export": service.exporting.load}
    workers |= {f"module:{name}": load for name, load in service.modules.loads()}
    return states | {name: PoolState(*load) for name, load in workers.items()}


def _state(pool: ThreadPool) -> PoolState:
    now = pool._team.statistics()  # Twisted tells what waits by no other name
    return PoolState(pool.max, now.busyWorkerCount, now.backloggedWorkCount)
