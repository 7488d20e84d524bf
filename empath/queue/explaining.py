"""
Why a delivery that is due waits, in one reason, the first that would have to end; and how sites fare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from empath.policy.breaker import State
from empath.policy.hold import Hold, Why
from empath.queue.entry import Place
from empath.queue.line import Gate
from empath.queue.turns import SHARE

if TYPE_CHECKING:
    from empath.queue.entry import Entry
    from empath.queue.lines import Lines


@attrs.frozen(slots=True)
class Circuit:
    """
    How a site fares: the state of its breaker ("closed", "open", "half-open"), `until` when (seconds since the epoch)
    nothing is tried while it is open, attempts in flight, and what shaping allows at a time and a second (None: all).
    """

    site: str
    domains: tuple[str, ...]
    state: str
    until: float | None
    in_flight: int
    connections: int | None
    rate: float | None


def circuit_of(gate: Gate) -> Circuit:
    """
    Tell how the site of a gate fares.
    """
    site = gate.site
    state = site.breaker.state
    until = site.breaker.until if state is State.OPEN else None
    return Circuit(site.name, tuple(gate.domains), state.value, until, site.in_flight, *site.shaped)


def why_it_waits(entry: Entry, lines: Lines, now: float) -> Hold:
    """
    Tell what keeps an entry that is ready from being attempted, or one that was from being settled.
    """
    line = entry.line
    gate = line.gate
    if entry.place is Place.TIMED:
        return Hold(Why.SPOOL, None, "the attempt has ended, but the spool does not take what became of it")
    if not gate.known:
        return Hold(Why.ROUTING, None, f"the hosts of {line.domain} are being looked up")
    if (hold := gate.site.hold(now)) is not None:
        return hold
    if line.bucket is not None and (wait := line.bucket.wait(now)):
        return Hold(Why.RATE, now + wait, f"the rate limit of {line.domain} is used up")
    if lines.total is not None and (wait := lines.total.wait(now)):
        return Hold(Why.GLOBAL_RATE, now + wait, "the rate limit of all deliveries is used up")
    return _slots(gate, lines) or _turn(entry)


def why_the_site_waits(gate: Gate, now: float) -> Hold | None:
    """
    Tell what keeps mail in the spool for a site from being looked for, None if nothing does.
    """
    hold = gate.site.hold(now)
    if hold is None and gate.overflow:
        return Hold(Why.TURN, None, f"{gate.entries} other deliveries to {gate.site.name} are before it")
    return hold


def _slots(gate: Gate, lines: Lines) -> Hold | None:
    taken, most = lines.in_flight + lines.stuck, lines.limit
    if taken >= most:
        return Hold(Why.SLOTS, None, f"{taken} of {most} parallel deliveries are under way")
    if gate.troubled and lines.suspects_in_flight >= max(1, most // 2):
        return Hold(Why.SLOTS, None, f"sites that failed have {lines.suspects_in_flight} of {most} parallel deliveries")
    if gate.site.in_flight * SHARE >= most - taken:
        return Hold(Why.SLOTS, None, f"{gate.site.name} has its share, {gate.site.in_flight} of {most} deliveries")
    return None


def _turn(entry: Entry) -> Hold:
    before = 0
    for other in entry.line.waiting:
        if other is entry:
            break
        before += 1
    return Hold(Why.TURN, None, f"{before} deliveries to {entry.line.domain} are before it")
