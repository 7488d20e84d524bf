"""
The page's part about the service as a whole: readiness, room, certificates, configuration, export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from empath.mail.stored import Space
from empath.observe.health import Findings
from empath.observe.metrics.families import gauge, gauges
from empath.observe.metrics.gauges import Readings, Reloads

SIGNALS: Final = ("traces", "logs", "metrics")
EXPORTED: Final = {
    "lost": "Spans, log records or pushes of metrics that reached no collector.",
    "sent": "Spans, log records or pushes of metrics that a collector took.",
    "failures": "Requests that a collector did not take.",
}


def service_families(readings: Readings) -> Iterator[Metric]:
    """
    Tell how the service fares; nothing of what could not be read.
    """
    yield from gauge("empath_delivery_queue_waiting", "Deliveries that are due and wait.", readings.queue_waiting)
    yield from gauge("empath_delivery_queue_limit", "More of them make it unready.", readings.queue_limit or None)
    if readings.findings is not None:
        yield from _health(readings.findings)
    if readings.space is not None:
        yield from _space(readings.space)
    if readings.certificates is not None:
        yield _certificates(readings.certificates)
    if readings.reloads is not None:
        yield from _reloads(readings.reloads)
    if readings.export is not None:
        yield from _export(readings.export)


def _health(found: Findings) -> Iterator[Metric]:
    parts = {
        "smtp": found.smtp_ready,
        "spool": found.spool_ready,
        "delivery": found.delivery_ready,
        "dns": found.dns_ready,
        "disk": found.disk_ready,
        "queue": found.queue_size is not None and found.queue_size <= found.max_queue_size,
    }
    yield from gauge("empath_health_ready", "1 while it is ready.", float(found.ready))
    told = {part: float(ready) for part, ready in parts.items()}
    yield from gauges("empath_health_part_ready", "1 while the part is ready.", "part", told)
    yield from gauge("empath_health_shutting_down", "1 while it stops.", float(found.shutting_down))


def _space(space: Space) -> Iterator[Metric]:
    yield from gauge("empath_spool_free_bytes", "Room on the disk of the spool.", space.free)
    yield from gauge("empath_spool_min_free_bytes", "Room that new mail may not use.", space.min_free)
    yield from gauge("empath_spool_database_bytes", "Size of the database.", space.database)
    yield from gauge("empath_spool_reusable_bytes", "Room within the database.", space.reusable)
    yield from gauge("empath_spool_memory_bytes", "Content in memory.", space.memory)


def _certificates(ends: Mapping[tuple[str, str], float]) -> Metric:
    family = GaugeMetricFamily(
        "empath_tls_certificate_not_after_seconds",
        "When a certificate that we serve ends, since the epoch.",
        labels=("listener", "certificate"),
    )
    for labels, end in ends.items():
        family.add_metric(labels, end)
    return family


def _reloads(reloads: Reloads) -> Iterator[Metric]:
    family = CounterMetricFamily("empath_config_reloads", "Times the configuration was read again.", labels=("result",))
    family.add_metric(("used",), reloads.used)
    family.add_metric(("refused",), reloads.refused)
    yield family
    yield from gauge("empath_config_last_reload_successful", "1 unless it was refused.", float(reloads.successful))
    yield from gauge(
        "empath_config_last_reload_success_timestamp_seconds", "When the one in use was read.", reloads.read_at
    )


def _export(figures: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    """
    Tell what became of each signal: 0 of one that is not exported.
    """
    for name, text in EXPORTED.items():
        family = CounterMetricFamily(f"empath_export_{name}", text, labels=("signal",))
        for signal in SIGNALS:
            family.add_metric((signal,), figures.get(signal, {}).get(name, 0))
        yield family
    waiting = {signal: float(figures.get(signal, {}).get("waiting", 0)) for signal in SIGNALS}
    yield from gauges("empath_export_waiting", "Spans or log records that wait to be sent.", "signal", waiting)
