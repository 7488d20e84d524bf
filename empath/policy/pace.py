"""
How fast a site gets its mail that asks for less: concurrency and rate fall when it does, and rise again gradually.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from empath.policy.curve import Curve
from empath.policy.meter import Meter
from empath.policy.rate import INSTANT

SLOWEST: Final = 1.0 / 60.0  # attempts a second: a site that refuses everything is still asked once a minute
DEEPEST: Final = 256.0  # and no less often than this part of what it took
SLACK: Final = 0.05  # seconds by which attempts may be late without being lost
ROUND: Final = 1.0  # seconds that a change has at least to show what it does
GENTLE: Final = 0.9  # what is left of a rate that was nearly right
GENTLER: Final = 0.95  # the same where this share of the attempts did well, and so many at a time are no trouble
WELL: Final = 0.9
LOST: Final = 0.7  # what is left after connections failed
FEW: Final = 10  # connections fail for many reasons: one in so many means nothing
UNKNOWN: Final = 1.0  # the rate, in attempts a second, of a site that never took anything
PATIENT: Final = 4.0  # for how many intervals without mail a limit is still on trial
FORGOTTEN: Final = 3600.0  # seconds without complaint after which nothing is left
LONGEST: Final = 86400.0  # seconds of a pause


class Pace:
    """
    Nothing at first: the site gets all there is. When it asks for less, attempts a second and at a time fall to nine
    tenths of what it took lately, and climb again as it takes mail (see `Curve`). While it takes nothing at all, they
    fall by half or more each time, and what it used to take is remembered.

    Answers to attempts that were under way at the last change say nothing about it: as many as there were, the next
    ones do not count, nor those within a second.
    """

    __slots__ = ("_changed", "_connections", "_late", "_meter", "_most", "_next", "_paused", "_rate", "_risen")

    def __init__(self) -> None:
        self._meter = Meter()
        self._rate: Curve | None = None
        self._connections: Curve | None = None
        self._changed = self._risen = 0.0  # when they last fell; until when they have risen
        self._most = 0  # attempts in flight at a time since then
        self._late = 0  # answers still to come of what began before the change
        self._next = 0.0  # when the next attempt may begin
        self._paused = 0.0

    @property
    def connections(self) -> int | None:
        """
        How many attempts may be in flight, at least 1; None: shaping does not limit them.
        """
        return None if self._connections is None else max(1, int(self._connections.value))

    @property
    def rate(self) -> float | None:
        """
        How many attempts may begin in a second; None: shaping does not limit them.
        """
        return None if self._rate is None else self._rate.value

    @property
    def limits(self) -> bool:
        """
        Whether there is anything to be held back by.
        """
        return self._connections is not None or self._paused > 0.0

    def paused(self, now: float) -> float | None:
        """
        Tell until when nothing may begin; None if something may.
        """
        return self._paused if now < self._paused else None

    def wait(self, now: float) -> float:
        """
        Tell in how many seconds the next attempt may begin, 0.0 if now.
        """
        if now < self._paused:
            return self._paused - now
        if self._rate is None:
            return 0.0
        interval = 1.0 / self._rate.value
        if self._next - now > interval:  # the rate rose meanwhile, or the clock was set back
            self._next = now + interval
        wait = self._next - now
        return wait if wait > INSTANT else 0.0

    def take(self, now: float, in_flight: int) -> None:
        """
        Count that one began; `in_flight` with it.
        """
        self._most = max(self._most, in_flight)
        if self._rate is not None:
            self._next = max(min(self._next, now + 1.0), now - SLACK) + 1.0 / self._rate.value

    def accepted(self, now: float) -> bool:
        """
        Count that the site took mail; True if shaping ends by it.
        """
        self._meter.took(now)
        if self._connections is None:
            return False
        self._late -= 1
        return self._climb(now)

    def ended(self) -> None:
        """
        Count that an attempt ended that says nothing about the site.
        """
        self._late -= 1

    def slow_down(self, now: float, in_flight: int, pause: float) -> bool:
        """
        Count that the site asked for less; `in_flight` with the attempt that it asked in. With a `pause` it gets
        nothing for so many seconds. True if anything changed.
        """
        self._meter.refused(now)
        if pause > 0.0:
            return self._stop(now, in_flight, pause)
        if not self._new(now):
            return False
        measured = self._meter.rate(now)
        share = self._meter.share
        if measured is not None:
            top = measured if self._rate is None else self._measured(measured, self._rate)
            rates = (top, top * (GENTLER if share > WELL else GENTLE))
        else:
            rates = self._closed(0.5 if self._meter.refusals < 4 else 0.25)
        self._fall(now, in_flight, rates, 1.0 if share > WELL else min(0.85, max(0.5, share)))
        return True

    def unreachable(self, now: float, in_flight: int) -> bool:
        """
        Count that a session or a host failed. True if anything changed.
        """
        self._meter.refused(now)
        if not self._new(now) or self._meter.share > 1.0 - 1.0 / FEW:
            return False
        measured = self._meter.rate(now)
        if self._rate is None and measured is None:
            self._fall(now, in_flight, None, 0.5)
        elif self._rate is None and measured is not None:
            self._fall(now, in_flight, (measured, measured * LOST), 0.5)
        else:
            self._fall(now, in_flight, self._closed(LOST), 0.5)
        return True

    def dump(self) -> dict[str, Any] | None:
        """
        Write down what has to survive a restart; None if there is nothing.
        """
        if self._connections is None:
            return None
        kept: dict[str, Any] = {"changed": self._changed, "paused": self._paused}
        kept["connections"] = [self._connections.top, self._connections.value]
        if self._rate is not None:
            kept["rate"] = [self._rate.top, self._rate.value]
        return kept

    def restore(self, kept: dict[str, Any], now: float) -> None:
        """
        Take up what `dump` wrote, unless it is too old; nonsense is ignored.
        """
        changed, connections = _number(kept.get("changed")), _pair(kept.get("connections"))
        if changed is None or connections is None or now - changed >= FORGOTTEN:
            return
        rate = _pair(kept.get("rate"))
        self._rate = rate and Curve(*rate, rate[0])
        self._connections = Curve(*connections, rate[0] if rate else 1.0)
        self._changed = self._risen = min(now, changed)
        self._paused = min(_number(kept.get("paused")) or 0.0, now + LONGEST)

    def forget(self) -> None:
        """
        Begin anew.
        """
        self._rate = self._connections = None
        self._paused = 0.0

    def _new(self, now: float) -> bool:
        """
        Tell whether this answer is one to what last changed.
        """
        if self._connections is None:
            return True
        self._late -= 1
        return self._late < 0 and not 0.0 <= now - self._changed < ROUND

    def _climb(self, now: float) -> bool:
        """
        Rise for the time in which the site got mail; True if no limit is left.
        """
        assert self._connections is not None
        rate = self._rate
        passed = max(0.0, min(now - self._risen, PATIENT / rate.value if rate is not None else PATIENT))
        self._risen = now
        self._connections.climb(passed)
        if rate is not None:
            rate.climb(passed)
        if not (rate or self._connections).lifted and now - self._changed < FORGOTTEN:
            return False
        self.forget()
        return True

    def _measured(self, measured: float, rate: Curve) -> float:
        """
        Tell at which rate the trouble begins: at what the site took, within bounds, as little of it is measured. While
        the rate still doubles, what it took lags behind.
        """
        return max(min(measured, rate.value), rate.value * (0.75 if rate.searching else 0.25))

    def _closed(self, left: float) -> tuple[float, float]:
        """
        Tell the rates, that to come back to and that for now, of a site that takes nothing.
        """
        if self._rate is None:
            return UNKNOWN, UNKNOWN * left
        return self._rate.top, max(self._rate.value * left, self._rate.top / DEEPEST)

    def _stop(self, now: float, in_flight: int, pause: float) -> bool:
        """
        Do nothing for a while, and then begin with little.
        """
        until = now + min(pause, LONGEST)
        if until <= self._paused + ROUND:
            return False
        measured = self._meter.rate(now)
        top = self._rate.top if self._rate is not None else measured or UNKNOWN
        self._fall(now, in_flight, (top, top / FEW), 0.0)
        self._paused = self._risen = self._next = until
        return True

    def _fall(self, now: float, in_flight: int, rates: tuple[float, float] | None, share: float) -> None:
        """
        Fall to the second of two rates, with the first to come back to, and to a share of the attempts at a time that
        there were; a share of 1 leaves what is allowed as it is.
        """
        if rates is not None:
            top = max(SLOWEST, rates[0])
            self._rate = Curve(top, max(SLOWEST, rates[1]), top, searching=self._rate is None)
            self._next = max(now, min(self._next, now + 1.0 / self._rate.value))
        most = float(max(1, in_flight, self._most))
        if self._connections is not None:
            most = self._connections.value if share == 1.0 else max(1.0, min(most, self._connections.value))
        low = max(1.0, float(int(most * share)))
        self._connections = Curve(most, low, rates[0] if rates else 1.0, searching=self._connections is None)
        self._changed = self._risen = now
        self._late = in_flight - 1
        self._most = in_flight
        self._meter.begin(now)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _pair(value: object) -> tuple[float, float] | None:
    """
    Read a top and a value, both positive.
    """
    match value:
        case [int() | float() as top, int() | float() as low] if (
            isfinite(top) and isfinite(low) and low > 0 and top > 0
        ):
            return float(top), float(low)
        case _:
            return None
