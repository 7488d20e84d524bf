"""
How the audit trail fares, as metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric

from empath.observe.metrics.families import counter, gauge


def audit_families(figures: Mapping[str, int]) -> Iterator[Metric]:
    """
    Tell the figures of a trail, by their names; none where there is no trail.
    """
    if not figures:
        return
    yield counter("empath_audit_records", "Records written.", figures["records"])
    yield counter("empath_audit_lost", "Events that have no record: memory was full.", figures["lost"])
    yield counter("empath_audit_write_failures", "Times that records could not be written.", figures["failures"])
    yield counter("empath_audit_sink_lost", "Records that did not reach syslog or OTLP.", figures["sink_lost"])
    yield from gauge("empath_audit_waiting", "Events that wait to be written.", figures["waiting"])
    yield from gauge("empath_audit_writable", "1 while records can be written.", figures["writable"])
