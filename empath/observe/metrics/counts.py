"""
What counting costs nothing to: plain integers in slotted objects, turned into samples only when somebody asks (P7).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import attrs

OTHER: Final = "other"

K = TypeVar("K")
V = TypeVar("V")

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ATTEMPT_DURATIONS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
AGES: Final = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 172800.0, 432000.0)
SIZES: Final = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 5242880.0, 10485760.0, 26214400.0, 104857600.0)
BATCHES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
COMMITS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
PAUSES: Final = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
RETRIES: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)


def snapshot(counted: Mapping[K, V]) -> list[tuple[K, V]]:
    """
    List what a dictionary has, in a thread beside the one that adds to it. A copy is made in one go; while items are
    listed, garbage may be collected, which lets the other thread in.
    """
    return list(dict(counted).items())


@attrs.frozen(slots=True)
class Example:
    """
    One value that was counted, at `time` (seconds since the epoch), and the trace that tells more of it.
    """

    value: float
    trace_id: str
    time: float


class Histogram:
    """
    How many values fell at or below each of `bounds` (ascending), and their sum; values below zero, from a clock that
    was set back, count as zero, so that the sum never falls. `examples` are the latest by bucket, None without any.
    """

    __slots__ = ("bounds", "counts", "examples", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.examples: dict[int, Example] | None = None

    def observe(self, value: float) -> None:
        """
        Count one value.
        """
        self.counts[bisect_left(self.bounds, value)] += 1
        if value > 0.0:
            self.total += value

    def observe_traced(self, value: float, trace_id: str, now: float) -> None:
        """
        Count one value of what is traced, and keep it as the example of its bucket.
        """
        self.observe(value)
        if self.examples is None:
            self.examples = {}
        self.examples[bisect_left(self.bounds, value)] = Example(max(0.0, value), trace_id, now)


class DomainCounts:
    """
    What became of the attempts at one destination domain; how long limits delayed them, None if they never did; how
    often the circuit breaker of its site was opened and closed by its mail.
    """

    __slots__ = ("completed", "delays", "duration", "expired", "failed", "recoveries", "retries", "retry", "trips")

    def __init__(self) -> None:
        self.completed = self.retry = self.failed = self.expired = self.trips = self.recoveries = 0
        self.duration = Histogram(ATTEMPT_DURATIONS)
        self.retries = Histogram(RETRIES)
        self.delays: Histogram | None = None


class Domains:
    """
    The counts by destination domain: the first `limit` domains, and those of `always`, keep their own; the rest is
    counted together as "other", so that no sender can make the page grow without end.
    """

    __slots__ = ("_always", "_limit", "_own", "_plain", "other")

    def __init__(self, limit: int, always: tuple[str, ...]) -> None:
        self._own: dict[str, DomainCounts] = {}
        self._plain = 0
        self.other = DomainCounts()
        self.configure(limit, always)

    def configure(self, limit: int, always: tuple[str, ...]) -> None:
        """
        Apply these to domains not seen yet; a counter that has a label keeps it.
        """
        self._limit = limit
        self._always = frozenset(name.lower() for name in always)

    def __len__(self) -> int:
        return len(self._own)

    def of(self, domain: str) -> DomainCounts:
        """
        Find the counts for a domain (in lower case).
        """
        return self._own.get(domain) or self._admit(domain)

    def __contains__(self, domain: str) -> bool:
        """
        Tell whether a domain has a label of its own.
        """
        return domain in self._own

    def items(self) -> list[tuple[str, DomainCounts]]:
        """
        List every label with its counts; "other" comes last and is always there. In any thread: see `snapshot`.
        """
        return [*snapshot(self._own), (OTHER, self.other)]

    def _admit(self, domain: str) -> DomainCounts:
        if domain == OTHER:
            return self.other
        if domain not in self._always:
            if self._plain >= self._limit:
                return self.other
            self._plain += 1
        self._own[domain] = counts = DomainCounts()
        return counts


class Tally:
    """
    Counts by one label of few values, such as a reply code; past `limit` values the rest is "other". Those that are
    `known` beforehand are told as 0 from the start, so that the first one counted is seen to rise.
    """

    __slots__ = ("_limit", "by_label")

    def __init__(self, limit: int = 100, known: Iterable[str] = ()) -> None:
        self._limit = limit
        self.by_label: dict[str | int, int] = dict.fromkeys(known, 0)

    def add(self, label: str | int, amount: int = 1) -> None:
        """
        Count one, or so many.
        """
        try:
            self.by_label[label] += amount
        except KeyError:
            if len(self.by_label) >= self._limit:
                label = OTHER
            self.by_label[label] = self.by_label.get(label, 0) + amount


class Histograms:
    """
    A histogram for each of few label values, those `known` beforehand among them; past `limit` values the rest is
    "other".
    """

    __slots__ = ("_bounds", "_limit", "by_label")

    def __init__(self, bounds: tuple[float, ...], limit: int = 100, known: Iterable[str] = ()) -> None:
        self._bounds = bounds
        self._limit = limit
        self.by_label = {label: Histogram(bounds) for label in known}

    def observe(self, label: str, value: float) -> None:
        """
        Count one value.
        """
        (self.by_label.get(label) or self._admit(label)).observe(value)

    def _admit(self, label: str) -> Histogram:
        if len(self.by_label) >= self._limit:
            label = OTHER
        return self.by_label.setdefault(label, Histogram(self._bounds))
