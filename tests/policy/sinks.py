"""
Sites for tests of shaping: they take so much and refuse the rest, in a time of their own.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from math import inf

import attrs

from empath.policy.shaping import Told
from empath.policy.site import Change, Limits, Site

Takes = Callable[[float, int], bool]  # asked at the time of an attempt, with how many are in flight; True: taken


def at_rate(limit: float, burst: float, lifted: float = inf) -> Takes:
    """
    Take so many a second and a burst, as a token bucket does; everything from `lifted` on.
    """
    level, then = burst, 0.0

    def takes(now: float, _: int) -> bool:
        nonlocal level, then
        level, then = min(burst, level + (now - then) * limit), now
        taken = level >= 1.0 or now >= lifted
        level -= taken
        return taken

    return takes


def in_windows(count: int, seconds: float) -> Takes:
    """
    Take so many in each window, and no more until the next one.
    """
    begun, taken = 0.0, 0

    def takes(now: float, _: int) -> bool:
        nonlocal begun, taken
        if now - begun >= seconds:
            begun, taken = now - now % seconds, 0
        taken += 1
        return taken <= count

    return takes


def at_a_time(most: int, lifted: float = inf) -> Takes:
    """
    Take so many at the same time.
    """
    return lambda now, in_flight: in_flight <= most or now >= lifted


@attrs.define(slots=True)
class Run:
    """
    An endless queue at a site: `seconds` of it, each attempt taking about `latency`, at most `fastest` begun a second.
    """

    takes: Takes
    seconds: float
    latency: float = 0.01
    fastest: float = 1000.0
    slots: int = 100
    told: Told = Told.SLOW_DOWN
    taken: list[float] = attrs.field(factory=list)
    refused: list[float] = attrs.field(factory=list)
    changes: list[tuple[float, Change]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        site, chance = Site("mx.example.org", Limits(max_connections=self.slots)), random.Random(4)
        under_way: list[tuple[float, bool]] = []
        now = free = 0.0
        good = 0
        while now < self.seconds:
            hold = site.hold(now)
            if hold is None and now >= free:
                free = now + 1.0 / self.fastest
                self._changed(now, site.begin(now))
                taken = self.takes(now, good + 1)
                good += taken
                heapq.heappush(under_way, (now + self.latency * chance.uniform(0.85, 1.15), taken))
                continue
            due = free if hold is None else inf if hold.until is None else hold.until + 0.0005
            now = min(due, under_way[0][0] if under_way else inf)
            if now < due:
                good -= self._end(site, *heapq.heappop(under_way))

    def rates(self, begin: float, end: float, step: float) -> list[float]:
        """
        Tell how many a second were taken in each step of a span.
        """
        counts = [0] * round((end - begin) / step)
        for then in self.taken:
            if begin <= then < end:
                counts[min(len(counts) - 1, int((then - begin) / step))] += 1
        return [count / step for count in counts]

    def _end(self, site: Site, now: float, taken: bool) -> bool:
        (self.taken if taken else self.refused).append(now)
        if taken:
            self._changed(now, site.ended(now, Told.ACCEPTED))
        else:
            self._changed(now, site.ended(now, self.told, 0.0, "421 too much"))
        return taken

    def _changed(self, now: float, changes: tuple[Change, ...]) -> None:
        self.changes += [(now, change) for change in changes]
