"""
What was set by hand while we ran, and stands in for the configuration until it is taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from empath.control.terms.system import Override
from empath.service.control.rates import written

if TYPE_CHECKING:
    from empath.service import EmpathService


def overrides_of(service: EmpathService) -> tuple[Override, ...]:
    """
    List all of it.
    """
    controls, by_hand = service.queue.controls, service.verbosity.by_hand
    levels = [Override("log-level", namespace, level) for namespace, level in sorted(by_hand.items())]
    limits = [Override("rate-limit", row.domain, written(row.rate)) for row in controls.rate_limits() if row.set_here]
    hosts = [
        Override("mx-override", domain, ", ".join(given))
        for domain, given in service.outgoing.overrides.overrides().items()
    ]
    frozen = [Override("frozen", domain, "") for domain in sorted(controls.frozen())]
    stopped = [Override("sender-stopped", each.sender, each.detail) for each in service.safety.senders.stopped()]
    return (*levels, *limits, *hosts, *frozen, *stopped)
