"""
Our spans as OpenTelemetry's. This module needs the SDK: it is imported only where traces are exported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from empath import __version__
from empath.mail.trace_context import TraceContext
from empath.observe.export import destination
from empath.observe.export.attributes import attributes_of, nanoseconds, text
from empath.observe.export.collector import Sender
from empath.observe.export.sent import TAKEN, Sent
from empath.observe.tracing.span import Make, Span

KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
SCOPE: Final = "empath"


class SpanSender:
    """
    Sends spans to a collector.
    """

    def __init__(self, to: destination.Destination) -> None:
        self._sender = Sender(to, "traces", OTLPSpanExporter)
        self._scope = InstrumentationScope(SCOPE, __version__)

    def __call__(self, makes: Sequence[Make]) -> Sent:
        """
        Make the spans, and send them; a `Make` that fails is lost, and the others are not.
        """
        spans: list[ReadableSpan] = []
        lost, reason = 0, ""
        for make in makes:
            try:
                spans += [span_of(span, self._sender.resource, self._scope) for span in make()]
            except Exception as trouble:  # a bug of ours, in telemetry: it must not take the rest along
                lost, reason = lost + 1, f"spans cannot be made: {trouble!r}"
        sent = self._sender.send(spans) if spans else TAKEN
        if sent.trouble:
            return sent
        return attrs.evolve(sent, lost=min(lost + sent.lost, len(makes)), reason=reason or sent.reason)


def span_of(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """
    Make OpenTelemetry's span of ours.
    """
    remote = span.kind in ("server", "consumer")
    parent = attrs.evolve(span.context, span_id=span.parent) if span.parent else None
    started = nanoseconds(span.started)
    return ReadableSpan(
        name=text(span.name),
        context=_context(span.context, False),
        parent=None if parent is None else _context(parent, remote),
        resource=resource,
        attributes=attributes_of(span.attributes),
        events=tuple(_events(span)),
        links=[Link(_context(each, False)) for each in span.links],
        kind=KINDS[span.kind],
        status=Status(StatusCode.ERROR, text(span.trouble)) if span.trouble else Status(StatusCode.UNSET),
        start_time=started,
        end_time=max(started, nanoseconds(span.ended)),
        instrumentation_scope=scope,
    )


def _events(span: Span) -> Iterator[Event]:
    for event in span.events:
        yield Event(text(event.name), attributes_of(event.attributes), nanoseconds(event.time))


def _context(context: TraceContext, remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), remote, flags)
