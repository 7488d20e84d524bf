"""
Bounces: the report that tells a sender what could not be delivered, made as a message for our own spool.

Ignored: failures of mail with a null reverse-path, our own reports among them: they end here, with an event.
"""

from __future__ import annotations

import random

from twisted.internet.interfaces import IReactorTime

from empath.config import schema
from empath.mail.dsn import Reporting, failure_report
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import Emit, ReportDropped
from empath.mail.message import Delivery, Message, RecipientState, deliveries_of
from empath.mail.queue_id import new_queue_id


class Reporter:
    """
    Makes reports as [delivery.dsn] says; `hostname` stands in for the names that it leaves empty.
    """

    def __init__(
        self, section: schema.Dsn, hostname: str, clock: IReactorTime, chance: random.Random, emit: Emit
    ) -> None:
        self._hostname = hostname
        self._clock = clock
        self._chance = chance
        self._emit = emit
        self.reconfigure(section)

    def reconfigure(self, section: object) -> None:
        """
        Use another [delivery.dsn] from the next report on.
        """
        assert isinstance(section, schema.Dsn)
        mta = section.reporting_mta or self._hostname
        self._enabled = section.enabled
        self._reporting = Reporting(mta, section.postmaster or f"MAILER-DAEMON@{mta}", section.max_returned)

    def report_for(
        self, message: Message, results: tuple[RecipientState, ...]
    ) -> tuple[Message, tuple[Delivery, ...]] | None:
        """
        Make the report that the recipients in `results` failed, not stored yet; None if there is to be none.

        There is none for a null reverse-path (RFC 5321 §4.5.5), for recipients whose NOTIFY asks for none on failure
        (RFC 3461 §4.1), and where reports are disabled.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            self._emit(ReportDropped(message, "the reverse-path is null: nobody is told"))
            return None
        owed = tuple(state for state in results if _wants_failure(state))
        if not (self._enabled and owed):
            return None
        now = self._clock.seconds()
        queue_id = new_queue_id(now, self._chance)
        header, body = failure_report(queue_id, now, message, owed, self._reporting)
        eight_bit = not (header.isascii() and body.isascii())
        parameters = {"BODY": "8BITMIME"} if eight_bit else {}
        envelope = Envelope(None, (Recipient(sender),), parameters)
        report = Message(queue_id, now, envelope, header, body, None, len(header) + len(body), eight_bit)
        return report, deliveries_of(report)


def _wants_failure(state: RecipientState) -> bool:
    """
    Tell whether a recipient's failure is to be reported: NOTIFY is absent or names FAILURE.
    """
    notify = state.recipient.parameters.get("NOTIFY")
    return notify is None or "FAILURE" in notify.upper().split(",")
