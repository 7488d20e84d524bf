"""
A delivery in JSON, as strategies describe it to programs: what webhooks post, and what stands beside a mail in a file.
Documented in docs/strategies.md; keys are only ever added as long as VERSION is the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from empath.mail.envelope import Envelope, Recipient
from empath.mail.header import Header
from empath.mail.message import Delivery, Message

VERSION: Final = 1
_DIGITS: Final = 32


def envelope_text(envelope: Envelope, recipients: Sequence[Recipient]) -> str:
    """
    Write the envelope for some recipients, as JSON in ASCII on one line: the same for every attempt.
    """
    sender = envelope.reverse_path
    return compact(
        {
            "sender": None if sender is None else sender.text,
            "parameters": envelope.parameters,
            "recipients": [{"address": each.address.text, "parameters": each.parameters} for each in recipients],
        }
    )


def delivery_id(message: Message, envelope: str) -> str:
    """
    Name one message for some recipients: the same for every attempt, and another one for others. It vouches for the
    envelope, of which it has a digest.
    """
    return f"{message.queue_id}.{sha256(envelope.encode()).hexdigest()[:_DIGITS]}"


def description(message: Message, delivery: Delivery, envelope: str, attempt: int) -> dict[str, Any]:
    """
    Describe a delivery to those in its envelope.
    """
    return {
        "version": VERSION,
        "id": delivery_id(message, envelope),
        "queue_id": message.queue_id,
        "domain": delivery.domain,
        "attempt": attempt,
        "received": iso_time(message.received),
        "envelope": json.loads(envelope),
        "metadata": message.metadata,
        "trace": message.trace,
        "size": message.size,
        "headers": Header(message.header).fields(),
    }


def iso_time(seconds: float) -> str:
    """
    Write a time: "2026-11-21T22:53:00.125Z".
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: Any) -> str:
    """
    Write JSON in ASCII, without blanks.
    """
    return json.dumps(value, separators=(",", ":"))
