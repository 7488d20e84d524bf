"""
Requirements on the whole page: it has what the contract and the reference promise, no more, and stays small.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life
from empath.mail.answer import Found
from empath.mail.message import Status
from empath.mail.stored import Space
from empath.observe.health import Findings
from empath.observe.life import LifeEvents
from empath.observe.metrics.counts import LATENCIES, PAUSES, Histogram, Histograms
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.gauges import Gauges, PoolState, Reloads
from empath.observe.metrics.totals import Metrics
from tests.observe import made
from tests.observe.metrics.test_totals import gauges
from tests.observe.shipped import documented

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
REFERENCE: Final = Path(__file__).parents[3] / "docs" / "observability.md"
CONTRACT: Final = """
empath_smtp_connections_total counter
empath_smtp_connections_active gauge
empath_smtp_errors_total{code} counter
empath_smtp_session_duration_seconds histogram
empath_smtp_command_duration_seconds{command} histogram
empath_smtp_messages_received_total counter
empath_smtp_message_size_bytes histogram
empath_smtp_connection_error_rate gauge
empath_delivery_attempts_total{status,domain} counter
empath_delivery_duration_seconds{domain} histogram
empath_delivery_messages_delivered_total counter
empath_delivery_messages_failed_total counter
empath_delivery_messages_retrying_total counter
empath_delivery_error_rate gauge
empath_delivery_success_rate gauge
empath_delivery_retry_count{domain} histogram
empath_delivery_queue_age_seconds histogram
empath_delivery_queue_size{status} gauge
empath_delivery_queue_oldest_seconds gauge
empath_delivery_connections_active{site} gauge
empath_delivery_rate_limited_total{domain} counter
empath_delivery_rate_limit_delay_seconds{domain} histogram
empath_delivery_circuit_breaker_trips_total{domain} counter
empath_delivery_circuit_breaker_recoveries_total{domain} counter
empath_delivery_circuit_breaker_state{domain} gauge
empath_delivery_domain_cardinality gauge
empath_dns_lookup_duration_seconds{query_type} histogram
empath_dns_lookups_total{query_type} counter
empath_dns_cache_hits_total counter
empath_dns_cache_misses_total counter
empath_dns_errors_total{error_type} counter
empath_dns_cache_evictions_total counter
empath_spool_commit_duration_seconds histogram
empath_spool_batch_size histogram
empath_spool_deletion_failures_total counter
empath_spool_orphans gauge
empath_module_duration_seconds{module,hook} histogram
empath_module_errors_total{module,hook} counter
""".strip().splitlines()
TRACED: Final = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
UNTRACED: Final = TRACED[:-1] + "0"
FOUND: Final = Findings(
    alive=True, ready=False, smtp_ready=True, spool_ready=True, delivery_ready=True, dns_ready=True, disk_ready=True,
    shutting_down=False, queue_size=12, max_queue_size=10,
)  # fmt: skip


def everything(**changes: object) -> Gauges:
    """
    Look at a service that has all there is to look at.
    """
    loop, pauses = Histogram(LATENCIES), Histograms(PAUSES, known=("0", "1", "2"))
    loop.observe(0.02)
    looked = {
        "circuits": lambda: (),
        "audit": lambda: dict.fromkeys(("records", "lost", "failures", "sink_lost", "waiting", "writable"), 0),
        "queue_waiting": lambda: 12,
        "queue_limit": lambda: 10,
        "space": lambda: Space(5000, 1000, 400, 40, 4),
        "findings": lambda: FOUND,
        "certificates": lambda: {("tcp:25", "/etc/cert.pem"): 2e9},
        "reloads": lambda: Reloads(2, 1, False, 1000.0),
        "export": lambda: {"traces": {"lost": 3, "sent": 9, "failures": 1, "waiting": 5}},
        "pools": lambda: {"files": PoolState(4, 3, 17)},
        "loop_latency": lambda: loop,
        "gc_pauses": lambda: pauses,
        "started": lambda: 1000.0,
    }
    return gauges(**{**looked, **changes})


class PageCase(SynchronousTestCase):
    section = schema.Metrics()

    def setUp(self) -> None:
        self.events = LifeEvents()
        self.metrics = Metrics(self.section)
        self.metrics.listen(self.events)
        self.gauges = everything()

    def text(self, accept: str = "") -> str:
        exposition = Exposition(self.section, self.metrics, self.gauges)
        return exposition.page(exposition.read(), accept)[1].decode()

    def families(self) -> dict[str, Metric]:
        """
        Read the page; counters under the names that their samples have.
        """
        found = classic(self.text())
        return {each.name + ("_total" if each.type == "counter" else ""): each for each in found}

    def samples(self) -> dict[tuple[str, ...], float]:
        return {
            (sample.name.removeprefix("empath_"), *sorted(f"{k}={v}" for k, v in sample.labels.items())): sample.value
            for family in classic(self.text())
            for sample in family.samples
        }

    def make_busy(self) -> None:
        """
        Let everything happen that is counted under a label.
        """
        hook = self.metrics.modules.of("no-monday").hook("rcpt_to")
        hook.observe(0.01)
        hook.failed()
        hook.decided("refuse")
        self.metrics.modules.of("no-monday").event("seen")
        ended = [made.attempt_ended(made.state(status=each), status=each) for each in (Status.COMPLETED, Status.FAILED)]
        happened: list[life.LifeEvent] = [
            *ended,
            life.ConnectionOpened(made.session()),
            life.ConnectionClosed(made.session(tls="TLSv1.3", login="ann"), 1.0, "quit"),
            made.refused("550 5.1.1 no"),
            life.MessageReceived(made.message(), made.session(), 0.1),
            life.DeliveryLimited("dst.test", 0.5, "rate"),
            life.BreakerMoved("mx.dst.test", "dst.test", ("dst.test",), "open", "no"),
            life.BreakerMoved("mx.dst.test", "dst.test", ("dst.test",), "closed", "yes"),
            made.looked_up(Found.RECORDS),
            made.looked_up(Found.FAILED, detail="timeout: no"),
            life.GroupCommitted(3, 0.001),
        ]
        for event in happened:
            self.events.emit(event)


class PromisedTests(PageCase):
    def test_a_fresh_page_has_every_name_of_the_contract_with_its_type(self) -> None:
        found = self.families()
        promised = {line.split()[0].partition("{")[0]: line.split()[1] for line in CONTRACT}
        self.assertEqual({name: found[name].type for name in promised}, promised)

    def test_a_busy_page_has_every_name_with_its_labels(self) -> None:
        self.make_busy()
        found = self.families()
        for line in CONTRACT:
            name, _, labels = line.split()[0].rstrip("}").partition("{")
            wanted = set(filter(None, labels.split(",")))
            self.assertTrue(found[name].samples, name)
            for sample in found[name].samples:
                self.assertEqual(sample.labels.keys() - {"le"}, wanted, name)

    def test_everything_begins_at_zero(self) -> None:
        for family in self.families().values():
            if family.name.startswith(("empath_smtp", "empath_delivery", "empath_module")) and family.type != "gauge":
                self.assertEqual({sample.value for sample in family.samples} - {0.0, 2.0, 3.0}, set(), family.name)
        told = self.samples()
        self.assertEqual(told["smtp_limits_total", "limit=size"], 0)
        self.assertEqual(told["smtp_auth_total", "result=failed"], 0)
        self.assertEqual(told["export_lost_total", "signal=logs"], 0)

    def test_page_and_reference_name_the_same_metrics_of_the_same_types_with_the_same_labels(self) -> None:
        self.make_busy()
        rows = re.findall(r"^\| `((?:empath|process|python)_\w+)[{`][^|]*\| (\w+) \|", REFERENCE.read_text(), re.M)
        told, written = self.families(), documented()
        self.assertEqual({name: each.type for name, each in told.items()}, dict(rows))
        for name, family in told.items():
            base = name.removesuffix("_total") if name not in written else name
            for sample in family.samples:
                self.assertEqual(sample.labels.keys() - {"le"}, set(written[base]), name)

    def test_both_formats_can_be_read(self) -> None:
        self.make_busy()
        plain = {each.name for each in classic(self.text())}
        self.assertEqual({each.name for each in openmetrics(self.text(OPENMETRICS))}, plain)


class LookedAtTests(PageCase):
    def test_the_service(self) -> None:
        told = self.samples()
        for name, value in {
            ("delivery_queue_waiting",): 12,
            ("delivery_queue_limit",): 10,
            ("spool_free_bytes",): 5000,
            ("spool_min_free_bytes",): 1000,
            ("health_ready",): 0,
            ("health_part_ready", "part=spool"): 1,
            ("health_part_ready", "part=queue"): 0,
            ("tls_certificate_not_after_seconds", "certificate=/etc/cert.pem", "listener=tcp:25"): 2e9,
            ("config_reloads_total", "result=refused"): 1,
            ("config_last_reload_successful",): 0,
            ("export_lost_total", "signal=traces"): 3,
            ("export_waiting", "signal=traces"): 5,
        }.items():
            self.assertEqual(told[name], value, name)

    def test_the_process(self) -> None:
        told = self.samples()
        self.assertEqual(told["reactor_latency_seconds_bucket", "le=0.025"], 1)
        self.assertEqual(told["thread_pool_queue_size", "pool=files"], 17)
        self.assertEqual(told["thread_pool_busy_threads", "pool=files"], 3)
        self.assertEqual(told["thread_pool_max_threads", "pool=files"], 4)
        self.assertEqual(told["gc_pause_seconds_count", "generation=2"], 0)
        self.assertEqual(told["start_time_seconds",], 1000)
        self.assertIn("process_cpu_seconds_total", self.text())
        self.assertIn("empath_info{", self.text())

    def test_what_takes_a_moment_is_looked_at_before(self) -> None:
        looking: Deferred[None] = Deferred()
        exposition = Exposition(self.section, self.metrics, self.gauges, lambda: looking)
        self.assertIs(exposition.look(), looking)
        self.successResultOf(Exposition(self.section, self.metrics, self.gauges).look())


class ExemplarTests(PageCase):
    def examples(self) -> dict[str, tuple[str, float]]:
        """
        Find the traces that buckets name, by metric.
        """
        return {
            family.name: (sample.exemplar.labels["trace_id"], sample.exemplar.value)
            for family in openmetrics(self.text(OPENMETRICS))
            for sample in family.samples
            if sample.exemplar is not None
        }

    def happen(self, trace: str) -> None:
        """
        Receive and attempt a message of this trace.
        """
        self.events.emit(life.MessageReceived(made.message(trace=trace), made.session(), 0.1))
        self.events.emit(made.attempt_ended(made.state(), trace=trace))

    def test_the_buckets_name_the_trace_of_what_is_traced(self) -> None:
        self.happen(TRACED)
        trace_id = TRACED[3:35]
        self.assertEqual(
            self.examples(),
            {
                "empath_smtp_message_size_bytes": (trace_id, 4096.0),
                "empath_delivery_duration_seconds": (trace_id, 2.5),
                "empath_delivery_queue_age_seconds": (trace_id, 1.0),
            },
        )

    def test_what_is_not_traced_is_only_counted(self) -> None:
        for trace in ("", UNTRACED):
            self.happen(trace)
        self.assertEqual(self.examples(), {})
        self.assertEqual(self.samples()["delivery_queue_age_seconds_count",], 2)

    def test_the_old_format_has_none(self) -> None:
        self.happen(TRACED)
        self.assertNotIn("trace_id", self.text())
