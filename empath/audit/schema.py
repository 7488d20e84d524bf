"""
The JSON Schema of a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

EVENTS: Final = (
    *("received", "queued", "refused", "discarded", "attempt", "delivered", "retry", "failed", "expired", "bounced"),
    *("reported", "held", "released", "retried", "deleted", "frozen", "unfrozen", "sender-stopped", "sender-released"),
    *("suppressed", "unsuppressed", "bounce-received", "complaint-received", "control"),
)
_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_PROPERTIES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "version": {"const": 1},
        "time": {"type": "string", "format": "date-time"},
        "event": {"type": "string", "examples": list(EVENTS)},
        "actor": _TEXT,
        "resource": _TEXT,
        "action": _TEXT,
        "result": _TEXT,
        "message_id": {"type": "string", "pattern": "^([0-9A-Z]{26})?$"},
        "sender": {"type": ["string", "null"]},
        "recipients": {"type": "array", "items": _TEXT},
        "host": _TEXT,
        "reply": _TEXT,
        "duration_ms": {"type": ["number", "null"], "minimum": 0},
        "attempt": {"type": ["integer", "null"], "minimum": 0},
        "metadata": {"type": "object"},
        "seq": {"type": "integer", "minimum": 1},
        "prev": _HASH,
        "hash": _HASH,
    }
)


def schema() -> dict[str, Any]:
    """
    Describe a record by JSON Schema, draft 2020-12.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of empath's audit trail",
        "type": "object",
        "properties": dict(_PROPERTIES),
        "required": list(_PROPERTIES),
        "additionalProperties": False,
    }
