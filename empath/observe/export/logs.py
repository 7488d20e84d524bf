"""
Our log records as OpenTelemetry's. This module needs the SDK: it is imported only where logs are exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from opentelemetry._logs import LogRecord as Record
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from empath.observe.export.attributes import attributes_of, nanoseconds, text
from empath.observe.export.collector import Sender
from empath.observe.export.destination import Destination
from empath.observe.export.log_record import LogRecord
from empath.observe.export.sent import Sent

SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warn": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


class LogSender:
    """
    Sends log records to a collector.
    """

    def __init__(self, to: Destination) -> None:
        self._sender = Sender(to, "logs", OTLPLogExporter)

    def __call__(self, records: Sequence[LogRecord]) -> Sent:
        """
        Send these.
        """
        return self._sender.send([record_of(each, self._sender.resource) for each in records])


def record_of(record: LogRecord, resource: Resource) -> ReadableLogRecord:
    """
    Make OpenTelemetry's record of ours; its scope is who logged it.
    """
    attributes: dict[str, Any] = attributes_of(record.fields)
    if record.traceback:
        attributes["exception.stacktrace"] = text(record.traceback)
    when = nanoseconds(record.time)
    made = Record(
        timestamp=when,
        observed_timestamp=when,
        context=_context(record),
        severity_text=record.level,
        severity_number=SEVERITIES.get(record.level, SeverityNumber.UNSPECIFIED),
        body=text(record.text),
        attributes=attributes,
    )
    return ReadableLogRecord(made, resource, InstrumentationScope(text(record.namespace)))


def _context(record: LogRecord) -> Context:
    """
    Say which span it belongs to.
    """
    if not record.trace_id or not record.span_id:
        return Context()
    span = SpanContext(int(record.trace_id, 16), int(record.span_id, 16), False, TraceFlags(TraceFlags.DEFAULT))
    return set_span_in_context(NonRecordingSpan(span), Context())
