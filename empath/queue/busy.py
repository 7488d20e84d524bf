"""
Which sites have most to do, and what holds them, for people who look on: plain reading, that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest
from typing import Final

import attrs

from empath.policy.hold import Why
from empath.policy.site import Limits
from empath.queue.gates import Gates
from empath.queue.line import Gate, Line
from empath.queue.lines import Lines

RATES: Final = frozenset({Why.RATE, Why.GLOBAL_RATE, Why.SHAPED})
_UNITS: Final = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}


@attrs.frozen(slots=True)
class BusySite:
    """
    A site: deliveries that are ready for it, attempts under way, the state of its breaker, and which limits are in
    force in words, "" for none.
    """

    site: str
    ready: int
    in_flight: int
    state: str
    limit: str


def busiest(gates: Gates, most: int) -> list[str]:
    """
    Name the sites with the most mail in memory, those in trouble first among equals; none that have nothing to do.
    """
    busy = [gate for gate in gates.by_name.values() if gate.entries or gate.site.in_flight]
    return [gate.site.name for gate in nlargest(most, busy, key=lambda gate: (gate.entries, gate.shut))]


def site_of(gates: Gates, name: str) -> BusySite:
    """
    Tell how a site is; of one that is not known, that it has nothing to do.
    """
    gate = gates.by_name.get(name)
    if gate is None:
        return BusySite(name, 0, 0, "closed", "")
    site = gate.site
    ready = max(0, gate.entries - site.in_flight)
    return BusySite(name, ready, site.in_flight, site.breaker.state.value, limit_of(gate, gates.terms.default))


def limit_of(gate: Gate, default: Limits) -> str:
    """
    Say what a site may get: what it asked for itself first.
    """
    connections, rate = gate.site.shaped
    limits = gate.limits or default
    said = []
    if connections is not None:
        said.append(f"shaped to {connections} at a time" + ("" if rate is None else f", {rate:.3g}/s"))
    if limits.max_connections is not None:
        said.append(f"{limits.max_connections} at a time")
    if limits.count:
        unit = _UNITS.get(limits.seconds)
        said.append(f"{limits.count}/{unit}" if unit else f"{limits.count} in {limits.seconds:g} s")
    return "; ".join(said)


def rate_limited(lines: Lines, now: float) -> int:
    """
    Count the deliveries in memory that are ready and wait for nothing but a rate.
    """
    if lines.total is not None and lines.total.wait(now):
        return lines.ready
    return _waiting(lines, lambda line: line.why in RATES or (bool(line.gate.parked) and line.gate.why in RATES))


def _waiting(lines: Lines, held: Callable[[Line], bool]) -> int:
    return sum(len(line.waiting) for line in lines.by_domain.values() if held(line))
