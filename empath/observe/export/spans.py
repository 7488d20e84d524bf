"""
Our spans as OTLP's messages, and on their way. This module needs OpenTelemetry's: it is imported only where traces are
exported.

OpenTelemetry's exporter takes spans of its SDK alone. To make these of ours, and messages of them, would cost twice as
much as all else that a traced message costs (docs/decisions/0014-spans-straight-to-otlp.md).
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from empath import __version__
from empath.mail.step import Fact
from empath.observe.export import destination
from empath.observe.export.attributes import nanoseconds, text, value_of
from empath.observe.export.collector import Sender
from empath.observe.export.sent import TAKEN, Sent
from empath.observe.tracing.span import Make, Span

KINDS: Final = {
    "internal": otlp.Span.SPAN_KIND_INTERNAL,
    "server": otlp.Span.SPAN_KIND_SERVER,
    "client": otlp.Span.SPAN_KIND_CLIENT,
    "producer": otlp.Span.SPAN_KIND_PRODUCER,
    "consumer": otlp.Span.SPAN_KIND_CONSUMER,
}
LOCAL: Final = otlp.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
REMOTE: Final = LOCAL | otlp.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
SCOPE: Final = "empath"
COMPRESSION: Final = 5  # of 9: more takes longer than it saves


class SpanSender:
    """
    Sends spans to a collector.
    """

    def __init__(self, to: destination.Destination) -> None:
        self._sender = Sender(to, "traces", Posting)
        self._frame = ExportTraceServiceRequest()
        of_us = self._frame.resource_spans.add(schema_url=self._sender.resource.schema_url)
        put(of_us.resource.attributes, self._sender.resource.attributes)
        of_us.scope_spans.add().scope.name = SCOPE
        of_us.scope_spans[0].scope.version = __version__

    def __call__(self, makes: Sequence[Make]) -> Sent:
        """
        Make the spans, and send them; a `Make` that fails is lost, and the others are not.
        """
        request = ExportTraceServiceRequest()
        request.CopyFrom(self._frame)
        spans = request.resource_spans[0].scope_spans[0].spans
        lost, reason = 0, ""
        for make in makes:
            before = len(spans)
            try:
                for span in make():
                    write(spans.add(), span)
            except Exception as trouble:  # a bug of ours, in telemetry: it must not take the rest along
                del spans[before:]
                lost, reason = lost + 1, f"spans cannot be made: {trouble!r}"
        sent = self._sender.send(request) if spans else TAKEN
        if sent.trouble:
            return sent
        return attrs.evolve(sent, lost=min(lost + sent.lost, len(makes)), reason=reason or sent.reason)


class Posting:
    """
    Takes the place of OpenTelemetry's exporter, for messages of OTLP. Time and headers are its session's to know.
    """

    def __init__(
        self, *, endpoint: str, certificate_file: str | None, session: requests.Session, **others: Any
    ) -> None:
        self._endpoint = endpoint
        self._session = session
        session.verify = certificate_file or True

    def export(self, request: ExportTraceServiceRequest) -> None:
        """
        Post them (OTLP/HTTP, binary protobuf).
        """
        content = gzip.compress(request.SerializeToString(), COMPRESSION)
        headers = {"Content-Encoding": "gzip", "User-Agent": f"empath/{__version__}"}
        self._session.request("POST", self._endpoint, data=content, headers=headers)


def write(message: otlp.Span, span: Span) -> None:
    """
    Write a span into the message that is to be it.
    """
    context, started = span.context, nanoseconds(span.started)
    message.trace_id = bytes.fromhex(context.trace_id)
    message.span_id = bytes.fromhex(context.span_id)
    message.name = text(span.name)
    message.kind = KINDS[span.kind]
    message.start_time_unix_nano = started
    message.end_time_unix_nano = max(started, nanoseconds(span.ended))
    message.flags = LOCAL
    if span.parent:
        message.parent_span_id = bytes.fromhex(span.parent)
        message.flags = REMOTE if span.kind in ("server", "consumer") else LOCAL
    put(message.attributes, span.attributes)
    for event in span.events:
        told = message.events.add(name=text(event.name), time_unix_nano=nanoseconds(event.time))
        put(told.attributes, event.attributes)
    for link in span.links:
        message.links.add(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id), flags=LOCAL)
    if span.trouble:
        message.status.code = otlp.Status.STATUS_CODE_ERROR
        message.status.message = text(span.trouble)


def put(attributes: Any, facts: Mapping[str, Any]) -> None:
    """
    Write facts into the attributes of a message, as OTLP can carry them.
    """
    add = attributes.add
    for name, fact in facts.items():
        value = add(key=name if name.isascii() else text(name)).value
        if type(fact) is str:
            value.string_value = text(fact)
        else:
            _put_other(value, value_of(fact))


def _put_other(value: Any, fact: Fact) -> None:
    if isinstance(fact, bool):
        value.bool_value = fact
    elif isinstance(fact, int):
        value.int_value = fact
    elif isinstance(fact, float):
        value.double_value = fact
    else:
        value.string_value = str(fact)
