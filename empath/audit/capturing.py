"""
What is kept of a life event until its record is made, which is done in another thread: references, in a tuple.

This is all that the audit trail does on the reactor for each message, so it does as little as it can: nothing is
formatted here. What may change later, such as a session, is read here and now, and no content is kept alive.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from empath.audit import attempt_records, life_records, safety_records
from empath.audit.making import RECIPIENT_WEIGHT, WEIGHT, Capture
from empath.mail import life, life_safety
from empath.mail.arrival import arrival_of
from empath.mail.message import Message
from empath.mail.session import Session

Take = Callable[[Capture, int], None]
Subscribe = Callable[[Any, Callable[[Any], None]], object]

HEADER_READ: Final = 16 * 1024  # octets of a header block in which a subject is looked for
HEADER_KEPT: Final = 4 * 1024
_TOLD: Final = re.compile(rb"^(?:subject|message-id)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


class Capturing:
    """
    Listens to life events; what is captured goes to `take`, and about how many octets that keeps alive. `now` tells the
    seconds since the epoch. `with_content`: what the header says of a message's content is captured, too.
    """

    def __init__(self, take: Take, now: Callable[[], float], with_content: bool = False) -> None:
        self._take = take
        self._now = now
        self.with_content = with_content

    def listen(self, subscribe: Subscribe) -> None:
        """
        Subscribe to all that makes a record.
        """
        subscribe(life.MessageReceived, self._received)
        subscribe(life.CommandAnswered, self._refused)
        subscribe(life.AttemptEnded, self._attempted)
        subscribe(life.MessageDiscarded, self._discarded)
        subscribe(life.ReportQueued, self._as_it_is(life_records.report_queued, _about_report))
        subscribe(life.ReportDropped, self._as_it_is(life_records.report_dropped, _about_dropped))
        for event_type, make in safety_records.MADE.items():
            subscribe(event_type, self._as_it_is(make, _event))
        subscribe(life_safety.CopyRefused, self._copy)

    def received(self, message: Message, session: Session | None, seconds: float | None = None) -> Capture:
        """
        Capture a message that is ours, or is about to be.
        """
        arrival = message.arrival
        if arrival is None and session is not None:
            arrival = arrival_of(session)
        header = _told(message.header) if self.with_content else b""
        return (
            life_records.queued if session is None else life_records.received,
            self._now(),
            message.queue_id,
            message.envelope,
            message.size,
            arrival,
            message.decisions,
            message.origin,
            seconds,
            header,
        )

    def _received(self, event: life.MessageReceived) -> None:
        if not event.recorded:
            capture = self.received(event.message, event.session, event.seconds)
            self._take(capture, weight_of(event.message) + len(capture[-1]))
        if event.held:
            now, message = self._now(), event.message
            self._take((life_records.held, now, message.queue_id, message.envelope, event.held), weight_of(message))

    def _attempted(self, event: life.AttemptEnded) -> None:
        attempt, delivery, message = event.attempt, event.delivery, event.message
        self._take(
            (
                attempt_records.attempted,
                self._now(),
                message.queue_id,
                message.envelope.reverse_path,
                delivery.domain,
                delivery.next_attempt,
                event.results,
                attempt.number,
                attempt.started,
                attempt.resolved,
                attempt.connected,
                attempt.secured,
                attempt.ended,
                attempt.host,
                attempt.address,
                attempt.port,
                attempt.tls,
                attempt.security,
                attempt.site,
            ),
            WEIGHT + RECIPIENT_WEIGHT * len(event.results),
        )

    def _refused(self, event: life.CommandAnswered) -> None:
        transaction = event.transaction
        queue_id, sender = ("", None) if transaction is None else (transaction.queue_id, transaction.reverse_path)
        opened = transaction is not None
        self._take(
            (
                life_records.refused,
                self._now(),
                arrival_of(event.session),
                event.verb,
                event.reply,
                queue_id,
                opened,
                sender,
                event.recipient,
                event.decided_by,
                event.why,
            ),
            WEIGHT,
        )

    def _discarded(self, event: life.MessageDiscarded) -> None:
        message = event.message
        self._take(
            (
                life_records.discarded,
                self._now(),
                message.queue_id,
                message.envelope,
                message.size,
                arrival_of(event.session),
                event.decided_by,
                event.why,
            ),
            weight_of(message),
        )

    def _copy(self, event: life_safety.CopyRefused) -> None:
        self._take(
            (life_records.copy_refused, self._now(), event.queue_id, event.recipients, arrival_of(event.session)),
            WEIGHT + RECIPIENT_WEIGHT * len(event.recipients),
        )

    def _as_it_is(self, make: Any, read: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], None]:
        def capture(event: Any) -> None:
            self._take((make, self._now(), *read(event)), _weight_of_event(event))

        return capture


def weight_of(message: Message) -> int:
    """
    Tell about how many octets the capture of a message keeps alive.
    """
    return WEIGHT + RECIPIENT_WEIGHT * len(message.envelope.recipients)


def _weight_of_event(event: Any) -> int:
    match event:
        case life.ReportQueued() | life.ReportDropped():
            return weight_of(event.message)
        case life_safety.ControlUsed():
            return WEIGHT + len(event.arguments)
        case _:
            return WEIGHT


def _told(header: bytes) -> bytes:
    """
    Keep of a header block the fields that are told of, and not the rest while it waits.
    """
    return b"".join(_TOLD.findall(header, 0, HEADER_READ))[:HEADER_KEPT]


def _event(event: Any) -> tuple[Any, ...]:
    return (event,)


def _about_report(event: life.ReportQueued) -> tuple[Any, ...]:
    """
    Keep of a report what names it, and not its content.
    """
    message = event.message
    return message.queue_id, message.envelope, event.report.queue_id, event.action


def _about_dropped(event: life.ReportDropped) -> tuple[Any, ...]:
    return event.message.queue_id, event.message.envelope, event.reason
