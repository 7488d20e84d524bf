"""
The page's part about modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from empath.observe.metrics.counts import snapshot
from empath.observe.metrics.families import add
from empath.observe.metrics.modules import ModulesCounts

_HOOK = ("module", "hook")


def module_families(modules: ModulesCounts) -> Iterator[Metric]:
    """
    Make the families of all modules, by their names.
    """
    durations = HistogramMetricFamily("empath_module_duration_seconds", "How long a hook took.", labels=_HOOK)
    errors = CounterMetricFamily("empath_module_errors", "Calls of a hook that failed.", labels=_HOOK)
    verdicts = CounterMetricFamily("empath_module_verdicts", "What hooks said.", labels=(*_HOOK, "verdict"))
    breakers = GaugeMetricFamily(
        "empath_module_breaker_state", "0: asked, 1: not asked, 2: one call finds out.", labels=("module",)
    )
    events = CounterMetricFamily("empath_module_events", "What modules count themselves.", labels=("module", "event"))
    for module, counts in snapshot(modules.by_module):
        breakers.add_metric((module,), counts.breaker())
        for hook, seen in snapshot(counts.hooks):
            add(durations, {"module": module, "hook": hook}, seen.durations)
            errors.add_metric((module, hook), seen.errors)
            for verdict, number in snapshot(seen.verdicts):
                verdicts.add_metric((module, hook, verdict), number)
        for event, number in snapshot(counts.events.by_label):
            events.add_metric((module, str(event)), number)
    yield from (durations, errors, verdicts, breakers, events)
