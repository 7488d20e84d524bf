"""
What people watch while it happens: dialogues, sites, the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from empath.config.schema import Metrics
from empath.net.dialogues import Dialogues
from empath.observe.life import LifeEvents
from empath.observe.metrics.garbage import GarbagePauses
from empath.observe.metrics.latency import LoopLatency
from empath.observe.metrics.sites import SiteCounts

if TYPE_CHECKING:
    from empath.service import EmpathService


class Live:
    """
    Who overhears dialogues, what came of attempts by site, how late the loop is, and since when we run. How late it is,
    and how long collections of garbage take, is measured all the time only where `section` has it told.
    """

    def __init__(self, clock: Any, events: LifeEvents, gc_callbacks: list[Any] | None, section: Metrics) -> None:
        self._section = section
        self._running = False
        self.garbage = None if gc_callbacks is None else GarbagePauses(gc_callbacks)
        self.dialogues = Dialogues(clock)
        self.sites = SiteCounts()
        self.sites.listen(events)
        self.latency = LoopLatency(clock)
        self.began: float = clock.seconds()

    def join(self, service: EmpathService) -> None:
        """
        Let the sessions and connections of a service be overheard.
        """
        agent = service.outgoing.smtp_agent
        agent.dialogues = self.dialogues
        self.dialogues.join(agent.overhear)
        self.dialogues.join(service.reception.sessions.shown.overhear)

    def start(self) -> None:
        """
        Measure from now on, where that is told.
        """
        self._running = True
        self._follow()

    def use(self, section: Metrics) -> None:
        """
        Go by this section from now on.
        """
        self._section = section
        self._follow()

    def stop(self) -> None:
        """
        Measure no more, and end all watches.
        """
        self._running = False
        self._follow()
        for watch in self.dialogues.watches:
            watch.end()

    def _follow(self) -> None:
        told = self._section.enabled or self._section.otlp_endpoint
        if self.garbage is not None and self._running and told:
            self.garbage.start()
            self.latency.start()
            return
        self.latency.stop()
        if self.garbage is not None:
            self.garbage.stop()
