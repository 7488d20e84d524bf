"""
A stored message as it is shown.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.control.serving import NotFound
from empath.control.terms.queue import (
    ArrivalRow,
    AttemptRow,
    DeliveryView,
    MessageView,
    RecipientRow,
)
from empath.errors import MessageUnknown
from empath.interfaces import ISpool
from empath.mail.arrival import Arrival
from empath.mail.attempt import Attempt
from empath.mail.history import PastAttempt
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.preview import BINARY, fields_of, text_of
from empath.mail.queue_id import is_queue_id
from empath.policy.selection import Key, Selection
from empath.queue.listing import Listing
from empath.service.control.paging import at, moment

MOST_DELIVERIES: Final = 500
MOST_RECIPIENTS: Final = 5000
PAGE: Final = 200
ENOUGH: Final = 8192  # octets of a body


@attrs.frozen(slots=True)
class Stored:
    """
    A message with its deliveries, the first of them; `more` are those beyond.
    """

    message: Message
    deliveries: tuple[Delivery, ...]
    more: int


class Viewing:
    """
    Reads messages and shows them; `listing` knows what is being attempted.
    """

    def __init__(self, spool: ISpool, listing: Listing) -> None:
        self._spool = spool
        self._listing = listing

    async def read(self, queue_id: str) -> Stored:
        """
        Read a message with its deliveries. NotFound if it is gone, or was never there.
        """
        if not is_queue_id(queue_id):
            raise NotFound(f"{queue_id!r} is no queue id: those have 26 letters and digits")
        try:
            message = await self._spool.load(queue_id)
        except MessageUnknown as unknown:
            raise NotFound(f"{queue_id} is not in the queue") from unknown
        found: list[Delivery] = []
        more, after = 0, ("", "")
        where: Key | None = after
        while where is not None:
            page = await self._spool.select(Selection(queue_id=queue_id), where, PAGE)
            room = MOST_DELIVERIES - len(found)
            found += page.deliveries[:room]
            more += len(page.deliveries[room:])
            where = page.after
        return Stored(message, tuple(found), more)

    async def show(self, stored: Stored) -> MessageView:
        """
        Show it.
        """
        message, room, views = stored.message, MOST_RECIPIENTS, list[DeliveryView]()
        for each in stored.deliveries:
            views.append(self._delivery(each, room))
            room -= len(views[-1].recipients)
        reverse_path = message.envelope.reverse_path
        return MessageView(
            message.queue_id,
            at(message.received),
            message.size,
            message.priority,
            "" if reverse_path is None else reverse_path.text,
            dict(message.envelope.parameters),
            arrival_row(message),
            dict(message.metadata),
            tuple(views),
            fields_of(message.header),
            await self._beginning(message),
            stored.more,
        )

    async def _beginning(self, message: Message) -> str:
        """
        Give the beginning of the body; of what lies in a file only that is read.
        """
        if message.binary:
            return BINARY
        if message.body is not None:
            return text_of(message.header, message.body[:ENOUGH], len(message.body) <= ENOUGH)
        reader = self._spool.open_body(message)
        try:
            beginning = await reader.read()
        finally:
            reader.close()
        whole = len(message.header) + len(beginning) >= message.size and len(beginning) <= ENOUGH
        return text_of(message.header, beginning[:ENOUGH], whole)

    def _delivery(self, delivery: Delivery, room: int) -> DeliveryView:
        recipients = delivery.recipients
        in_progress = self._listing.is_in_progress((delivery.queue_id, delivery.domain))
        return DeliveryView(
            delivery.domain,
            status_of(delivery, in_progress),
            delivery.attempts,
            moment(delivery.next_attempt),
            delivery.last_error,
            moment(delivery.held_since),
            tuple([_recipient(each) for each in recipients[:room]]),
            tuple([attempt_row(each) for each in delivery.history]),
            max(0, len(recipients) - room),
        )


def status_of(delivery: Delivery, in_progress: bool) -> str:
    """
    Tell the status in the contract's words.
    """
    return Status.IN_PROGRESS.value if in_progress else delivery.status.value


def arrival_row(message: Message) -> ArrivalRow:
    """
    Tell how a message came.
    """
    arrival, origin = message.arrival, message.origin.source.value
    if arrival is None:
        return ArrivalRow(origin=origin, login=message.origin.login)
    return ArrivalRow(
        arrival.session_id,
        arrival.peer,
        arrival.port,
        arrival.listener,
        arrival.name,
        arrival.protocol,
        arrival.tls,
        arrival.cipher,
        _login(arrival, message),
        origin,
    )


def attempt_row(past: PastAttempt) -> AttemptRow:
    """
    Tell of an attempt, with its phases as far as it came.
    """
    return AttemptRow(
        past.number,
        at(past.started),
        at(past.ended),
        past.host,
        past.address,
        past.port,
        past.tls,
        past.cipher,
        past.security,
        past.reused,
        phases(past, past.ended),
        past.result,
        past.reply,
    )


def phases(attempt: PastAttempt | Attempt, end: float) -> dict[str, float]:
    """
    Tell the seconds that each step took, the last one until `end`.
    """
    steps = (("dns", attempt.resolved), ("connect", attempt.connected), ("tls", attempt.secured))
    found, last = {}, attempt.started
    for name, moment_of_it in steps:
        if moment_of_it:
            found[name] = _rounded(moment_of_it - last)
            last = moment_of_it
    reached = attempt.reused or bool(attempt.connected)
    name = "transaction" if reached else "connect" if attempt.resolved else "dns"
    found[name] = _rounded(found.get(name, 0.0) + end - last)
    return found


def _rounded(seconds: float) -> float:
    return round(max(0.0, seconds), 6)


def _login(arrival: Arrival, message: Message) -> str:
    return arrival.login or message.origin.login


def _recipient(state: RecipientState) -> RecipientRow:
    reply = "" if state.reply is None else str(state.reply)
    return RecipientRow(state.address.text, state.status.value, reply, state.host, state.category, state.doubtful)
