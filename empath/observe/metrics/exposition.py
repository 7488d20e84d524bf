"""
The page that Prometheus reads: names and labels of the contract, made from the counts when asked for.

A gauge that cannot be read is a bug: logged, left out of this page, and the rest is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from empath.config import schema
from empath.mail.message import Status
from empath.observe.metrics.audit_page import audit_families
from empath.observe.metrics.domain_page import domain_families
from empath.observe.metrics.families import capped, counter, gauge, histogram, histograms, read, share, tally
from empath.observe.metrics.gauges import Gauges as Gauges
from empath.observe.metrics.gauges import Readings
from empath.observe.metrics.limits import circuit_families, limit_families, remarkable
from empath.observe.metrics.module_page import module_families
from empath.observe.metrics.process_page import ProcessPage
from empath.observe.metrics.safety import safety_families, stop_families
from empath.observe.metrics.service_page import service_families
from empath.observe.metrics.totals import Metrics

log = Logger()


def _nothing() -> Deferred[Any]:
    """
    There is nothing to look at.
    """
    return succeed(None)


class Exposition:
    """
    Turns the counts into a page. `look` and `read` belong to the reactor's thread; `page` may run in any.

    `look` is called before `read`: it has looked at what takes a moment, and is done soon.
    """

    def __init__(
        self,
        section: schema.Metrics,
        metrics: Metrics,
        gauges: Gauges,
        look: Callable[[], Deferred[Any]] = _nothing,
    ) -> None:
        self.look = look
        self._metrics = metrics
        self._gauges = gauges
        self._process = ProcessPage()
        self.reconfigure(section)

    def reconfigure(self, section: schema.Metrics) -> None:
        """
        Use the limit on labels of this section.
        """
        self._max_sites = section.max_domain_cardinality

    def read(self) -> Readings:
        """
        Look at every gauge.
        """
        read = {field.name: self._look(field.name) for field in attrs.fields(Readings)}
        read["circuits"] = None if read["circuits"] is None else remarkable(read["circuits"])
        return Readings(**read)

    def page(self, readings: Readings, accept: str) -> tuple[str, bytes]:
        """
        Write the page in the format that the Accept header asks for; tells its content type, too.
        """
        encode, content_type = choose_encoder(accept)
        return content_type, encode(_Page(self, readings))

    def families(self, readings: Readings) -> Iterator[Metric]:
        """
        Make every metric family with its samples.
        """
        yield from self._smtp(readings)
        yield from self._delivery(readings)
        yield from limit_families(self._metrics.limit_counts)
        yield from safety_families(self._metrics.safety)
        yield from stop_families(readings.frozen, readings.stopped_senders)
        if readings.circuits is not None:
            yield from circuit_families(readings.circuits, self._metrics.domains, self._max_sites)
        yield from self._dns(readings)
        yield from self._spool(readings)
        yield from audit_families(readings.audit or {})
        yield from module_families(self._metrics.modules)
        yield from service_families(readings)
        yield from self._process.families(readings)

    def _look(self, name: str) -> Any:
        try:
            return getattr(self._gauges, name)()
        except Exception:
            log.failure("the gauge {name} could not be read", name=name)
            return None

    def _smtp(self, readings: Readings) -> Iterator[Metric]:
        seen = self._metrics
        yield counter("empath_smtp_connections", "Connections let in.", seen.connections)
        yield from gauge("empath_smtp_connections_active", "Sessions open now.", readings.connections_active)
        yield tally("empath_smtp_errors", "Replies 4yz and 5yz that we gave.", "code", seen.smtp_errors)
        yield tally("empath_smtp_limits", "Refusals because of a limit.", "limit", seen.limits)
        yield tally("empath_smtp_auth", "Logins by what became of them.", "result", seen.auth_results)
        yield tally("empath_smtp_tls", "Sessions with TLS, and failed handshakes.", "version", seen.tls_versions)
        yield histogram("empath_smtp_session_duration_seconds", "From connect to close.", seen.session_duration)
        yield histograms(
            "empath_smtp_command_duration_seconds", "From a command to its reply.", "command", seen.command_durations
        )
        yield counter("empath_smtp_messages_received", "Messages taken into our care.", seen.messages_received)
        yield counter("empath_smtp_messages_discarded", "Messages dropped by a module.", seen.messages_discarded)
        yield histogram("empath_smtp_message_size_bytes", "Size of the messages received.", seen.message_size)
        yield from gauge(
            "empath_smtp_connection_error_rate",
            "Connections ended by time-out, TLS failure, 421 or error limit, of all that ended.",
            share(seen.connections_failed, seen.connections_closed),
        )

    def _delivery(self, readings: Readings) -> Iterator[Metric]:
        seen = self._metrics
        all_ended = seen.delivered + seen.failed + seen.retrying
        yield from domain_families(seen.domains)
        yield from gauge("empath_delivery_domain_cardinality", "Domains with a label of their own.", len(seen.domains))
        yield counter("empath_delivery_messages_delivered", "Deliveries that succeeded.", seen.delivered)
        yield counter("empath_delivery_messages_failed", "Deliveries that failed or expired.", seen.failed)
        yield counter("empath_delivery_messages_retrying", "Attempts after which to try again.", seen.retrying)
        yield from gauge("empath_delivery_error_rate", "Failed, of all attempts.", share(seen.failed, all_ended))
        yield from gauge(
            "empath_delivery_success_rate", "Delivered, of all attempts.", share(seen.delivered, all_ended)
        )
        yield histogram("empath_delivery_queue_age_seconds", "Age of a message at an attempt.", seen.queue_age)
        yield from self._queue(readings)
        yield counter("empath_delivery_reports_queued", "Reports (DSN) sent to senders.", seen.reports_queued)
        yield counter("empath_delivery_reports_dropped", "Reports that had nowhere to go.", seen.reports_dropped)

    def _queue(self, readings: Readings) -> Iterator[Metric]:
        if readings.queue_size is not None:
            size = GaugeMetricFamily("empath_delivery_queue_size", "Deliveries by status.", labels=("status",))
            for status in Status:
                size.add_metric((status.value,), readings.queue_size.get(status, 0))
            yield size
        yield from gauge(
            "empath_delivery_queue_oldest_seconds", "Age of the oldest live message.", readings.queue_oldest
        )
        yield from read("empath_delivery_strays", "Deliveries the watchdog put right.", readings.strays)
        yield from read("empath_delivery_overdue_attempts", "Attempts it cut short.", readings.overdue_attempts)
        if readings.site_connections is not None:
            held = GaugeMetricFamily("empath_delivery_connections_active", "Connections we hold.", labels=("site",))
            for site, number in capped(readings.site_connections, self._max_sites):
                held.add_metric((site,), number)
            yield held

    def _dns(self, readings: Readings) -> Iterator[Metric]:
        seen = self._metrics
        yield histograms(
            "empath_dns_lookup_duration_seconds", "Look-ups that went to a server.", "query_type", seen.dns_durations
        )
        yield tally("empath_dns_lookups", "Look-ups by type.", "query_type", seen.dns_lookups)
        yield from read("empath_dns_cache_hits", "Look-ups answered from the cache.", readings.dns_hits)
        yield from read("empath_dns_cache_misses", "Look-ups not in the cache.", readings.dns_misses)
        yield from read("empath_dns_cache_evictions", "Answers the cache threw out.", readings.dns_evictions)
        yield tally("empath_dns_errors", "Look-ups that found no name or failed.", "error_type", seen.dns_errors)
        yield tally(
            "empath_dns_security", "Answers of servers by DNSSEC's word on them.", "security", seen.dns_security
        )
        yield counter("empath_dns_stale_answers", "Look-ups answered beyond their time.", seen.dns_stale)

    def _spool(self, readings: Readings) -> Iterator[Metric]:
        seen = self._metrics
        yield histogram("empath_spool_commit_duration_seconds", "Group commits.", seen.commit_duration)
        yield histogram("empath_spool_batch_size", "Changes in one group commit.", seen.commit_size)
        yield from read("empath_spool_deletion_failures", "Failed deletions.", readings.deletion_failures)
        yield counter("empath_spool_cleanups_given_up", "Content files given up on.", seen.cleanups_given_up)
        yield from gauge("empath_spool_orphans", "Content files found without a message.", readings.orphans)


class _Page(Collector):
    """
    One reading of everything, as prometheus_client wants it.
    """

    def __init__(self, exposition: Exposition, readings: Readings) -> None:
        self._exposition = exposition
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        return self._exposition.families(self._readings)
