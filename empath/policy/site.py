"""
A site, a set of MX hosts: what it may get at a time, and how it fares.
"""

from __future__ import annotations

import json
from math import inf, isinf
from typing import Any

import attrs

from empath.policy.breaker import Breaker, State
from empath.policy.hold import Hold, Why
from empath.policy.pace import Pace
from empath.policy.rate import Bucket
from empath.policy.shaping import Told


@attrs.frozen(slots=True)
class Limits:
    """
    What the operator allows a site: `max_connections` at a time (None: no limit), `count` attempts in `seconds` (0: no
    limit) and `burst` of them at once; when its breaker opens, and for how long; whether it is shaped.
    """

    max_connections: int | None = None
    count: int = 0
    seconds: float = 1.0
    burst: int = 1
    threshold: int = 5
    window: float = 60.0
    timeout: float = 300.0
    half_open: int = 3
    shaping: bool = True


@attrs.frozen(slots=True)
class BreakerChange:
    """
    The breaker is now in another state; `detail` says why, in one clause.
    """

    state: State
    detail: str


@attrs.frozen(slots=True)
class PaceChange:
    """
    The site gets so many attempts at a time and a second (None: shaping limits nothing) because of `detail`.
    """

    connections: int | None
    rate: float | None
    detail: str


Change = BreakerChange | PaceChange


