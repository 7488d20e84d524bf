"""
The families of the metrics page as OpenTelemetry's metrics. This module needs the SDK: it is imported only where
metrics are pushed.

A name loses what OTLP says otherwise, so that a collector that writes it for Prometheus arrives at the name on the
page: dots for underscores, the unit apart (`s`, `By`), and no `_total`, as a sum that only grows tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics._internal.exemplar import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample

from empath import __version__
from empath.observe.export.attributes import attributes_of, nanoseconds
from empath.observe.export.collector import Sender
from empath.observe.export.destination import Destination
from empath.observe.export.sent import Sent

CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
UNITS: Final = {"_seconds": "s", "_bytes": "By"}
SCOPE: Final = "empath"


class MetricSender:
    """
    Sends metrics to a collector; they count since `started`.
    """

    def __init__(self, to: Destination, started: float) -> None:
        self._sender = Sender(to, "metrics", OTLPMetricExporter)
        self._scope = InstrumentationScope(SCOPE, __version__)
        self._started = started

    def __call__(self, families: Iterable[Family], now: float) -> Sent:
        """
        Send these, as they are `now`.
        """
        metrics = list(metrics_of(families, self._started, now))
        scoped = ScopeMetrics(self._scope, metrics, "")
        return self._sender.send(MetricsData([ResourceMetrics(self._sender.resource, [scoped], "")]))


def name_of(family: str) -> tuple[str, str]:
    """
    Tell the name and the unit of a family.
    """
    for suffix, unit in UNITS.items():
        if family.endswith(suffix):
            return family.removesuffix(suffix).replace("_", "."), unit
    return family.replace("_", "."), ""


def metrics_of(families: Iterable[Family], started: float, now: float) -> Iterator[Metric]:
    """
    Make OpenTelemetry's metrics of families, those without a sample left out.
    """
    times = nanoseconds(min(started, now)), nanoseconds(now)  # clocks are put back
    for family in families:
        name, unit = name_of(family.name)
        data: Any
        match family.type:
            case "histogram":
                data = Histogram(list(_histograms(family.samples, times)), CUMULATIVE)
            case "counter":
                counted = [each for each in family.samples if not each.name.endswith("_created")]
                data = Sum(list(_numbers(counted, times)), CUMULATIVE, True)
            case _:
                data = Gauge(list(_numbers(family.samples, times)))
        if data.data_points:
            yield Metric(name, family.documentation, unit, data)


def _numbers(samples: Iterable[Sample], times: tuple[int, int]) -> Iterator[NumberDataPoint]:
    for sample in samples:
        exemplars = list(_exemplars([sample]))
        yield NumberDataPoint(attributes_of(sample.labels), *times, sample.value, exemplars)


def _histograms(samples: Iterable[Sample], times: tuple[int, int]) -> Iterator[HistogramDataPoint]:
    """
    Put together the samples of each histogram.
    """
    grouped: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        grouped.setdefault(labels, []).append(sample)
    for labels, group in grouped.items():
        buckets = [each for each in group if each.name.endswith("_bucket")]
        upto = [int(each.value) for each in buckets]
        total = next((each.value for each in group if each.name.endswith("_sum")), 0.0)
        unknown: Any = None  # the greatest and the least are not kept
        yield HistogramDataPoint(
            attributes_of(dict(labels)),
            *times,
            count=upto[-1],
            sum=total,
            bucket_counts=[number - before for number, before in zip(upto, [0, *upto[:-1]], strict=True)],
            explicit_bounds=[float(each.labels["le"]) for each in buckets[:-1]],
            min=unknown,
            max=unknown,
            exemplars=list(_exemplars(buckets)),
        )


def _exemplars(samples: Iterable[Sample]) -> Iterator[Exemplar]:
    """
    Make examples of those that name a trace. A span of zeroes is none, but without any the trace would not be told.
    """
    for sample in samples:
        told = sample.exemplar
        if told is not None and "trace_id" in told.labels:
            span, trace = int(told.labels.get("span_id", "0"), 16), int(told.labels["trace_id"], 16)
            yield Exemplar({}, told.value, nanoseconds(float(told.timestamp or 0.0)), span, trace)
