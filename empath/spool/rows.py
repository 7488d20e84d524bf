"""
Messages and deliveries as rows, and back. Runs on the reactor's side, so that the writer's thread only binds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from empath.errors import SpoolError
from empath.mail.address import Address
from empath.mail.arrival import Arrival
from empath.mail.decision import Decision
from empath.mail.envelope import Envelope
from empath.mail.history import PastAttempt
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.origin import OUTSIDE, read_origin
from empath.mail.stored import Head

Row = tuple[Any, ...]

_NUMBER: Final = (float, int)
END: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED})
UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
UNFIT: Final = (*UNREADABLE, TypeError, AttributeError, OverflowError)
"""
How it shows that a value cannot be made a row.
"""


def _plain(value: object) -> str:
    """
    Write what is a text in another class as a text.
    """
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"nothing that could be read again: {type(value).__name__}")


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
_envelope: Final = msgspec.json.Decoder(Envelope).decode
_metadata: Final = msgspec.json.Decoder(dict[str, str]).decode
_decisions: Final = msgspec.json.Decoder(tuple[Decision, ...]).decode
_arrival: Final = msgspec.json.Decoder(Arrival).decode
_history: Final = msgspec.json.Decoder(tuple[PastAttempt, ...]).decode
_recipients: Final = msgspec.json.Decoder(tuple[RecipientState, ...]).decode


def message_row(number: int, message: Message) -> Row:
    """
    Make the parameters of INSERT_MESSAGE. UNFIT tells what would not come back as it was.
    """
    envelope = message.envelope
    _check_envelope(envelope)
    return (
        number,
        message.queue_id,
        message.received,
        message.size,
        message.eight_bit,
        message.priority,
        message.trace,
        message.body_file,
        _encode(envelope).decode(),
        _texts(message.metadata) if message.metadata else None,
        message.header,
        None if message.body_file is not None else message.body,
        _encode(message.decisions).decode() if message.decisions else None,
        None if message.origin is OUTSIDE else str(message.origin),
        None if message.arrival is None else _encode(message.arrival).decode(),
    )


def message_of(row: Row) -> Message:
    """
    Read what LOAD found.
    """
    queue_id, received, size, eight_bit, priority, trace, body_file, envelope, metadata, header, body, *rest = row
    decisions, origin, arrival = rest
    try:
        f"{trace}{body_file}".encode()
        return Message(
            queue_id,
            received,
            _envelope(envelope),
            header,
            body,
            body_file,
            size,
            bool(eight_bit),
            _metadata(metadata) if metadata else {},
            trace,
            priority,
            _decisions(decisions) if decisions else (),
            origin=read_origin(origin),
            arrival=_arrival(arrival) if arrival else None,
        )
    except UNREADABLE as failure:
        raise SpoolError(f"the stored envelope of {queue_id} cannot be read: {failure}") from failure


def delivery_row(delivery: Delivery, listed: int | None = None) -> Row:
    """
    Make the parameters of INSERT_DELIVERY.
    """
    return (
        delivery.queue_id,
        delivery.domain,
        delivery.received,
        _status(delivery),
        delivery.attempts,
        delivery.next_attempt,
        delivery.priority,
        delivery.last_error,
        _states(delivery),
        delivery.held_since,
        listed,
    )


def update_row(delivery: Delivery, keep_until: float | None) -> Row:
    """
    Make the parameters of UPDATE_DELIVERY; what is at its end is not scheduled any more. Of the history, the last one
    is added to what is there.
    """
    return (
        _status(delivery),
        delivery.attempts,
        None if delivery.status in END else delivery.next_attempt,
        delivery.priority,
        delivery.last_error,
        _states(delivery),
        delivery.held_since,
        keep_until if delivery.status in END else None,
        delivery.queue_id,
        delivery.domain,
        _encode(delivery.history[-1]).decode() if delivery.history else None,
    )


def managed_row(delivery: Delivery) -> Row:
    """
    Make the first parameters of MANAGE_DELIVERY.
    """
    return (
        delivery.received,
        _status(delivery),
        delivery.attempts,
        None if delivery.status in END else delivery.next_attempt,
        delivery.last_error,
        _states(delivery),
        delivery.held_since,
    )


def standing(delivery: Delivery) -> Row:
    """
    Make the parameters that name a delivery and how it stands.
    """
    return delivery.queue_id, delivery.domain, _status(delivery), delivery.attempts


def delivery_of(row: Row) -> Delivery:
    """
    Read a row that DUE found, perhaps with its history.
    """
    queue_id, domain, received, status, attempts, next_attempt, priority, last_error, recipients, *rest = row
    held_since, history = rest if len(rest) > 1 else (rest[0], None)
    try:
        f"{queue_id}{domain}{last_error}".encode()
        for number in (received, attempts, priority, _some(next_attempt), _some(held_since)):
            if not isinstance(number, _NUMBER):
                raise ValueError("a number is damaged")
        return Delivery(
            queue_id,
            domain,
            received,
            _recipients(recipients),
            Status(status),
            attempts,
            next_attempt,
            last_error,
            priority,
            held_since,
            _history(history) if history else (),
        )
    except UNREADABLE as failure:
        raise SpoolError(f"the stored delivery of {queue_id} to {domain} cannot be read: {failure}") from failure


def text(octets: bytes) -> str:
    """
    Read a text that may be damaged: what is no UTF-8 becomes what neither `delivery_of` nor `message_of` takes.
    """
    return octets.decode(errors="surrogateescape")


def _some(number: float | None) -> float:
    return 0.0 if number is None else number


def names(texts: Sequence[str]) -> str:
    """
    Spell a list of names out for json_each.
    """
    return _encode(texts).decode()


def as_stored(delivery: Delivery) -> Delivery:
    """
    Tell how a delivery comes back: an attempt that is under way is one that is still to be made.
    """
    return delivery_of(delivery_row(delivery)[:-1])


def head_row(row: Row) -> Head:
    """
    Read what HEADS found.
    """
    queue_id, received, size, body_file, envelope = row
    try:
        read = _envelope(envelope)
    except UNREADABLE as failure:
        raise SpoolError(f"the stored envelope of {queue_id} cannot be read: {failure}") from failure
    sender = "" if read.reverse_path is None else read.reverse_path.text
    return Head(queue_id, received, size, sender, len(read.recipients), body_file)


def _texts(texts: dict[str, str]) -> str:
    """
    Write a dict of texts; TypeError for what is none.
    """
    "".join(texts)
    _check_texts(texts)
    return _encode(texts).decode()


def _check_envelope(envelope: Envelope) -> None:
    """
    Raise TypeError or AttributeError if there is something in it that is no text.
    """
    if envelope.parameters:
        _check_texts(envelope.parameters)
    if envelope.reverse_path is not None:
        _check_address(envelope.reverse_path)
    for recipient in envelope.recipients:
        _check_address(recipient.address)
        if recipient.parameters or recipient.parameters is None:
            _check_texts(recipient.parameters)


def _check_texts(texts: dict[str, str]) -> None:
    """
    Raise TypeError unless all values are texts: others could be written, but not read again.
    """
    "".join(texts.values())


def _check_address(address: Address) -> None:
    """
    The same for the texts of an address.
    """
    "".join((address.local, address.domain, address.text))


def _status(delivery: Delivery) -> str:
    return "pending" if delivery.status is Status.IN_PROGRESS else str(delivery.status.value)


def _states(delivery: Delivery) -> str:
    return _encode(delivery.recipients).decode().replace('"status":"in-progress"', '"status":"pending"')
