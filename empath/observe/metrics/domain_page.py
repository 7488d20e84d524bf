"""
The page's part by destination domain: nearly all of it, with a thousand of them.

Its samples are made one by one as they are written: all at once they are tens of thousands of objects, which the
garbage collector would stop everything for. Whoever makes them gives way to the reactor's thread again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import sleep
from typing import Any, Final

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from empath.observe.metrics.counts import DomainCounts, Domains, Histogram
from empath.observe.metrics.families import samples_of

STATUSES: Final = ("completed", "retry", "failed", "expired")
AT_A_TIME: Final = 50  # samples, some 0.5 ms of work: a thread that waits for the interpreter gets it after 5 ms else
GIVE_WAY: Final = 0.00005  # seconds

Told = list[tuple[str, DomainCounts]]


class _Samples:
    """
    The samples of a family, made anew for whoever goes through them.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        for at, sample in enumerate(self._make(), 1):
            if not at % AT_A_TIME:
                sleep(GIVE_WAY)
            yield sample


def domain_families(domains: Domains) -> Iterator[Metric]:
    """
    Make the families, each when its turn comes.
    """
    told = domains.items()
    limited = [(name, each) for name, each in told if each.delays is not None]
    troubled = [(name, each) for name, each in told if each.trips or each.recoveries]
    name = "empath_delivery_attempts"
    yield _family(name, "Attempts by what became of them.", "counter", lambda: _attempts(f"{name}_total", told))
    yield _histograms("duration_seconds", "How long an attempt took.", told, lambda each: each.duration)
    yield _histograms(
        "retry_count", "Attempts after the first that it took to the end.", told, lambda each: each.retries
    )
    yield _counters("rate_limited", "Deliveries that a rate held back.", limited, _limited)
    yield _histograms("rate_limit_delay_seconds", "For how long.", limited, lambda each: each.delays)
    yield _counters("circuit_breaker_trips", "Times it opened.", troubled, lambda each: each.trips)
    yield _counters("circuit_breaker_recoveries", "Times it closed.", troubled, lambda each: each.recoveries)


def _limited(counted: DomainCounts) -> int:
    return 0 if counted.delays is None else sum(counted.delays.counts)


def _family(name: str, text: str, kind: str, make: Callable[[], Iterator[Sample]]) -> Metric:
    family = Metric(name, text, kind)
    samples: Any = _Samples(make)
    family.samples = samples
    return family


def _attempts(name: str, told: Told) -> Iterator[Sample]:
    for domain, counted in told:
        for status in STATUSES:
            yield Sample(name, {"status": status, "domain": domain}, getattr(counted, status))


def _counters(name: str, text: str, told: Told, value: Callable[[DomainCounts], int]) -> Metric:
    family = f"empath_delivery_{name}"
    return _family(
        family,
        text,
        "counter",
        lambda: (Sample(f"{family}_total", {"domain": domain}, value(counted)) for domain, counted in told),
    )


def _histograms(name: str, text: str, told: Told, of: Callable[[DomainCounts], Histogram | None]) -> Metric:
    family = f"empath_delivery_{name}"

    def make() -> Iterator[Sample]:
        for domain, counted in told:
            histogram = of(counted)
            if histogram is not None:
                yield from samples_of(family, {"domain": domain}, histogram)

    return _family(family, text, "histogram", make)
