"""
The gates of all sites: which one a destination goes through, how its site fares, and that this is remembered.

Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from twisted.internet.interfaces import IReactorTime

from empath.config import schema
from empath.interfaces import ISites
from empath.mail.life import BreakerMoved, Emit, SiteShaped
from empath.mail.outcome import Outcome, Success
from empath.policy.breaker import State
from empath.policy.shaping import ACCEPTED, NOTHING, Patterns
from empath.policy.site import BreakerChange, Change, Site
from empath.queue.entry import Entry
from empath.queue.line import Gate, Line
from empath.queue.look_ups import LookUps
from empath.queue.notes import Notes
from empath.queue.terms import Terms

REMEMBERED: Final = 10_000  # sites
DESTINATIONS: Final = 100_000  # of one site
FEW: Final = 100  # of them are looked at to forget one
SITE: Final = "site/"

Shed = Callable[[Gate], None]
"""
Keep only a few entries of a gate that is shut.
"""

Arrived = Callable[[Line, Gate], None]
"""
Have a line lead to the gate of its site, now that it is known.
"""


class Gates:
    """
    Makes lines at their gates, and tells sites how attempts end.
    """

    def __init__(
        self,
        section: schema.Delivery,
        sites: ISites,
        notes: Notes,
        clock: IReactorTime,
        emit: Emit,
        arrived: Arrived,
        shed: Shed,
    ) -> None:
        self.terms = Terms(section)
        self.by_name: dict[str, Gate] = {}
        self.shut: dict[Gate, None] = {}
        self._patterns = Patterns(section.shaping)
        self.look_ups = LookUps(sites, clock, self._at)
        self._notes = notes
        self._clock = clock
        self._emit = emit
        self._arrived = arrived
        self._shed = shed

    def begin(self, domain: str) -> Line:
        """
        Make the line of a destination: at the gate of its site, or at one of its own until that is found.
        """
        bucket, now = self.terms.bucket_of(domain), self._clock.seconds()
        name = self.look_ups.site_of(domain)
        if isinstance(name, str):
            return Line(domain, self._gate_of(name, domain), bucket, looked=now)
        line = Line(domain, Gate(Site(domain, self.terms.default), known=False), bucket, looked=now)
        self.look_ups.ask(line, name)
        return line

    def ended(self, entry: Entry, outcomes: tuple[Outcome, ...]) -> None:
        """
        Tell the site of an attempt how it ended; no outcomes: it came to nothing.
        """
        gate = entry.gate
        if gate is None:
            return
        if len(outcomes) == 1 and type(outcomes[0]) is Success:
            told = ACCEPTED
        else:
            told = self._patterns.judge(outcomes) if outcomes else NOTHING
        entry.told = told[0]
        changes = gate.site.ended(self._clock.seconds(), *told)
        if changes:
            self.changed(gate, entry.key[1], changes)

    def changed(self, gate: Gate, domain: str, changes: tuple[Change, ...]) -> None:
        """
        Tell how a site changed, remember it, and keep little mail in memory that cannot go there.
        """
        for change in changes:
            if isinstance(change, BreakerChange):
                moved = BreakerMoved(gate.site.name, domain, tuple(gate.domains), change.state.value, change.detail)
                self._set_shut(gate)
                self._emit(moved)
            else:
                self._emit(SiteShaped(gate.site.name, domain, change.connections, change.rate, change.detail))
        if gate.known:
            self._notes.keep(SITE + gate.site.name, gate.site.dump())

    def find(self, name: str) -> Gate | None:
        """
        Find the gate of a site, or of a destination that is known to lead to one.
        """
        gate = self.by_name.get(name)
        if gate is not None and (not gate.domains or name in gate.domains):
            return gate
        return next((each for each in self.by_name.values() if name in each.domains), gate)

    def reconfigure(self, section: schema.Delivery) -> None:
        """
        Use another section from now on; how sites fare stays.
        """
        self.terms.use(section, self._clock.seconds())
        self._patterns = Patterns(section.shaping)
        self.apply()

    def apply(self) -> None:
        """
        Have all gates and lines keep to the terms as they now are.
        """
        now = self._clock.seconds()
        for gate in self.by_name.values():
            gate.limits = self.terms.limits_of(gate.domains)
            gate.site.use(gate.limits, now)
            for line in gate.lines.values():
                line.bucket = self.terms.bucket_of(line.domain)

    def restore(self, kept: dict[str, str]) -> None:
        """
        Take up how sites fared.
        """
        for key, text in kept.items():
            if key.startswith(SITE):
                gate = self._make(key.removeprefix(SITE))
                gate.site.restore(text, self._clock.seconds())
                self._set_shut(gate)
                gate.troubled = gate.shut or None

    def look_again(self, lines: dict[str, Line]) -> None:
        """
        Look up the sites of some lines that last long, and of some destinations whose mail lies in the spool since
        their site fails: they may have moved.
        """
        self.look_ups.of_stale(lines.values())
        self.look_ups.of_some(self.shut)

    def routes_changed(self, lines: dict[str, Line]) -> None:
        """
        Look up the sites of all lines, and of all destinations whose mail lies in the spool since their site fails:
        mail that was sent another way does not wait for where it no longer goes.
        """
        self.look_ups.of_lines([each for each in lines.values() if each.gate.known])
        for gate in list(self.shut):
            self.look_ups.check(gate, [domain for domain in gate.domains if domain not in gate.lines])

    def save(self) -> None:
        """
        Remember how all sites fare.
        """
        for gate in self.by_name.values():
            self._notes.keep(SITE + gate.site.name, gate.site.dump())

    def _set_shut(self, gate: Gate) -> None:
        state = gate.site.breaker.state
        gate.shut = state is not State.CLOSED
        if gate.shut and gate.known:
            self.shut[gate] = None
        else:
            self.shut.pop(gate, None)
        if state is State.OPEN:
            self._shed(gate)

    def _gate_of(self, name: str, domain: str) -> Gate:
        gate = self.by_name.get(name) or self._make(name)
        if domain not in gate.domains:
            self._join(gate, domain)
        return gate

    def _make(self, name: str) -> Gate:
        by_name = self.by_name
        if len(by_name) >= REMEMBERED:
            self._forget_one()
        gate = by_name[name] = Gate(Site(name, self.terms.default))
        return gate

    def _forget_one(self) -> None:
        """
        Forget a site that has no mail here; one that is left alone only if there are very many.
        """
        by_name = self.by_name
        for name in list(islice(by_name, FEW)):
            gate = by_name.pop(name)
            if not (gate.lines or gate.site.in_flight or (gate.shut and len(by_name) < 2 * REMEMBERED)):
                self.shut.pop(gate, None)
                return
            by_name[name] = gate  # in use: it is looked at again when all others were

    def _join(self, gate: Gate, domain: str) -> None:
        """
        Note that a destination leads to a gate, whose limits may be stricter for it.
        """
        if len(gate.domains) >= DESTINATIONS:
            del gate.domains[next(iter(gate.domains))]
        gate.domains[domain] = None
        if not self.terms.plain:
            limits = self.terms.limits_of((domain,), gate.limits)
            if limits is not (gate.limits or self.terms.default):
                gate.site.use(limits, self._clock.seconds())
            gate.limits = limits

    def _at(self, line: Line, name: str) -> None:
        """
        Have a line lead to where its site is found to be.
        """
        gate = self._gate_of(name, line.domain)
        line.looked = self._clock.seconds()
        if line.gate is not gate:
            self._arrived(line, gate)
