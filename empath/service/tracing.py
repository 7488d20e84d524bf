"""
Tracing in the service: which messages are followed, and who makes their spans.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from empath.config import schema
from empath.mail.traces import Traces
from empath.observe.life import LifeEvents
from empath.observe.tracing.following import Following
from empath.observe.tracing.showing import Showing
from empath.observe.tracing.span import Add


class Tracing:
    """
    Follows messages as [tracing] says. `traces` is what the rooms ask that make messages; what becomes spans goes to
    `add`. While it is off it listens to nothing.
    """

    def __init__(self, section: schema.Tracing, clock: IReactorTime, add: Add) -> None:
        self.traces = Traces()
        self._following = Following(clock, add)
        self._events: LifeEvents | None = None
        self._ends: list[Callable[[], None]] = []
        self.use(section)

    def listen(self, events: LifeEvents) -> None:
        """
        Hear of what is traced from these.
        """
        self._events = events
        self._attend()

    def use(self, section: schema.Tracing) -> None:
        """
        Follow as another section says, from now on.
        """
        self.traces.use(section.enabled, section.sample_ratio)
        self._following.use(section.enabled and section.errors, Showing(section.addresses))
        self._attend()

    def _attend(self) -> None:
        """
        Listen, or do not.
        """
        if not self.traces.on:
            ends, self._ends = self._ends, []
            for end in ends:
                end()
        elif self._events is not None and not self._ends:
            self._ends = self._following.listen(self._events.subscribe)
