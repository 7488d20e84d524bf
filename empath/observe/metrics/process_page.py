"""
The page's part about the process: the reactor's loop, threads, the garbage collector, what runs and since when.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from empath import __version__
from empath.observe.metrics.families import gauge, gauges, histogram, histograms
from empath.observe.metrics.gauges import PoolState, Readings


class ProcessPage:
    """
    Makes these families; of the process as such, prometheus_client's own.
    """

    def __init__(self) -> None:
        nowhere = CollectorRegistry()
        self._process = ProcessCollector(registry=nowhere)
        self._garbage = GCCollector(registry=nowhere)

    def families(self, readings: Readings) -> Iterator[Metric]:
        """
        Make them.
        """
        yield _info()
        yield from gauge("empath_start_time_seconds", "When empath started, since the epoch.", readings.started or None)
        if readings.loop_latency is not None:
            yield histogram(
                "empath_reactor_latency_seconds", "How late the loop came to what was due.", readings.loop_latency
            )
        yield from _pools(readings.pools)
        if readings.gc_pauses is not None:
            yield histograms(
                "empath_gc_pause_seconds", "Standstills for garbage collection.", "generation", readings.gc_pauses
            )
        yield from self._garbage.collect()
        yield from self._process.collect()


def _info() -> Metric:
    family = GaugeMetricFamily("empath_info", "1; what runs.", labels=("version", "python"))
    family.add_metric((__version__, platform.python_version()), 1)
    return family


def _pools(pools: Mapping[str, PoolState] | None) -> Iterator[Metric]:
    if pools is None:
        return
    for name, text, values in (
        ("max_threads", "Threads that a pool may have.", {name: each.threads for name, each in pools.items()}),
        ("busy_threads", "Threads of a pool that work.", {name: each.busy for name, each in pools.items()}),
        ("queue_size", "Calls that wait for a thread.", {name: each.waiting for name, each in pools.items()}),
    ):
        yield from gauges(f"empath_thread_pool_{name}", text, "pool", values)
