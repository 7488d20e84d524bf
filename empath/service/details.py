"""
What `/health/detailed` tells, and where it comes from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from empath import __version__
from empath.observe.web.health_pages import Details
from empath.policy.breaker import State

if TYPE_CHECKING:
    from empath.service import EmpathService

RECENT: Final = 300.0  # seconds, over which the success rate is taken
MOST_BREAKERS: Final = 100


def details_of(service: EmpathService, success: Callable[[float], float]) -> Details:
    """
    Look at all of it, from memory; `success` tells the share of deliveries that succeeded since a time.
    """
    now, census, space = service.clock.seconds(), service.census, service.spool.space()
    shut = [gate.site.name for gate in service.queue.gates.shut if gate.site.breaker.state is State.OPEN]
    return Details(
        version=__version__,
        hostname=service.config.hostname,
        pid=os.getpid(),
        uptime_seconds=now - service.live.began,
        listeners=service.reception.listeners(),
        sessions=service.reception.sessions.count,
        attempts=service.queue.in_flight,
        queue={status.value: number for status, number in census.counts.items()},
        oldest_seconds=census.oldest or None,
        success_rate=success(now - RECENT),
        breakers_open=tuple(islice(shut, MOST_BREAKERS)),
        breakers_open_count=len(shut),
        disk_free=space.free,
        disk_min_free=space.min_free,
        resolver_latency_seconds=service.resolver.presence.seconds,
        loop_latency_seconds=service.live.latency.look(),
    )
