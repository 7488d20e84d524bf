"""
What an operator asks of the queue while it runs: why mail waits, how sites fare, and other limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.config.units import Rate
from empath.policy.hold import Hold
from empath.queue.entry import Place
from empath.queue.explaining import Circuit, circuit_of, why_it_waits, why_the_site_waits
from empath.queue.gates import Gates
from empath.queue.notes import Notes
from empath.queue.window import Window

RATE: Final = "rate/"


@attrs.frozen(slots=True)
class RateLimit:
    """
    The rate of one destination; `set_here`: it was set while we ran, and stands in for the configured one.
    """

    domain: str
    rate: Rate
    set_here: bool


class Controls:
    """
    The queue's side of the control commands. `changed` is called when limits are other than they were.
    """

    def __init__(
        self, gates: Gates, window: Window, notes: Notes, clock: IReactorTime, changed: Callable[[], None]
    ) -> None:
        self._gates = gates
        self._window = window
        self._notes = notes
        self._clock = clock
        self._changed = changed

    def set_rate_limit(self, domain: str, rate: Rate | None) -> None:
        """
        Have a destination's site keep to a rate (`NO_LIMIT`: to none), whatever is configured for it; None: to what is
        configured, again. It survives restarts.
        """
        domain = domain.lower()
        rates = self._gates.terms.rates
        if rate is None:
            rates.pop(domain, None)
            self._notes.keep(RATE + domain, None)
        else:
            rates[domain] = rate
            self._notes.keep(RATE + domain, json.dumps([rate.count, rate.seconds]), forever=True)
        self._gates.apply()
        self._changed()

    def rate_limits(self) -> tuple[RateLimit, ...]:
        """
        Tell all rates that were set or are configured for destinations, in the order of their names.
        """
        terms = self._gates.terms
        found = {name: RateLimit(name, rate, False) for name, rate in terms.configured()}
        found.update({name: RateLimit(name, rate, True) for name, rate in terms.rates.items()})
        return tuple(found[name] for name in sorted(found))

    def circuits(self) -> tuple[Circuit, ...]:
        """
        Tell how all sites fare that are remembered.
        """
        return tuple(circuit_of(gate) for gate in self._gates.by_name.values())

    def reset_circuit(self, domain: str) -> bool:
        """
        Let mail flow to the site of a destination (or of this name) as if it had never failed; tells whether any is
        known.
        """
        gate = self._gates.find(domain.lower())
        if gate is None:
            return False
        changes = gate.site.reset(self._clock.seconds())
        if changes:
            self._gates.changed(gate, domain.lower(), changes)
        self._changed()
        return True

    def explain(self, queue_id: str, domain: str) -> Hold | Place | None:
        """
        Tell why a delivery that is due is not attempted, or where it is. None: it is in the spool only, and waits for
        its time, or for room in the window.
        """
        now, window = self._clock.seconds(), self._window
        entry = window.active.get((queue_id, domain))
        if entry is not None:
            waits = entry.place in (Place.READY, Place.TIMED)
            return why_it_waits(entry, window.lines, now) if waits else entry.place
        gate = self._gates.find(domain)
        return None if gate is None else why_the_site_waits(gate, now)

    def restore(self, kept: dict[str, str]) -> None:
        """
        Take up the rates that were set; what cannot be read is ignored.
        """
        for key, text in kept.items():
            if key.startswith(RATE):
                rate = _rate(text)
                if rate is not None:
                    self._gates.terms.rates[key.removeprefix(RATE)] = rate
        self._gates.apply()


def _rate(text: str) -> Rate | None:
    try:
        count, seconds = json.loads(text)
        return Rate(int(count), float(seconds)) if count >= 0 and seconds > 0 else None
    except (ValueError, TypeError):
        return None
