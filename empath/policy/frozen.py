"""
How long delivery stood still, and that this does not count: the clocks of retry and expiry go by what is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import attrs


@attrs.frozen(slots=True)
class Interval:
    """
    A time in which nothing is delivered, in seconds since the epoch; `until` is infinite while it lasts.
    """

    since: float
    until: float = inf


Intervals = tuple[Interval, ...]


def merged(intervals: Iterable[Interval]) -> Intervals:
    """
    Put intervals in their order, those that meet or overlap as one.
    """
    found: list[Interval] = []
    for each in sorted(intervals, key=lambda interval: interval.since):
        if each.until <= each.since:
            continue
        if found and each.since <= found[-1].until:
            found[-1] = Interval(found[-1].since, max(found[-1].until, each.until))
        else:
            found.append(each)
    return tuple(found)


def age(begin: float, end: float, intervals: Intervals) -> float:
    """
    Tell the seconds between two moments that lie in none of `intervals`, which are merged; below 0 where `begin` is
    still to come.
    """
    if end <= begin:
        return end - begin
    still = sum(max(0.0, min(each.until, end) - max(each.since, begin)) for each in intervals)
    return end - begin - still


def begin_of(seconds: float, end: float, intervals: Intervals) -> float:
    """
    Tell a moment from which to `end` as many seconds lie in none of `intervals`: the opposite of `age`.
    """
    begin = end
    for each in reversed(intervals):
        if each.since >= begin:
            continue
        passed = begin - min(each.until, begin)
        if seconds <= passed and begin > each.until:
            break
        seconds -= passed
        begin = each.since
    return begin - seconds


def recent(intervals: Intervals, others: Intervals, now: float, seconds: float) -> Intervals:
    """
    Leave out what ended so long ago that all mail which waited then is older than `seconds` by now, even if all
    `others` stood still for it.
    """
    return tuple(each for each in intervals if age(each.until, now, others) < seconds)
