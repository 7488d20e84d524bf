"""
What people watch while it happens: dialogues, sites, the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from empath.net.dialogues import Dialogues
from empath.observe.garbage import GarbagePauses
from empath.observe.latency import LoopLatency
from empath.observe.life import LifeEvents
from empath.observe.sites import SiteCounts

if TYPE_CHECKING:
    from empath.service import EmpathService


class Live:
    """
    Who overhears dialogues, what came of attempts by site, how late the loop is, and since when we run.
    """

    def __init__(self, clock: Any, events: LifeEvents, gc_callbacks: list[Any] | None) -> None:
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
        Measure from now on, where that is worth it.
        """
        if self.garbage is not None:
            self.garbage.start()
            self.latency.start()

    def stop(self) -> None:
        """
        Measure no more, and end all watches.
        """
        self.latency.stop()
        if self.garbage is not None:
            self.garbage.stop()
        for watch in self.dialogues.watches:
            watch.end()
