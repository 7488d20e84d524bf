"""
Our spans as OpenTelemetry's. This module needs the SDK: it is imported only where traces are exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from empath import __version__
from empath.mail.step import Fact
from empath.mail.trace_context import TraceContext
from empath.observe.export import destination
from empath.observe.export.attributes import nanoseconds, text, value_of
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
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
OK: Final = Status(StatusCode.UNSET)
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
    context, started = span.context, nanoseconds(span.started)
    trace_id, flags = int(context.trace_id, 16), SAMPLED if context.sampled else NOT_SAMPLED
    parent = None
    if span.parent:
        parent = SpanContext(trace_id, int(span.parent, 16), span.kind in ("server", "consumer"), flags)
    return ReadableSpan(
        name=text(span.name),
        context=SpanContext(trace_id, int(context.span_id, 16), False, flags),
        parent=parent,
        resource=resource,
        attributes=_facts(span.attributes),
        events=[Event(text(each.name), _facts(each.attributes), nanoseconds(each.time)) for each in span.events],
        links=[Link(_linked(each)) for each in span.links],
        kind=KINDS[span.kind],
        status=Status(StatusCode.ERROR, text(span.trouble)) if span.trouble else OK,
        start_time=started,
        end_time=max(started, nanoseconds(span.ended)),
        instrumentation_scope=scope,
    )


def _facts(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """
    Give facts as OTLP can carry them, most of which are texts by names of ours.
    """
    return {
        name if name.isascii() else text(name): text(fact) if type(fact) is str else value_of(fact)
        for name, fact in facts.items()
    }


def _linked(context: TraceContext) -> SpanContext:
    flags = SAMPLED if context.sampled else NOT_SAMPLED
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), False, flags)
