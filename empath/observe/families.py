"""
Metric families from counts, as prometheus_client wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from empath.observe.counts import OTHER, Histogram, Histograms, Tally


def share(part: int, whole: int) -> float:
    """
    Tell a part of a whole, 0.0 of nothing.
    """
    return part / whole if whole else 0.0


def capped(numbers: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """
    Give the greatest numbers, and the sum of the rest as "other".
    """
    ranked = sorted(numbers.items(), key=lambda pair: -pair[1])
    rest = sum(number for _, number in ranked[limit:])
    return ranked[:limit] + ([(OTHER, rest)] if rest else [])


def counter(name: str, text: str, value: int) -> Metric:
    """
    Make a counter.
    """
    return CounterMetricFamily(name, text, value=value)


def read(name: str, text: str, value: int | None) -> tuple[Metric, ...]:
    """
    Make a counter of what was read, if it could be.
    """
    return () if value is None else (counter(name, text, value),)


def gauge(name: str, text: str, value: float | None) -> tuple[Metric, ...]:
    """
    Make a gauge of what was read, if it could be.
    """
    return () if value is None else (GaugeMetricFamily(name, text, value=value),)


def tally(name: str, text: str, label: str, counted: Tally) -> Metric:
    """
    Make a counter with one label.
    """
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, number in list(counted.by_label.items()):
        family.add_metric((str(value),), number)
    return family


def histogram(name: str, text: str, counted: Histogram) -> Metric:
    """
    Make a histogram.
    """
    family = HistogramMetricFamily(name, text, labels=())
    add(family, (), counted)
    return family


def histograms(name: str, text: str, label: str, counted: Histograms) -> Metric:
    """
    Make a histogram with one label.
    """
    family = HistogramMetricFamily(name, text, labels=(label,))
    for value, each in list(counted.by_label.items()):
        add(family, (value,), each)
    return family


def add(family: HistogramMetricFamily, labels: tuple[str, ...], counted: Histogram) -> None:
    """
    Add a histogram under these labels.
    """
    upto = accumulate(list(counted.counts))
    bounds = (*(str(bound) for bound in counted.bounds), "+Inf")
    family.add_metric(labels, list(zip(bounds, upto, strict=True)), counted.total)
