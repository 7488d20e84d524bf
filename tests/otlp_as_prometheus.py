"""
Metrics of OTLP as a collector writes them for Prometheus: OpenTelemetry's "Prometheus and OpenMetrics Compatibility",
from OTLP to Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

UNITS: Final = {"s": "seconds", "By": "bytes", "": ""}
Sample = tuple[str, tuple[tuple[str, str], ...], float]


def samples_of(metrics: Iterable[Any]) -> Iterator[Sample]:
    """
    Tell the name, the labels and the value of every sample.
    """
    for metric in metrics:
        name = re.sub("_+", "_", re.sub("[^a-zA-Z0-9_:]", "_", metric.name))
        unit = UNITS[metric.unit]
        if unit and not name.endswith(f"_{unit}"):
            name += f"_{unit}"
        kind = metric.WhichOneof("data")
        if kind == "histogram":
            yield from _histogram(name, metric.histogram)
        else:
            data = getattr(metric, kind)
            if kind == "sum" and data.is_monotonic:
                name += "_total"
            for point in data.data_points:
                yield name, _labels(point), getattr(point, point.WhichOneof("value"))


def _histogram(name: str, histogram: Any) -> Iterator[Sample]:
    for point in histogram.data_points:
        bounds = [*map(str, point.explicit_bounds), "+Inf"]
        for bound, upto in zip(bounds, accumulate(point.bucket_counts), strict=True):
            yield f"{name}_bucket", _labels(point, le=bound), upto
        yield f"{name}_count", _labels(point), point.count
        yield f"{name}_sum", _labels(point), point.sum


def _labels(point: Any, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted([*((each.key, each.value.string_value) for each in point.attributes), *more.items()]))
