"""
What an operator asks of the queue while it runs: why mail waits, how sites fare, and other limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from heapq import nsmallest
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.config.units import Rate
from empath.interfaces import ISpool
from empath.mail.message import Delivery
from empath.policy.hold import Hold
from empath.policy.selection import Key, Selection, destination
from empath.policy.verbs import Verb
from empath.queue.entry import Order, Place
from empath.queue.explaining import Circuit, circuit_of, is_well
from empath.queue.freezing import ALL, Freezing
from empath.queue.gates import Gates
from empath.queue.listing import in_progress
from empath.queue.managing import Managing
from empath.queue.notes import Notes
from empath.queue.slices import SLICE, START, Progress, Tally
from empath.queue.standing import Standings
from empath.queue.window import Window

RATE: Final = "rate/"
LONGEST_DOMAIN: Final = 255
LONGEST_REASON: Final = 500  # characters
FEW: Final = 20  # destinations of a site that are told where there may be very many


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
        self,
        gates: Gates,
        window: Window,
        notes: Notes,
        clock: IReactorTime,
        spool: ISpool,
        freezing: Freezing,
        managing: Managing,
        standings: Standings,
        changed: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._freezing = freezing
        self._managing = managing
        self._standings = standings
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

    async def kept(self) -> None:
        """
        Wait until what was set is on stable storage; StorageError: it holds, but a restart might undo it.
        """
        await self._notes.flush()

    def rate_limits(self) -> tuple[RateLimit, ...]:
        """
        Tell all rates that were set or are configured for destinations, in the order of their names.
        """
        terms = self._gates.terms
        found = {name: RateLimit(name, rate, False) for name, rate in terms.configured()}
        found.update({name: RateLimit(name, rate, True) for name, rate in terms.rates.items()})
        return tuple(found[name] for name in sorted(found))

    def configured_rate(self, domain: str) -> Rate:
        """
        Tell the rate that holds for a destination where none is set.
        """
        return self._gates.terms.configured_rate(domain)

    def circuits(self) -> tuple[Circuit, ...]:
        """
        Tell how all sites fare that are remembered.
        """
        return tuple(circuit_of(gate) for gate in self._gates.by_name.values())

    def some_circuits(self, troubled: bool, after: str, limit: int) -> tuple[Circuit, ...]:
        """
        Tell the same of the first sites behind a name, with some of their destinations each; `troubled`: only of those
        whose breaker is not closed, or that are shaped.
        """
        gates = self._gates.by_name.items()
        names = [name for name, gate in gates if name > after and not (troubled and is_well(gate))]
        return tuple(circuit_of(self._gates.by_name[name], FEW) for name in nsmallest(limit, names))

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

    def hold(self, selection: Selection, why: str = "", progress: Progress | None = None) -> Deferred[Tally]:
        """
        Stop mail until it is released: it is not attempted, and does not grow older. What is being attempted is held
        when its attempt fails for now.

        As all verbs: durable, for what they counted as changed or in flight, when the Deferred fires; fails with
        SpoolError or StorageError where they cannot go on; ends between two slices when it is cancelled. `progress`
        hears how far they came.
        """
        return self._managing.do(_order(Verb.HOLD, why), selection, progress)

    def release(self, selection: Selection, why: str = "", progress: Progress | None = None) -> Deferred[Tally]:
        """
        Let mail go on that an operator, or a module at reception, held.
        """
        return self._managing.do(_order(Verb.RELEASE, why), selection, progress)

    def retry(
        self, selection: Selection, why: str = "", progress: Progress | None = None, force: bool = False
    ) -> Deferred[Tally]:
        """
        Attempt mail now that waits for its next attempt. What failed or expired, and was kept, begins anew, with those
        recipients who did not get it. `force` also attempts what is held or is to be released later, and takes the
        sites for working that were left alone.
        """
        return self._managing.do(_order(Verb.FORCE if force else Verb.RETRY, why), selection, progress)

    def bounce(self, selection: Selection, why: str = "", progress: Progress | None = None) -> Deferred[Tally]:
        """
        Give mail up now, with a report to its sender about recipients who did not get it yet.
        """
        return self._managing.do(_order(Verb.BOUNCE, why), selection, progress)

    def delete(self, selection: Selection, why: str = "", progress: Progress | None = None) -> Deferred[Tally]:
        """
        Delete mail, without a report. What is being attempted is deleted when its attempt has ended.
        """
        return self._managing.do(_order(Verb.DELETE, why), selection, progress)

    def freeze(self, domain: str = ALL) -> Deferred[bool]:
        """
        Begin no attempt to a destination, or to any, until `unfreeze`: attempts under way go on. Tells False if that
        was so before. Fires when it is durable; StorageError: it holds, but might not after a restart. ValueError for
        what cannot be a destination.
        """
        if len(domain) > LONGEST_DOMAIN or not domain.isprintable():
            raise ValueError("no destination has such a name")
        return Deferred.fromCoroutine(self._freezing.freeze(destination(domain)))

    def unfreeze(self, domain: str = ALL) -> Deferred[bool]:
        """
        Let mail go on; otherwise as `freeze`.
        """
        return Deferred.fromCoroutine(self._freezing.unfreeze(destination(domain)))

    def frozen(self) -> dict[str, float]:
        """
        Tell which destinations are frozen ("": all), and since when (seconds since the epoch).
        """
        return self._freezing.frozen()

    async def explain_message(self, queue_id: str) -> list[tuple[Delivery, Hold | Place | None]]:
        """
        Tell of each delivery of a message how it stands in the spool, and why it waits, or where it is. None: it is at
        its end, or waits for room in the window.
        """
        found: list[tuple[Delivery, Hold | Place | None]] = []
        after: Key | None = START
        while after is not None:
            page = await self._spool.select(Selection(queue_id=queue_id), after, SLICE)
            found += [(each, self._standings.why(each)) for each in page.deliveries]
            after = page.after
        return found

    def explain(self, queue_id: str, domain: str) -> Hold | Place | None:
        """
        Tell why a delivery that is due is not attempted, or where it is. None: it is in the spool only, and waits for
        room in the window.
        """
        return self._standings.explain(queue_id, domain)

    async def process_now(self) -> int:
        """
        Look for due mail at once; tells how many deliveries are due and not being attempted.
        """
        self._changed()
        due = await self._spool.due_count(self._clock.seconds())
        return max(0, due - len(in_progress(self._window)))

    def force(self, domains: set[str]) -> None:
        """
        Take the sites of these for working that are left alone.
        """
        for gate in list(self._gates.shut):
            domain = next(iter(gate.domains.keys() & domains), None)  # goes through the fewer
            if domain is not None:
                self._gates.changed(gate, domain, gate.site.reset(self._clock.seconds()))
        self._changed()

    def restore(self, kept: dict[str, str]) -> None:
        """
        Take up the rates that were set, what was frozen, and what was to follow attempts; what cannot be read is
        ignored.
        """
        self._freezing.restore(kept)
        self._managing.restore(kept)
        for key, text in kept.items():
            if key.startswith(RATE):
                rate = _rate(text)
                if rate is not None:
                    self._gates.terms.rates[key.removeprefix(RATE)] = rate
        self._gates.apply()


def _order(verb: Verb, why: str) -> Order:
    """
    Make an order; of its reason as much is kept as can be noted.
    """
    return Order(verb, why[:LONGEST_REASON].encode(errors="replace").decode())


def _rate(text: str) -> Rate | None:
    try:
        count, seconds = json.loads(text)
        return Rate(int(count), float(seconds)) if count >= 0 and seconds > 0 else None
    except (ValueError, TypeError):
        return None
