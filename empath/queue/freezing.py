"""
Freezing: no attempt begins, to one destination or to all, until an operator says otherwise; a restart changes nothing.

Mail to a frozen destination stays in the spool. While all is frozen the window stays as it is. The time does not count
for retry and expiry. Retried: what cannot be stored; meanwhile it holds all the same. Fatal: nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from math import inf, isfinite
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.mail.life import Emit
from empath.mail.life_safety import DeliveryFrozen
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome
from empath.policy.frozen import Interval, Intervals, age, begin_of, merged, recent
from empath.policy.hold import Hold, Why
from empath.policy.quantity import span
from empath.queue.entry import Entry
from empath.queue.notes import Notes
from empath.queue.settle import Decided
from empath.queue.settling import Decide
from empath.queue.window import Window

log = Logger()

FROZEN: Final = "frozen/"
ALL: Final = ""


class Freezing:
    """
    What is frozen, and since when, by destination; `ALL` stands for all of them. `decide` makes settlements; `changed`
    is called when mail may go on.
    """

    def __init__(
        self, window: Window, notes: Notes, clock: IReactorTime, emit: Emit, decide: Decide, changed: Callable[[], None]
    ) -> None:
        self._window = window
        self._notes = notes
        self._clock = clock
        self._emit = emit
        self._decide = decide
        self._changed = changed
        self._intervals: dict[str, Intervals] = {}
        self._known = False
        self._waiting: list[Deferred[None]] = []

    def since(self, domain: str) -> float | None:
        """
        Tell since when a destination is frozen, by itself or with all, None if it is not.
        """
        found = [each[-1].since for each in self._of(domain) if each and each[-1].until == inf]
        return min(found, default=None)

    def frozen(self) -> dict[str, float]:
        """
        Tell what is frozen, and since when.
        """
        return {name: each[-1].since for name, each in self._intervals.items() if each[-1].until == inf}

    def intervals(self, domain: str) -> Intervals:
        """
        Tell when nothing was delivered to a destination.
        """
        if not self._intervals:
            return ()
        return merged(interval for each in self._of(domain) for interval in each)

    def begun(self, delivery: Delivery) -> float:
        """
        Tell when the clocks of a delivery would have begun (seconds since the epoch) had it never been frozen.
        """
        if not self._intervals or not (intervals := self.intervals(delivery.domain)):
            return delivery.received
        now = self._clock.seconds()
        old = age(delivery.received, now, intervals)
        return delivery.received if old < 0 else now - old

    def cutoffs(self, domains: Collection[str], seconds: float) -> dict[float, tuple[str, ...]]:
        """
        Tell, for these destinations, whose mail is older than `seconds`: what was received no later than each time.
        """
        now = self._clock.seconds()
        if not self._intervals:
            return {now - seconds: tuple(domains)}
        found: dict[float, list[str]] = {}
        for domain in domains:
            found.setdefault(begin_of(seconds, now, self.intervals(domain)), []).append(domain)
        return {received: tuple(names) for received, names in found.items()}

    def decide(self, entry: Entry, message: Message, outcomes: tuple[Outcome, ...]) -> Decided:
        """
        Make the settlement of an attempt, by clocks that stood still while the destination was frozen.
        """
        if not self._intervals:
            return self._decide(entry, message, outcomes)
        before = entry.delivery
        begun = self.begun(before)
        if begun == before.received:
            return self._decide(entry, message, outcomes)
        entry.delivery = attrs.evolve(before, received=begun)
        try:
            settlement, results, notices = self._decide(entry, message, outcomes)
        finally:
            entry.delivery = before
        after = attrs.evolve(settlement.delivery, received=before.received)
        return attrs.evolve(settlement, delivery=after), results, notices

    def why(self, domain: str) -> Hold | None:
        """
        Tell that a destination is frozen, None if it is not.
        """
        if not self._intervals or (since := self.since(domain)) is None:
            return None
        what = domain if self._is_frozen(domain) else "all mail"
        return Hold(Why.FROZEN, None, f"delivery of {what} was frozen {span(self._clock.seconds() - since)} ago")

    async def freeze(self, domain: str = ALL) -> bool:
        """
        Begin no attempt; tells False where that was so before. It holds at once, StorageError tells that a restart
        might end it.
        """
        await self._all_known()
        if self._is_frozen(domain):
            return False
        self._intervals[domain] = (*self._intervals.get(domain, ()), Interval(self._clock.seconds()))
        self._apply(domain)
        self._changed()
        return await self._kept(domain)

    async def unfreeze(self, domain: str = ALL) -> bool:
        """
        Let mail go on; otherwise as `freeze`. What is frozen by itself stays so when all goes on, and the other way
        round.
        """
        await self._all_known()
        if not self._is_frozen(domain):
            return False
        now = self._clock.seconds()
        *before, last = self._intervals[domain]
        self._intervals[domain] = merged((*before, Interval(last.since, max(now, last.since)))) or (
            Interval(last.since, last.since),
        )
        self._apply(domain)
        self._changed()
        return await self._kept(domain)

    def begin(self) -> None:
        """
        Go by what is known: all that was stored has been taken up.
        """
        self._known = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def forget(self, expiration: float) -> None:
        """
        Forget what matters to no mail any more, since that would be older than `expiration` seconds.
        """
        if not self._intervals:
            return
        now = self._clock.seconds()
        everywhere = merged(interval for each in self._intervals.values() for interval in each)
        for domain, before in list(self._intervals.items()):
            kept = recent(before, everywhere if domain == ALL else self.intervals(domain), now, expiration)
            if kept:
                self._intervals[domain] = kept
            else:
                del self._intervals[domain]
                self._notes.keep(FROZEN + domain, None)

    def restore(self, kept: dict[str, str]) -> None:
        """
        Take up what was frozen; what cannot be read is told, and ignored.
        """
        for key, text in kept.items():
            if not key.startswith(FROZEN):
                continue
            try:
                pairs = json.loads(text)
                found = tuple(Interval(float(since), inf if until is None else float(until)) for since, until in pairs)
            except (ValueError, TypeError):
                found = ()
            if found:
                domain = key.removeprefix(FROZEN)
                self._intervals[domain] = found
                self._apply(domain)
            else:
                log.error("what was frozen cannot be read: {key}", key=key)

    async def _all_known(self) -> None:
        """
        Wait until what was stored is known: it must not undo what is said now.
        """
        if not self._known:
            known: Deferred[None] = Deferred()
            self._waiting.append(known)
            await known

    def _of(self, domain: str) -> tuple[Intervals, ...]:
        names = (domain,) if domain == ALL else (domain, ALL)
        return tuple(self._intervals[name] for name in names if name in self._intervals)

    def _is_frozen(self, domain: str) -> bool:
        intervals = self._intervals.get(domain)
        return intervals is not None and intervals[-1].until == inf

    def _apply(self, domain: str) -> None:
        """
        Have the window keep to what holds for a destination now.
        """
        if domain == ALL:
            self._window.lines.frozen = self._is_frozen(ALL)
        elif self._is_frozen(domain):
            self._window.freeze(domain)
        else:
            self._window.frozen.discard(domain)

    async def _kept(self, domain: str) -> bool:
        pairs = [[each.since, each.until if isfinite(each.until) else None] for each in self._intervals[domain]]
        self._notes.keep(FROZEN + domain, json.dumps(pairs), forever=True)
        await self._notes.flush()
        self._emit(DeliveryFrozen(domain, self._is_frozen(domain)))
        return True
