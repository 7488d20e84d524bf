"""
Tracing in the service: which messages are followed, and who makes their spans.
"""

from __future__ import annotations

from empath.config import schema
from empath.mail.traces import Ids, Traces


class Tracing:
    """
    Follows messages as [tracing] says. `traces` is what the rooms ask that make messages.
    """

    def __init__(self, section: schema.Tracing) -> None:
        self.traces = Traces()
        self.use(section)

    def ids_of(self, queue_id: str) -> Ids | None:
        """
        Tell the ids of the trace and of the root span of a message, None while nothing is traced; in any thread.
        """
        return self.traces.ids_of(queue_id)

    def use(self, section: schema.Tracing) -> None:
        """
        Follow as another section says, from now on.
        """
        self.traces.use(section.enabled, section.sample_ratio)
