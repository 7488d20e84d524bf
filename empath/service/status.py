"""
What the status page shows, and where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from empath import __version__
from empath.config.schema import Health
from empath.observe.health import Findings
from empath.observe.metrics.sites import SiteCount
from empath.observe.status import facts
from empath.observe.status.broadcast import Broadcast
from empath.observe.status.failures import Failures
from empath.observe.status.pages import figures_pages, shell_pages
from empath.observe.status.ring import Levels, Ring, Totals
from empath.observe.web.health_pages import detailed_page
from empath.policy.breaker import State
from empath.queue.busy import busiest, rate_limited, site_of
from empath.service.details import details_of
from empath.service.pages import StatusPages

if TYPE_CHECKING:
    from empath.service import EmpathService

RECENT: Final = 600.0  # seconds: a site without an attempt for longer is slow no more
FEW: Final = 5  # destinations of a site


class StatusPage:
    """
    Looks at `service` for whoever watches, and remembers its last minutes meanwhile, from `start` to `stop`.
    """

    def __init__(self, service: EmpathService) -> None:
        self._service = service
        self._enabled = service.config.health.enabled
        self._running = False
        self._unsubscribe: tuple[Callable[[], None], ...] = ()
        self._ring = Ring(self._totals, self._levels)
        self._failures = Failures()
        self.broadcast = Broadcast(self._ring, self._failures, self._look, service.clock)
        self.pages = StatusPages(
            shell_pages(),
            {
                **figures_pages(self.broadcast),
                **detailed_page(service.readiness, lambda: details_of(service, self._ring.success)),
            },
        )

    def start(self) -> None:
        """
        Remember from now on, where there is a page.
        """
        self._running = True
        self._follow()

    def stop(self) -> None:
        """
        Remember no more, and tell nothing new; harmless when repeated.
        """
        self._running = False
        self._follow()

    def use(self, section: Health) -> None:
        """
        Go by this section from now on.
        """
        self._enabled = section.enabled
        self._follow()

    def _follow(self) -> None:
        wanted = self._running and self._enabled
        if wanted and not self._unsubscribe:
            events = self._service.events
            self._unsubscribe = (self._ring.listen(events), self._failures.listen(events))
            self.broadcast.start()
        elif not wanted and self._unsubscribe:
            for unsubscribe in self._unsubscribe:
                unsubscribe()
            self._unsubscribe = ()
            self.broadcast.stop()

    def _totals(self) -> Totals:
        seen = self._service.metrics
        refused = sum(seen.smtp_errors.by_label.values())
        return Totals(seen.messages_received, seen.delivered, seen.retrying, seen.failed, refused)

    def _levels(self) -> Levels:
        queue = self._service.queue
        return Levels(queue.due_waiting, queue.in_flight, self._service.reception.sessions.count)

    def _look(self) -> Deferred[facts.Facts]:
        return self._service.readiness.look().addCallback(self._facts)

    def _facts(self, found: Findings) -> facts.Facts:
        service = self._service
        now, queue, census = service.clock.seconds(), service.queue, service.census
        levels, totals, frozen = self._levels(), self._totals(), queue.controls.frozen()
        space = service.spool.space()
        return facts.Facts(
            time=now,
            version=__version__,
            hostname=service.config.hostname,
            started=service.live.began,
            health=self._health(found),
            totals={name: getattr(totals, name) for name in ("received", "delivered", "deferred", "failed", "refused")},
            queue={status.value: number for status, number in census.counts.items()},
            counted=census.counted,
            oldest=census.oldest or None,
            waiting=levels.waiting,
            attempts=levels.attempts,
            sessions=levels.sessions,
            limited=rate_limited(queue.window.lines, now),
            disk=facts.DiskFacts(space.free, space.min_free),
            sites=self._sites(busiest(queue.gates, facts.MOST_SITES)),
            slowest=self._sites(service.live.sites.slowest(facts.MOST_SLOW, now - RECENT)),
            breakers=self._breakers(),
            breakers_open=sum(gate.site.breaker.state is State.OPEN for gate in queue.gates.shut),
            frozen=tuple(islice(frozen, facts.MOST_FROZEN)),
            frozen_many=len(frozen),
            stopped_senders=len(service.safety.senders.stopped()),
        )

    def _health(self, found: Findings) -> facts.Health:
        size = found.queue_size
        parts = {
            "smtp": found.smtp_ready,
            "spool": found.spool_ready,
            "disk": found.disk_ready,
            "delivery": found.delivery_ready,
            "dns": found.dns_ready,
            "queue": size is not None and size <= found.max_queue_size,
        }
        return facts.Health(found.ready, found.shutting_down, parts, self._service.config.health.require)

    def _sites(self, names: Iterable[str]) -> tuple[facts.SiteFacts, ...]:
        service = self._service
        connections = dict(service.outgoing.smtp_agent.connections())
        told = []
        for name in names:
            site, count = site_of(service.queue.gates, name), service.live.sites.by_name.get(name) or SiteCount()
            figures = (count.delivered, count.deferred, count.failed, round(count.seconds, 4))
            held = connections.get(name, 0)
            told.append(facts.SiteFacts(name, site.ready, site.in_flight, held, *figures, site.state, site.limit))
        return tuple(told)

    def _breakers(self) -> tuple[facts.BreakerFacts, ...]:
        some = self._service.queue.controls.some_circuits(True, "", facts.MOST_BREAKERS)
        return tuple(
            facts.BreakerFacts(each.site, each.domains[:FEW], each.state, each.until, each.connections, each.rate)
            for each in some
        )
