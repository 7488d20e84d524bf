"""
Metric families from counts, as prometheus_client wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar

from empath.observe.counts import OTHER, Example, Histogram, Histograms, Tally


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


def gauges(name: str, text: str, label: str, values: Mapping[str, float] | None) -> tuple[Metric, ...]:
    """
    Make a gauge with one label of what was read, if it could be.
    """
    if values is None:
        return ()
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return (family,)


def add(family: HistogramMetricFamily, labels: tuple[str, ...], counted: Histogram) -> None:
    """
    Add a histogram under these labels. Only OpenMetrics shows its examples.
    """
    bounds = (*(str(bound) for bound in counted.bounds), "+Inf")
    examples = dict(counted.examples or {})
    upto = accumulate(list(counted.counts))
    buckets = [_bucket(*pair, examples.get(at)) for at, pair in enumerate(zip(bounds, upto, strict=True))]
    family.add_metric(labels, buckets, counted.total)


def _bucket(bound: str, number: int, example: Example | None) -> tuple[str, float] | tuple[str, float, Exemplar]:
    if example is None:
        return bound, number
    return bound, number, Exemplar({"trace_id": example.trace_id}, example.value, example.time)
