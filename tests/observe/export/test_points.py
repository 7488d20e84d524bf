"""
Requirements on metrics as they are pushed: a collector that writes them for Prometheus arrives at the page.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life
from empath.mail.message import Status
from empath.observe.export.points import metrics_of, name_of
from empath.observe.life import LifeEvents
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.totals import Metrics
from tests.observe import made
from tests.observe.metrics.test_totals import gauges
from tests.otlp_as_prometheus import Sample, samples_of

STARTED, NOW = 1_700_000_000.0, 1_700_000_060.5


def pushed(*families: Metric) -> list[Any]:
    """
    Make the metrics as a collector reads them.
    """
    scoped = ScopeMetrics(InstrumentationScope("empath"), list(metrics_of(families, STARTED, NOW)), "")
    request = encode_metrics(MetricsData([ResourceMetrics(Resource({}), [scoped], "")]))
    return [metric for of in request.resource_metrics for scope in of.scope_metrics for metric in scope.metrics]


def page_of(*families: Metric) -> list[Sample]:
    """
    Tell the samples as the page has them; when something began, OTLP tells otherwise.
    """
    return [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]


class NameTests(SynchronousTestCase):
    """
    What metrics are called.
    """

    def test_dots_stand_for_underscores_and_units_apart(self) -> None:
        names = {
            "empath_smtp_connections": ("empath.smtp.connections", ""),
            "empath_delivery_duration_seconds": ("empath.delivery.duration", "s"),
            "empath_smtp_message_size_bytes": ("empath.smtp.message.size", "By"),
            "process_cpu_seconds": ("process.cpu", "s"),
        }
        self.assertEqual({name: name_of(name) for name in names}, names)


class RoundTripTests(SynchronousTestCase):
    """
    What arrives at Prometheus through a collector.
    """

    def test_every_family_of_the_page_comes_back_name_by_name_and_value_by_value(self) -> None:
        events, metrics = LifeEvents(), Metrics(schema.Metrics())
        metrics.listen(events)
        events.emit(life.ConnectionOpened(made.session()))
        events.emit(life.ConnectionClosed(made.session(), 0.02, "timeout"))
        events.emit(life.MessageReceived(made.message(), made.session(), 0.1))
        events.emit(made.refused("550 5.1.1 no"))
        for status in (Status.COMPLETED, Status.RETRY, Status.FAILED):
            events.emit(made.attempt_ended(made.state(), status=status))
        metrics.command_took("RCPT", 0.004)
        exposition = Exposition(schema.Metrics(), metrics, gauges())
        families = list(exposition.families(exposition.read()))
        got = pushed(*families)
        self.assertEqual(Counter(samples_of(got)), Counter(page_of(*families)))
        self.assertEqual([name for name, times in Counter(metric.name for metric in got).items() if times > 1], [])

    def test_counters_grow_from_the_start_and_gauges_are_of_now(self) -> None:
        counter, gauge = pushed(CounterMetricFamily("a", "A.", value=3), GaugeMetricFamily("b", "B.", value=-1.5))
        self.assertTrue(counter.sum.is_monotonic)
        self.assertEqual(counter.sum.aggregation_temporality, 2)  # cumulative
        [point] = counter.sum.data_points
        times = point.start_time_unix_nano, point.time_unix_nano
        self.assertEqual(times, (1_700_000_000_000_000_000, 1_700_000_060_500_000_000))
        self.assertEqual((counter.description, gauge.description), ("A.", "B."))

    def test_nothing_ends_before_it_begins_where_the_clock_was_put_back(self) -> None:
        for metric in metrics_of([CounterMetricFamily("a", "A.", value=3)], NOW, STARTED):
            [point] = metric.data.data_points
            assert isinstance(point, NumberDataPoint)
            self.assertEqual((point.start_time_unix_nano, point.time_unix_nano), (int(STARTED) * 10**9,) * 2)

    def test_histograms_have_a_number_for_each_bucket(self) -> None:
        family = HistogramMetricFamily("h_seconds", "H.", labels=("verb",))
        family.add_metric(("RCPT",), [("0.5", 2), ("1.0", 2), ("+Inf", 7)], 12.5)
        family.add_metric(("DATA",), [("0.5", 0), ("1.0", 1), ("+Inf", 1)], 0.75)
        [metric] = pushed(family)
        first, second = metric.histogram.data_points
        self.assertEqual(list(first.explicit_bounds), [0.5, 1.0])
        self.assertEqual((list(first.bucket_counts), first.count, first.sum), ([2, 0, 5], 7, 12.5))
        self.assertEqual((list(second.bucket_counts), second.count), ([0, 1, 0], 1))
        self.assertFalse(first.HasField("min") or first.HasField("max"))

    def test_examples_name_their_trace(self) -> None:
        family = HistogramMetricFamily("h_seconds", "H.", labels=())
        example = Exemplar({"trace_id": "ab" * 16}, 0.25, 1_700_000_001.0)
        family.add_metric((), [("0.5", 2, example), ("+Inf", 2, None)], 12.5)  # type: ignore[list-item]
        [metric] = pushed(family)
        [got] = metric.histogram.data_points[0].exemplars
        self.assertEqual((got.trace_id.hex(), got.as_double), ("ab" * 16, 0.25))
        self.assertEqual(got.time_unix_nano, 1_700_000_001_000_000_000)

    def test_a_family_without_samples_is_left_out(self) -> None:
        self.assertEqual(pushed(CounterMetricFamily("a", "A.", labels=("code",))), [])
