"""
Why a delivery that is due waits, in one reason, the first that would have to end; and how sites fare.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from empath.policy.breaker import State
from empath.policy.hold import Hold, Why
from empath.policy.rate import Bucket
from empath.queue.entry import Place
from empath.queue.line import Gate
from empath.queue.turns import SHARE

if TYPE_CHECKING:
    from empath.queue.entry import Entry
    from empath.queue.lines import Lines


MANY: Final = 100_000  # more than a window holds

_RATES: Final = frozenset({Why.RATE, Why.GLOBAL_RATE})


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


def circuit_of(gate: Gate, most: int | None = None) -> Circuit:
    """
    Tell how the site of a gate fares, with up to `most` of its destinations.
    """
    site = gate.site
    state = site.breaker.state
    until = site.breaker.until if state is State.OPEN else None
    return Circuit(site.name, tuple(islice(gate.domains, most)), state.value, until, site.in_flight, *site.shaped)


def is_well(gate: Gate) -> bool:
    """
    Tell whether the breaker of a site is closed, and it is not shaped.
    """
    return gate.site.breaker.state is State.CLOSED and gate.site.shaped == (None, None)


def why_it_waits(entry: Entry, lines: Lines, now: float, most: int = MANY) -> Hold:
    """
    Tell what keeps an entry that is ready from being attempted, or one that was from being settled; of those before it
    up to `most` are counted.
    """
    line = entry.line
    if entry.place is Place.TIMED:
        return Hold(Why.SPOOL, None, "the attempt has ended, but the spool does not take what became of it")
    if not line.gate.known:
        return Hold(Why.ROUTING, None, f"the hosts of {line.domain} are being looked up")
    hold = why_none_begins(line.domain, line.gate, line.bucket, lines, now)
    return _turn(entry, most) if hold is None else _behind(hold, entry, lines, now, most)


def why_none_begins(domain: str, gate: Gate | None, bucket: Bucket | None, lines: Lines, now: float) -> Hold | None:
    """
    Tell what would keep any delivery to a destination from being attempted; None for a gate that nothing is known of.
    """
    if gate is not None and (hold := gate.site.hold(now)) is not None:
        return hold
    if bucket is not None and (wait := bucket.wait(now)):
        return Hold(Why.RATE, now + wait, f"the rate limit of {domain}, {bucket.written}, is used up")
    if lines.total is not None and (wait := lines.total.wait(now)):
        detail = f"the rate limit of all deliveries together, {lines.total.written}, is used up"
        return Hold(Why.GLOBAL_RATE, now + wait, detail)
    return _slots(gate, lines)


def why_the_site_waits(gate: Gate, now: float) -> Hold | None:
    """
    Tell what keeps mail in the spool for a site from being looked for, None if nothing does.
    """
    hold = gate.site.hold(now)
    if hold is None and gate.overflow:
        return Hold(Why.TURN, None, f"{gate.entries} other deliveries to {gate.site.name} are before it")
    return hold


def _slots(gate: Gate | None, lines: Lines) -> Hold | None:
    taken, most = lines.in_flight + lines.stuck, lines.limit
    if taken >= most:
        return Hold(Why.SLOTS, None, f"{taken} of {most} parallel deliveries are under way")
    if gate is None:
        return None
    if gate.troubled and lines.suspects_in_flight >= max(1, most // 2):
        return Hold(Why.SLOTS, None, f"sites that failed have {lines.suspects_in_flight} of {most} parallel deliveries")
    if gate.site.in_flight * SHARE >= most - taken:
        return Hold(Why.SLOTS, None, f"{gate.site.name} has its share, {gate.site.in_flight} of {most} deliveries")
    return None


def _behind(hold: Hold, entry: Entry, lines: Lines, now: float, most: int) -> Hold:
    """
    Reckon with those before an entry, which have to go before a limit lets it.
    """
    before = _before(entry, most)
    if not before:
        return hold
    line, until = entry.line, hold.until
    if until is not None and hold.why in _RATES:
        waits = [each.wait(now, before) for each in (line.bucket, lines.total) if each is not None]
        until = max(until, *(now + wait for wait in (line.gate.site.rate_wait(now, before), *waits)))
    return Hold(hold.why, until, f"{hold.detail}, and {_told(before, most, line.domain)}")


def _turn(entry: Entry, most: int) -> Hold:
    return Hold(Why.TURN, None, _told(_before(entry, most), most, entry.line.domain))


def _before(entry: Entry, most: int) -> int:
    before = 0
    for other in entry.line.waiting:
        if other is entry or before >= most:
            break
        before += 1
    return before


def _told(before: int, most: int, domain: str) -> str:
    count = f"{before} or more" if before >= most else str(before)
    return f"{count} deliveries to {domain} are before it" if before != 1 else f"1 delivery to {domain} is before it"
