"""
What the spool keeps comes back the same through real SQLite; a row that was damaged is SpoolError and nothing else.

The parts of the input: sender, parameters, header, body, metadata's key and value, trace, then for each recipient its
address, its parameters, the peer's name and the peer's reply. The last part also damages the stored texts.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import suppress
from typing import Final

import attrs

from empath.errors import SpoolError
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.spool import schema
from empath.spool.rows import delivery_of, delivery_row, message_of, message_row, update_row
from fuzz.fields import Fields

QUEUE_ID: Final = "01JD0000000000000000000001"
STATUSES: Final = tuple(Status)
MOST: Final = 5  # recipients
TOKENS: Final = (
    b"\x1e",
    b"\x1e",
    b"ann@example.com",
    b'"a b"@example.net',
    b"KEY=value",
    b"550 5.1.1 unknown",
    b"250 2.0.0 ok\nsecond",
    b"\xf0\x9f\x93\xae",
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b'"status":"in-progress"',
    b'{"reverse_path":null,"recipients":[]}',
    b"null",
    b"[]",
    b'"code":99',
    b"[" * 2000,
    b"1e400",
)


def message_in(fields: Fields) -> tuple[Message, Delivery]:
    """
    Make a message and a delivery of it.
    """
    sender = None if fields.flags & 1 else fields.address()
    parameters = fields.parameters()
    header, body = fields.raw(), fields.raw()
    key, value, trace = fields.text(), fields.text(), fields.text()
    status = STATUSES[(fields.flags >> 1) % len(STATUSES)]
    states = [state_in(fields, status)]
    while fields.left and len(states) < MOST:
        states.append(state_in(fields, status))
    envelope = Envelope(sender, tuple(state.recipient for state in states), parameters)
    message = Message(
        QUEUE_ID, 1000.25, envelope, header, body, None, len(header + body), False, {key: value} if key else {}, trace
    )
    last = states[-1].reply
    delivery = Delivery(
        QUEUE_ID, states[0].address.domain, 1000.25, tuple(states), status, 3, 1060.5, str(last) if last else "", 1
    )
    return message, delivery


def state_in(fields: Fields, status: Status) -> RecipientState:
    """
    Make a recipient's state.
    """
    return RecipientState(
        Recipient(fields.address(), fields.parameters()), status, host=fields.text(), reply=fields.reply()
    )


def as_stored(delivery: Delivery) -> Delivery:
    """
    Tell how a delivery has to come back: what was under way is pending.
    """
    if delivery.status is not Status.IN_PROGRESS:
        return delivery
    states = tuple(attrs.evolve(state, status=Status.PENDING) for state in delivery.recipients)
    return attrs.evolve(delivery, recipients=states, status=Status.PENDING)


def through_sqlite(message: Message, delivery: Delivery) -> None:
    """
    Store, load, change and load again.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statements in schema.MIGRATIONS:
            for statement in statements:
                connection.execute(statement)
        connection.execute(schema.INSERT_MESSAGE, message_row(7, message))
        assert message_of(connection.execute(schema.LOAD, (QUEUE_ID,)).fetchone()) == message
        connection.execute(schema.INSERT_DELIVERY, delivery_row(delivery))
        (found,) = connection.execute(schema.DUE, (2000.0, "[]", 10)).fetchall()
        assert delivery_of(found) == as_stored(delivery)
        connection.execute(schema.UPDATE_DELIVERY, update_row(attrs.evolve(delivery, status=Status.RETRY), None))
        (found,) = connection.execute(schema.DUE, (2000.0, "[]", 10)).fetchall()
        assert attrs.evolve(delivery_of(found), status=delivery.status).recipients == as_stored(delivery).recipients
    finally:
        connection.close()


def damaged(message: Message, delivery: Delivery, damage: str) -> None:
    """
    Read rows whose texts are not what we wrote.
    """
    stored, columns = message_row(7, message)[1:], delivery_row(delivery)
    for envelope, metadata in ((damage, stored[8]), (stored[7], damage), (broken(stored[7], damage), stored[8])):
        with suppress(SpoolError):
            message_of((*stored[:7], envelope, metadata, *stored[9:]))
    for status, states in ((columns[3], damage), (damage, columns[8]), (columns[3], broken(columns[8], damage))):
        with suppress(SpoolError):
            delivery_of((*columns[:3], status, *columns[4:8], states, *columns[9:]))


def broken(text: str, damage: str) -> str:
    """
    Put the damage somewhere into a stored text.
    """
    at = zlib.crc32(damage.encode()) % (len(text) + 1)
    return text[:at] + damage + text[at + len(damage) :]


def one_input(data: bytes) -> None:
    """
    Keep one message.
    """
    fields = Fields(data)
    message, delivery = message_in(fields)
    through_sqlite(message, delivery)
    damaged(message, delivery, data[1:].rpartition(b"\x1e")[2].decode("utf-8", "replace"))
