"""
The last minutes second by second, in memory: what a fresh page draws at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from empath.mail import life
from empath.mail.message import Status
from empath.observe.life import LifeEvents

KEPT: Final = 600  # samples, one a second
BOUNDS: Final = tuple(round(0.001 * 10 ** (step / 6), 6) for step in range(49))  # seconds, 1 ms to 28 h, +47 % each


@attrs.frozen(slots=True)
class Totals:
    """
    Counts since the start: messages received, deliveries by what came of them, replies 4yz and 5yz that we gave.
    """

    received: int = 0
    delivered: int = 0
    deferred: int = 0
    failed: int = 0
    refused: int = 0


@attrs.frozen(slots=True)
class Levels:
    """
    How much there is now: deliveries due and waiting, attempts under way, sessions.
    """

    waiting: int
    attempts: int
    sessions: int


@attrs.frozen(slots=True)
class Sample:
    """
    One second: `time` of its end (since the epoch), each of `Totals` a second, the median and the 95th percentile of
    the attempts that ended in it and the latter of the ages of what was delivered (None without any), how late the
    loop was (all in seconds), and `Levels`.
    """

    time: float
    received: float
    delivered: float
    deferred: float
    failed: float
    refused: float
    p50: float | None
    p95: float | None
    age: float | None
    late: float
    waiting: int
    attempts: int
    sessions: int


class Spread:
    """
    How durations spread, in about six steps for each factor of ten.
    """

    __slots__ = ("counts", "many")

    def __init__(self) -> None:
        self.many = 0
        self.counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """
        Count one.
        """
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.many += 1

    def quantile(self, share: float) -> float | None:
        """
        Tell below which duration this share of them lies, None without any.
        """
        if not self.many:
            return None
        wanted, seen = share * self.many, 0
        for at, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                low = BOUNDS[at - 1] if at else 0.0
                high = BOUNDS[min(at, len(BOUNDS) - 1)]
                return max(low, low + (high - low) * (wanted - seen) / count)
            seen += count
        return BOUNDS[-1]


class Ring:
    """
    The latest samples; `totals` and `levels` tell how things stand now, from memory.
    """

    __slots__ = ("_ages", "_durations", "_ended", "_last", "_levels", "_totals", "samples")

    def __init__(self, totals: Callable[[], Totals], levels: Callable[[], Levels]) -> None:
        self._totals = totals
        self._levels = levels
        self._last = Totals()
        self._ended = 0.0
        self._durations = Spread()
        self._ages = Spread()
        self.samples: deque[Sample] = deque(maxlen=KEPT)

    def listen(self, events: LifeEvents) -> Callable[[], None]:
        """
        Subscribe to what ended, until what is returned is called.
        """
        return events.subscribe(life.AttemptEnded, self._attempted)

    def begin(self, now: float) -> None:
        """
        Count from now on.
        """
        self._last = self._totals()
        self._ended = now

    def success(self, since: float) -> float:
        """
        Tell which share of the deliveries that were attempted since then (seconds since the epoch) succeeded; 0.0 if
        there were none.
        """
        delivered = attempted = 0.0
        for sample in reversed(self.samples):
            if sample.time <= since:
                break
            delivered += sample.delivered
            attempted += sample.delivered + sample.deferred + sample.failed
        return delivered / attempted if attempted else 0.0

    def take(self, now: float, late: float) -> Sample | None:
        """
        Take the sample of the time since the last one, given how late this call came. None, and nothing is kept, if the
        clock was set back or stands still.
        """
        seconds, self._ended = now - self._ended, now
        last, self._last = self._last, self._totals()
        durations, ages = self._durations, self._ages
        if durations.many:
            self._durations, self._ages = Spread(), Spread()
        if seconds <= 0:
            return None
        levels, totals = self._levels(), self._last
        sample = Sample(
            time=now,
            received=_rate(totals.received, last.received, seconds),
            delivered=_rate(totals.delivered, last.delivered, seconds),
            deferred=_rate(totals.deferred, last.deferred, seconds),
            failed=_rate(totals.failed, last.failed, seconds),
            refused=_rate(totals.refused, last.refused, seconds),
            p50=durations.quantile(0.5),
            p95=durations.quantile(0.95),
            age=ages.quantile(0.95),
            late=late,
            waiting=levels.waiting,
            attempts=levels.attempts,
            sessions=levels.sessions,
        )
        self.samples.append(sample)
        return sample

    def _attempted(self, event: life.AttemptEnded) -> None:
        attempt = event.attempt
        self._durations.add(attempt.ended - attempt.started)
        if event.delivery.status is Status.COMPLETED:
            self._ages.add(attempt.ended - event.delivery.received)


def _rate(now: int, then: int, seconds: float) -> float:
    return max(0, now - then) / seconds