class Site:
    """
    One site: `name` for people, `in_flight` attempts that have begun and not ended.

    Ask `hold` before an attempt, tell `begin` and `ended`. Times are seconds since the epoch.
    """

    __slots__ = ("_bucket", "_calm", "_most", "_pace", "_shaping", "breaker", "in_flight", "name")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.in_flight = 0
        self._bucket = Bucket(limits.count, limits.seconds, limits.burst)
        self.breaker = Breaker(limits.threshold, limits.window, limits.timeout, limits.half_open)
        self._pace = Pace()
        self._shaping = limits.shaping
        self._most = inf if limits.max_connections is None else limits.max_connections
        self._settle()

    @property
    def failing(self) -> bool:
        """
        Whether the site has failed since it last accepted something: mail may wait for it to recover.
        """
        return self.breaker.failing

    @property
    def shaped(self) -> tuple[int | None, float | None]:
        """
        How many attempts at a time, and a second, shaping allows now; None: any number.
        """
        return self._pace.connections, self._pace.rate

    def use(self, limits: Limits, now: float) -> None:
        """
        Change what it is allowed; how it fares stays.
        """
        self._bucket.set(limits.count, limits.seconds, limits.burst, now)
        self.breaker.use(limits.threshold, limits.window, limits.timeout, limits.half_open)
        self._most = inf if limits.max_connections is None else limits.max_connections
        self._shaping = limits.shaping
        if not limits.shaping:
            self._pace.forget()
        self._settle()

    def hold(self, now: float) -> Hold | None:
        """
        Tell what keeps an attempt from beginning, None if nothing does.
        """
        if self._calm:
            return None if self.in_flight < self._most else self._full()
        until = self.breaker.hold(now, self.in_flight)
        if until is not None:
            return self._broken(until)
        if self.in_flight >= self._most:
            return self._full()
        return self._shaped(now) or self._limited(now)

    def rate_wait(self, now: float, before: int) -> float:
        """
        Tell for how many seconds the rate limit alone keeps an attempt that has so many before it.
        """
        return self._bucket.wait(now, before)

    def begin(self, now: float) -> tuple[Change, ...]:
        """
        Count an attempt that begins; tell what changes by it.
        """
        self.in_flight += 1
        if self._calm:
            return ()
        self._bucket.take(now)
        self._pace.take(now, self.in_flight)
        if not self.breaker.begun(now):
            return ()
        return (BreakerChange(State.HALF_OPEN, f"its time is over, {self.name} is tried again"),)

    def ended(self, now: float, told: Told, pause: float = 0.0, reason: str = "") -> tuple[Change, ...]:
        """
        Count an attempt that ended, by what it told of the site (see `Patterns.judge`); tell what changes by it.
        """
        in_flight = self.in_flight
        self.in_flight = in_flight - 1
        if told is Told.ACCEPTED:
            if self._calm:
                self._pace.accepted(now)
                return ()
            return self._accepted(now)
        if told is Told.NOTHING or told is Told.ANSWERED:
            self._pace.ended()
            return self._answered(now) if told is Told.ANSWERED else ()
        if told is Told.SLOW_DOWN and self._shaping:
            changes = self._slowed(now, in_flight, pause, reason)
        else:
            changes = self._failed(now, in_flight, reason)
        self._settle()
        return changes

    def reset(self, now: float) -> tuple[Change, ...]:
        """
        Close the breaker and end the shaping, as an operator asks for it; tell what changes by it.
        """
        was, shaped = self.breaker.state, self._pace.limits
        self.breaker.reset(now)
        self._pace.forget()
        self._settle()
        why = "an operator reset it"
        changes: tuple[Change, ...] = () if was is State.CLOSED else (BreakerChange(State.CLOSED, why),)
        return (*changes, PaceChange(None, None, why)) if shaped else changes

    def dump(self) -> str | None:
        """
        Write down, as JSON, what has to survive a restart; None if there is nothing.
        """
        kept = {"breaker": self.breaker.dump(), "pace": self._pace.dump()}
        return json.dumps(kept) if any(kept.values()) else None

    def restore(self, text: str, now: float) -> None:
        """
        Take up what `dump` wrote; nonsense is ignored.
        """
        try:
            kept: Any = json.loads(text)
        except ValueError:
            return
        if not isinstance(kept, dict):
            return
        if isinstance(breaker := kept.get("breaker"), dict):
            self.breaker.restore(breaker, now)
        if self._shaping and isinstance(pace := kept.get("pace"), dict):
            self._pace.restore(pace, now)
        self._settle()

    def _settle(self) -> None:
        """
        Note whether nothing but the number of connections limits it, and it did not fail lately: the usual case, which
        has to cost nothing.
        """
        self._calm = not (self._bucket.limited or self._pace.limits or self.breaker.failing)

    def _slowed(self, now: float, in_flight: int, pause: float, reason: str) -> tuple[Change, ...]:
        if not self._pace.slow_down(now, in_flight, pause):
            return ()
        return (PaceChange(*self.shaped, f"{reason}; nothing for {pause:g} s" if pause else reason),)

    def _failed(self, now: float, in_flight: int, reason: str) -> tuple[Change, ...]:
        """
        Count a failure. That a site which has the least already gets no more is no news.
        """
        changes: tuple[Change, ...] = ()
        if self.breaker.failed(now):
            changes = (BreakerChange(State.OPEN, f"{reason}; its mail waits for {self.breaker.until - now:g} s"),)
        before = self.shaped
        if self._shaping and self._pace.unreachable(now, in_flight) and self.shaped != before:
            return (*changes, PaceChange(*self.shaped, reason))
        return changes

    def _accepted(self, now: float) -> tuple[Change, ...]:
        recovered, lifted = self.breaker.succeeded(now), self._pace.accepted(now)
        self._settle()
        changes: tuple[Change, ...] = ()
        if recovered:
            changes = (BreakerChange(State.CLOSED, f"{self.name} accepts mail again"),)
        return (*changes, PaceChange(None, None, f"{self.name} takes all there is")) if lifted else changes

    def _answered(self, now: float) -> tuple[Change, ...]:
        """
        Have mail flow again to a site that was tried and has a verdict of its own on what it was given.
        """
        if self.breaker.state is not State.HALF_OPEN:
            return ()
        self.breaker.succeeded(now)
        self._settle()
        return (BreakerChange(State.CLOSED, f"{self.name} answers again"),)

    def _full(self) -> Hold:
        detail = f"{self.in_flight} of {self._most:g} connections to {self.name} are in use"
        return Hold(Why.CONNECTIONS, None, detail)

    def _broken(self, until: float) -> Hold:
        if isinf(until):
            detail = f"{self.name} failed, and is tried with {self.in_flight} at a time until it works"
            return Hold(Why.BREAKER, None, detail)
        return Hold(Why.BREAKER, until, f"{self.name} failed again and again, its circuit breaker is open")

    def _shaped(self, now: float) -> Hold | None:
        most, rate = self.shaped
        if (until := self._pace.paused(now)) is not None:
            return Hold(Why.SHAPED, until, f"{self.name} asked for a pause")
        if most is not None and self.in_flight >= most:
            return Hold(Why.SHAPED, None, f"{self.name} asked for less: {self.in_flight} of {most} connections")
        wait = self._pace.wait(now)
        return Hold(Why.SHAPED, now + wait, f"{self.name} asked for less: {rate:.3g} a second") if wait else None

    def _limited(self, now: float) -> Hold | None:
        wait = self._bucket.wait(now)
        return (
            Hold(Why.RATE, now + wait, f"the rate limit of {self.name}, {self._bucket.written}, is used up")
            if wait
            else None
        )
