"""
What mail, and a request that carries it, tell of the trace that the message is followed under (W3C Trace Context).

A mail says no more than the trace and the attempt. Baggage, which says where the message came from, is for webhooks of
the operator's alone: it never goes by mail.
"""

from __future__ import annotations

from urllib.parse import quote

import attrs

from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.trace_context import TraceContext, parse_traceparent
from empath.mail.traces import attempt_span_of


def context_of(message: Message, delivery: Delivery, attempt: Attempt) -> TraceContext | None:
    """
    Give the span of an attempt; None where the message has no trace.
    """
    root = parse_traceparent(message.trace)
    if root is None:
        return None
    return attrs.evolve(root, span_id=attempt_span_of(message, delivery, attempt.number))


def field_of(message: Message, delivery: Delivery, attempt: Attempt) -> bytes:
    """
    Give the header field that goes on top of a mail, b"" where it has no trace. One that the mail came with stays below
    it: whoever reads a trace from mail takes the topmost.
    """
    context = context_of(message, delivery, attempt)
    return b"" if context is None else f"traceparent: {context}\r\n".encode("ascii")


def baggage_of(message: Message) -> str:
    """
    Tell what goes with a trace to webhooks (W3C Baggage): from which address the message came, and how urgent it is.
    """
    client = "" if message.arrival is None else f"client_ip={quote(message.arrival.peer, safe=':')},"
    return f"{client}message_priority={message.priority}"
