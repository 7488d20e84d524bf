"""
How a delivery stands: what keeps it, until when, and when its time is over; and how any mail to a destination fares.

Reads memory only.
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.config import schema
from empath.config.units import Rate
from empath.mail.attempt import Attempt
from empath.mail.deliver_by import deliver_by
from empath.mail.message import LIVE, Delivery, Message, Status
from empath.policy.hold import Hold, Why
from empath.policy.quantity import span
from empath.policy.site import Limits
from empath.queue.entry import Order, Place
from empath.queue.explaining import MANY, why_it_waits, why_none_begins, why_the_site_waits
from empath.queue.freezing import Freezing
from empath.queue.gates import Gates
from empath.queue.line import Gate
from empath.queue.under_way import HELD_FOR
from empath.queue.window import Window

FEW: Final = 20  # of those before a delivery are counted where many are told of


@attrs.frozen(slots=True)
class Standing:
    """
    `hold` is why it is not attempted now, or where it is in the window; None: it is at its end, or nothing keeps it.
    `attempt` is the record of the one that is under way. `expires` is when it is given up at the latest (seconds since
    the epoch), None where that is not known: at its end, or while its clock stands still with `left` seconds to go.
    `attempts_left` are those that it may still have. `deadline` is until when its sender wants it back otherwise
    (RFC 2852), which no clock of ours stops; `order` is what an operator wants done once its attempt has ended.
    """

    hold: Hold | Place | None
    attempt: Attempt | None
    expires: float | None
    left: float | None
    attempts_left: int
    deadline: float | None = None
    order: Order | None = None


@attrs.frozen(slots=True)
class Terms:
    """
    What a destination may get: the limits of its site, `rate` where it has one by itself, and what shaping allows at a
    time and a second (None: all). `state` is that of the site's breaker, with `until` while it is open.
    """

    limits: Limits
    rate: Rate | None
    connections: int | None
    shaped_rate: float | None
    state: str
    until: float | None


class Standings:
    """
    Tells how deliveries stand. `section` is the [delivery] in force.
    """

    def __init__(
        self, section: schema.Delivery, window: Window, gates: Gates, freezing: Freezing, clock: IReactorTime
    ) -> None:
        self.section = section
        self._window = window
        self._gates = gates
        self._freezing = freezing
        self._clock = clock

    def of(self, delivery: Delivery, message: Message) -> Standing:
        """
        Tell how a delivery of a message stands.
        """
        entry = self._window.active.get((delivery.queue_id, delivery.domain))
        attempt = None if entry is None or entry.place is Place.READY else entry.attempt
        expires, left = self._time_of(delivery)
        by = deliver_by(message) if delivery.status in LIVE else None
        deadline = by.deadline if by is not None and by.returned else None
        if deadline is not None and expires is not None:
            expires = min(expires, deadline)
        attempts_left = max(0, self.section.max_attempts - delivery.attempts) if delivery.status in LIVE else 0
        order = None if entry is None else entry.order
        return Standing(self.why(delivery), attempt, expires, left, attempts_left, deadline, order)

    def why(self, delivery: Delivery, most: int = MANY) -> Hold | Place | None:
        """
        Tell why a delivery waits, or where it is; None: it is at its end, or waits for room in the window.
        """
        now = self._clock.seconds()
        entry = self._window.active.get((delivery.queue_id, delivery.domain))
        if entry is not None and entry.place is not Place.READY:
            return self.explain(delivery.queue_id, delivery.domain)
        if delivery.status is Status.HELD:
            return Hold(Why.HELD, None, _held(delivery, now))
        if delivery.next_attempt is None:
            return None
        hold = self.explain(delivery.queue_id, delivery.domain, most)
        if delivery.next_attempt > now and not (isinstance(hold, Hold) and hold.why is Why.FROZEN):
            return Hold(Why.TIME, delivery.next_attempt, _not_due(delivery))
        return hold

    def explain(self, queue_id: str, domain: str, most: int = MANY) -> Hold | Place | None:
        """
        Tell why a delivery that is due is not attempted, or where it is. None: it is in the spool only, and waits for
        room in the window.
        """
        now, window = self._clock.seconds(), self._window
        entry = window.active.get((queue_id, domain))
        if entry is not None and entry.place not in (Place.READY, Place.TIMED):
            return entry.place
        if (entry is None or entry.place is Place.READY) and (hold := self._freezing.why(domain)) is not None:
            return hold
        if entry is not None:
            return why_it_waits(entry, window.lines, now, most)
        gate = self._gates.find(domain)
        return None if gate is None else why_the_site_waits(gate, now)

    def at(self, site: str, domain: str) -> Hold | None:
        """
        Tell what would keep mail to a destination, whose site is known by this name, from being attempted now.
        """
        frozen = self._freezing.why(domain)
        if frozen is not None:
            return frozen
        now = self._clock.seconds()
        bucket = self._gates.terms.bucket_of(domain)
        return why_none_begins(domain, self._gates.by_name.get(site), bucket, self._window.lines, now)

    def terms_of(self, site: str, domain: str) -> Terms:
        """
        Tell what mail to a destination may get at its site.
        """
        terms, gate = self._gates.terms, self._gates.by_name.get(site)
        own = terms.default_rate if terms.rate_of(domain) is None else None
        if gate is None:
            return Terms(terms.limits_of((domain,)), own, None, None, "closed", None)
        connections, rate = gate.site.shaped
        limits = terms.limits_of((domain,), gate.limits)
        return Terms(limits, own, connections, rate, gate.site.breaker.state.value, _until(gate))

    def _time_of(self, delivery: Delivery) -> tuple[float | None, float | None]:
        """
        Tell when its time is over, or how much of it is left while it stands still.
        """
        expiration = self.section.message_expiration
        if delivery.status not in LIVE:
            return None, None
        if delivery.status is Status.HELD:
            age = 0.0 if delivery.held_since is None else max(0.0, delivery.held_since - delivery.received)
            return None, max(0.0, expiration - age)
        expires = self._freezing.begun(delivery) + expiration
        if self._freezing.since(delivery.domain) is not None:
            return None, max(0.0, expires - self._clock.seconds())
        return expires, None


def _held(delivery: Delivery, now: float) -> str:
    """
    Tell who held it: an operator, who may have stopped its sender, or what stood in its way when it came.
    """
    if delivery.held_since is not None:
        return f"it was held {span(now - delivery.held_since)} ago"
    since = span(now - delivery.received)
    if delivery.last_error == HELD_FOR:
        return f"it was held when it came, {since} ago, as its sender was stopped"
    return f"it was held when it came, {since} ago, by a module ({delivery.last_error})"


def _not_due(delivery: Delivery) -> str:
    """
    Tell what it waits for: mail whose clocks begin with its first attempt is to be released then (RFC 4865).
    """
    if not delivery.attempts and delivery.next_attempt == delivery.received:
        return "its sender wants it released then"
    return "its next attempt is not due yet"


def _until(gate: Gate) -> float | None:
    breaker = gate.site.breaker
    return breaker.until if breaker.state.value == "open" else None
