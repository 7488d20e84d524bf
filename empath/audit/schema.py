"""
The JSON Schema of a record.
"""

from __future__ import annotations

from typing import Any, Final

EVENTS: Final = (
    *("received", "queued", "refused", "discarded", "attempt", "delivered", "retry", "failed", "expired", "bounced"),
    *("reported", "held", "released", "retried", "deleted", "frozen", "unfrozen", "sender-stopped", "sender-released"),
    *("suppressed", "unsuppressed", "bounce-received", "complaint-received", "control"),
)
_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def schema() -> dict[str, Any]:
    """
    Describe a record by JSON Schema, draft 2020-12.
    """
    text: dict[str, Any] = {"type": "string"}
    properties: dict[str, Any] = {
        "version": {"const": 1},
        "time": {"type": "string", "format": "date-time"},
        "event": {"type": "string", "examples": list(EVENTS)},
        "actor": text,
        "resource": text,
        "action": text,
        "result": text,
        "message_id": {"type": "string", "pattern": "^([0-9A-Z]{26})?$"},
        "sender": {"type": ["string", "null"]},
        "recipients": {"type": "array", "items": text},
        "host": text,
        "reply": text,
        "duration_ms": {"type": ["number", "null"], "minimum": 0},
        "attempt": {"type": ["integer", "null"], "minimum": 0},
        "metadata": {"type": "object"},
        "seq": {"type": "integer", "minimum": 1},
        "prev": _HASH,
        "hash": _HASH,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of empath's audit trail",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
