"""
What the watchdog asks of the lines: whether they agree with the entries, and to begin anew if not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from empath.queue.entry import Place
from empath.queue.line import Gate

if TYPE_CHECKING:
    from empath.queue.entry import Entry
    from empath.queue.lines import Lines


def faults(lines: Lines, entries: Iterable[Entry]) -> int:
    """
    Count what does not agree between the lines and the places that the entries say they are in.
    """
    ready: Counter[int] = Counter()
    flying: Counter[Gate] = Counter()
    gates: dict[Gate, None] = {}
    for entry in entries:
        gates[entry.line.gate] = None
        if entry.place is Place.READY:
            ready[id(entry.line)] += 1
        elif entry.place is Place.IN_FLIGHT and entry.gate is not None:
            flying[entry.gate] += 1
    gates |= dict.fromkeys(flying)
    found = [line for line in lines.by_domain.values() if line.gate.known]
    waiting = _waiting(lines, gates)
    wrong = sum(abs(len(line.waiting) - ready.pop(id(line), 0)) for line in lines.by_domain.values())
    wrong += sum(bool(line.waiting) and id(line) not in waiting for line in found)
    wrong += sum(abs(gate.site.in_flight - flying[gate]) for gate in gates)
    turned, timed = {id(line) for line in lines.turns}, {id(gate) for gate in lines.timers.gates()}
    wrong += sum(_stranded(lines, gate, turned, timed) for gate in gates)
    return wrong + sum(ready.values()) + abs(lines.in_flight - sum(flying.values()))


def _waiting(lines: Lines, gates: Iterable[Gate]) -> set[int]:
    """
    Tell which lines will get a turn.
    """
    waiting = {id(line) for line in lines.turns}
    waiting.update(id(line) for line in lines.timers.lines())
    waiting.update(id(line) for gate in gates for line in gate.parked)
    return waiting


def _stranded(lines: Lines, gate: Gate, turned: set[int], timed: set[int]) -> bool:
    """
    Tell whether lines wait at a gate that nobody will call, or whose line that was called is in no turn.
    """
    if not any(line.waiting for line in gate.parked):
        return False
    if gate.called is not None:
        return id(gate.called) not in turned
    pooled = gate in lines.over_share or gate in lines.suspects
    return not (pooled or id(gate) in timed or gate.site.in_flight)


def recount(lines: Lines, entries: Iterable[Entry]) -> None:
    """
    Forget all lines and turns, and what is in flight; gates keep what they know of their sites.
    """
    gates = {gate for line in lines.by_domain.values() for gate in (line.gate,)}
    for entry in entries:
        gates.add(entry.line.gate)
        if entry.gate is not None:
            gates.add(entry.gate)
    for gate in gates:
        gate.lines.clear()
        gate.parked.clear()
        gate.called = None
        gate.entries = gate.site.in_flight = 0
        gate.until = 0.0
    lines.in_flight = lines.suspects_in_flight = lines.ready = 0
    lines.turns.clear()
    lines.over_share.clear()
    lines.suspects.clear()
    lines.timers.clear()
    lines.by_domain.clear()
