"""
The snapshot behind the live view of everything.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from empath.control.serving import Answers, Call
from empath.control.terms.system import GetTop, SiteRow, Top
from empath.observe.metrics.sites import SiteCount
from empath.policy.breaker import State
from empath.queue.busy import busiest, rate_limited, site_of
from empath.service.control.paging import bounded

if TYPE_CHECKING:
    from empath.service import EmpathService

RECENT: Final = 600.0  # seconds: a site without an attempt for longer is slow no more


class TopControl:
    """
    Answers for `service`.
    """

    def __init__(self, service: EmpathService) -> None:
        self._service = service

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {GetTop: self._top}

    def _top(self, request: GetTop, call: Call) -> Top:
        service = self._service
        now = service.clock.seconds()
        queue, census = service.queue, service.census
        return Top(
            time=datetime.fromtimestamp(now, UTC),
            uptime=max(0.0, now - service.live.began),
            totals=self._totals(),
            queue={status.value: number for status, number in census.counts.items()},
            oldest=datetime.fromtimestamp(now - census.oldest, UTC) if census.oldest else None,
            sessions=service.reception.sessions.count,
            attempts=queue.in_flight,
            sites=self._sites(bounded(request.sites), now),
            frozen=tuple(queue.controls.frozen()),
            open_circuits=sum(gate.site.breaker.state is State.OPEN for gate in queue.gates.shut),
            rate_limited=rate_limited(queue.window.lines, now),
            loop_latency=service.live.latency.look(),
        )

    def _totals(self) -> dict[str, int]:
        metrics = self._service.metrics
        return {
            "received": metrics.messages_received,
            "delivered": metrics.delivered,
            "deferred": metrics.retrying,
            "failed": metrics.failed,
            "refused": sum(metrics.smtp_errors.by_label.values()),
            "connections": metrics.connections,
            "octets_in": int(metrics.message_size.total),
        }

    def _sites(self, most: int, now: float) -> tuple[SiteRow, ...]:
        """
        Tell of the busiest sites and the slowest, in turn, as many as are wanted.
        """
        service = self._service
        gates, counts = service.queue.gates, service.live.sites
        pairs = zip_longest(busiest(gates, most), counts.slowest(most, now - RECENT))
        names = list(dict.fromkeys(name for name in chain.from_iterable(pairs) if name is not None))
        connections = dict(service.outgoing.smtp_agent.connections())
        rows = []
        for name in names[:most]:
            site, count = site_of(gates, name), counts.by_name.get(name) or SiteCount()
            rows.append(
                SiteRow(
                    site=name,
                    ready=site.ready,
                    in_flight=site.in_flight,
                    connections=connections.get(name, 0),
                    delivered=count.delivered,
                    deferred=count.deferred,
                    failed=count.failed,
                    seconds=count.seconds,
                    circuit=site.state,
                    limit=site.limit,
                )
            )
        return tuple(rows)
