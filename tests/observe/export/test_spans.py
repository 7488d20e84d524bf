"""
Requirements on spans in OTLP's messages: they are what OpenTelemetry's own encoder makes of the same spans.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.trace_context import TraceContext
from empath.observe.export.spans import KINDS, write
from empath.observe.tracing.span import Event, Span

TRACE, OTHER, SPAN, PARENT = "0190a1b2c3d4e5f60718293a4b5c6d7e", "2" * 32, "a" * 16, "1" * 16
FACTS: Final = {"queue": "01J", "number": -2, "took": 0.5, "tls": True, "none": "", "ümlaut": "grüße", "zero": 0}
BEGAN: Final = 1_700_000_000.25


def by_sdk(span: Span) -> otlp.Span:
    """
    Have OpenTelemetry encode a span.
    """
    trace_id, flags = int(span.context.trace_id, 16), TraceFlags(TraceFlags.SAMPLED)
    remote = span.kind in ("server", "consumer")
    made = ReadableSpan(
        name=span.name,
        context=SpanContext(trace_id, int(span.context.span_id, 16), False, flags),
        parent=SpanContext(trace_id, int(span.parent, 16), remote, flags) if span.parent else None,
        resource=Resource.create({}),
        attributes=dict(span.attributes),
        events=[SdkEvent(each.name, dict(each.attributes), round(each.time * 1e6) * 1000) for each in span.events],
        links=[Link(SpanContext(int(each.trace_id, 16), int(each.span_id, 16), False, flags)) for each in span.links],
        kind=SpanKind[span.kind.upper()],
        status=Status(StatusCode.ERROR, span.trouble) if span.trouble else Status(StatusCode.UNSET),
        start_time=round(span.started * 1e6) * 1000,
        end_time=round(span.ended * 1e6) * 1000,
    )
    return encode_spans([made]).resource_spans[0].scope_spans[0].spans[0]


class WritingTests(SynchronousTestCase):
    """
    One span.
    """

    def assert_same(self, **changes: Any) -> None:
        told: dict[str, Any] = {
            "context": TraceContext(TRACE, SPAN, True),
            "parent": PARENT,
            "name": "deliver",
            "kind": "client",
            "started": BEGAN,
            "ended": BEGAN + 1.5,
            "attributes": FACTS,
        }
        span = Span(**{**told, **changes})
        written, expected = otlp.Span(), by_sdk(span)
        write(written, span)
        if not span.trouble:
            expected.ClearField("status")  # it is there, and empty
        self.assertEqual(written, expected)

    def test_all_kinds_with_a_parent_and_without(self) -> None:
        for kind in KINDS:
            self.assert_same(kind=kind)
            self.assert_same(kind=kind, parent="")

    def test_what_happened_and_what_it_has_to_do_with(self) -> None:
        events = (Event(BEGAN + 0.5, "command", {"text": "MAIL FROM:<>"}), Event(BEGAN + 1.0, "reply", {}))
        links = (TraceContext(OTHER, SPAN, True), TraceContext(TRACE, PARENT))
        self.assert_same(events=events, links=links)

    def test_trouble(self) -> None:
        self.assert_same(trouble="550 5.1.1 unknown")
