"""
The records of what keeps mail safe, and of what operators did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from empath.audit.chain import Record
from empath.audit.making import MOST_TEXT, OURSELVES, Maker, MakeRecords, milliseconds, record, short
from empath.mail.life_safety import (
    AddressSuppressed,
    BounceReceived,
    ComplaintReceived,
    ControlUsed,
    DeliveryFrozen,
    DeliveryManaged,
    SenderStopped,
)

_ACTIONS: Final = {
    "held": "hold",
    "released": "release",
    "retried": "retry",
    "bounced": "bounce",
    "deleted": "delete",
}


def managed(maker: Maker, when: float, event: DeliveryManaged) -> list[Record]:
    """
    An operator changed a delivery; who it was is told by the `control` record of the command.
    """
    resource, action = f"delivery:{event.domain}", _ACTIONS.get(event.verb, event.verb)
    made = record(maker.stamp(when), event.verb, "operator", resource, action, "ok")
    made.message_id = event.queue_id
    if event.why:
        made.metadata = {"why": event.why}
    return [made]


def frozen(maker: Maker, when: float, event: DeliveryFrozen) -> list[Record]:
    """
    Delivery to a domain, or all of it, stopped or goes on.
    """
    event_name, action = ("frozen", "freeze") if event.frozen else ("unfrozen", "unfreeze")
    resource = f"delivery:{event.domain}" if event.domain else "delivery"
    return [record(maker.stamp(when), event_name, "operator", resource, action, "ok")]


def sender_stopped(maker: Maker, when: float, event: SenderStopped) -> list[Record]:
    """
    Mail of a sender is held and refused, or goes on again.
    """
    name, action = ("sender-stopped", "stop") if event.stopped else ("sender-released", "release")
    made = record(maker.stamp(when), name, OURSELVES, f"sender:{event.sender}", action, "ok")
    made.metadata = {"why": event.detail}
    return [made]


def suppressed(maker: Maker, when: float, event: AddressSuppressed) -> list[Record]:
    """
    An address gets no more mail, or gets it again.
    """
    name, action = ("suppressed", "suppress") if event.suppressed else ("unsuppressed", "unsuppress")
    made = record(maker.stamp(when), name, OURSELVES, "address", action, "ok")
    made.recipients, made.metadata = [event.address], {"why": event.why}
    return [made]


def bounce_received(maker: Maker, when: float, event: BounceReceived) -> list[Record]:
    """
    A host told later what became of our mail.
    """
    made = record(maker.stamp(when), "bounce-received", OURSELVES, "message", event.action, event.category or "ok")
    made.message_id, made.recipients = event.queue_id, [event.address.text]
    made.reply, made.metadata = event.detail, {"status": event.status}
    return [made]


def complaint_received(maker: Maker, when: float, event: ComplaintReceived) -> list[Record]:
    """
    Somebody complained about our mail.
    """
    made = record(maker.stamp(when), "complaint-received", event.reporter, "message", "complain", event.kind)
    made.message_id = event.queue_id
    made.recipients = [] if event.address is None else [event.address.text]
    return [made]


def control_used(maker: Maker, when: float, event: ControlUsed) -> list[Record]:
    """
    Somebody asked something of the control server.
    """
    made = record(maker.stamp(when), "control", event.caller, "control", event.verb, event.result)
    made.duration_ms = milliseconds(event.seconds)
    arguments = _arguments(event.arguments)
    if isinstance(arguments, dict):
        made.message_id = _queue_id_in(arguments)
    if len(event.arguments) > MOST_TEXT:
        arguments = short(event.arguments)
    made.metadata = {"arguments": arguments, "changes": event.changes}
    if event.detail:
        made.metadata["detail"] = event.detail
    return [made]


def trail(maker: Maker, when: float, action: str, result: str, told: dict[str, Any]) -> list[Record]:
    """
    Something happened to the trail itself.
    """
    made = record(maker.stamp(when), "control", OURSELVES, "audit", action, result)
    made.metadata = told
    return [made]


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _queue_id_in(arguments: Mapping[str, Any]) -> str:
    """
    Find the one message that a command was about, so that it is found by the message's id.
    """
    inner = arguments.get("filter")
    found = arguments.get("queue_id") or (inner.get("queue_id") if isinstance(inner, dict) else "")
    return found if isinstance(found, str) else ""


MADE: Final[Mapping[type, MakeRecords]] = MappingProxyType(
    {
        DeliveryManaged: managed,
        DeliveryFrozen: frozen,
        SenderStopped: sender_stopped,
        AddressSuppressed: suppressed,
        BounceReceived: bounce_received,
        ComplaintReceived: complaint_received,
        ControlUsed: control_used,
    }
)
