"""
Metric families from counts, as prometheus_client wants them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar, Sample

from empath.observe.metrics.counts import OTHER, Histogram, Histograms, Tally, snapshot


def share(part: int, whole: int) -> float:
    """
    Tell a part of a whole, 0.0 of nothing.
    """
    return part / whole if whole else 0.0


def capped(numbers: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """
    Give the greatest numbers, and the sum of the rest, and of what is called so, as "other".
    """
    ranked = sorted([pair for pair in numbers.items() if pair[0] != OTHER], key=lambda pair: -pair[1])
    rest = numbers.get(OTHER, 0) + sum(number for _, number in ranked[limit:])
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
    for value, number in snapshot(counted.by_label):
        family.add_metric((str(value),), number)
    return family


def histogram(name: str, text: str, counted: Histogram) -> Metric:
    """
    Make a histogram.
    """
    family = HistogramMetricFamily(name, text, labels=())
    add(family, {}, counted)
    return family


def histograms(name: str, text: str, label: str, counted: Histograms) -> Metric:
    """
    Make a histogram with one label.
    """
    family = HistogramMetricFamily(name, text, labels=(label,))
    for value, each in snapshot(counted.by_label):
        add(family, {label: value}, each)
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


def add(family: Metric, labels: dict[str, str], counted: Histogram) -> None:
    """
    Add a histogram under these labels.
    """
    family.samples += samples_of(family.name, labels, counted)


def samples_of(family: str, labels: dict[str, str], counted: Histogram) -> Iterator[Sample]:
    """
    Make the samples of a histogram with these labels. Only OpenMetrics shows its examples.
    """
    bucket, examples = f"{family}_bucket", counted.examples
    upto = list(accumulate(list(counted.counts)))
    for at, number in enumerate(upto):
        example = None if examples is None else examples.get(at)
        told = None if example is None else Exemplar({"trace_id": example.trace_id}, example.value, example.time)
        bound = str(counted.bounds[at]) if at < len(counted.bounds) else "+Inf"
        yield Sample(bucket, {**labels, "le": bound}, number, None, told)
    yield Sample(f"{family}_count", labels, upto[-1])
    yield Sample(f"{family}_sum", labels, counted.total)
