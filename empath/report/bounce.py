"""
Reports: what tells a sender that mail failed, is late or has arrived, made as a message for our own spool.

Ignored: failures of mail with a null reverse-path, our own reports among them: they end here, with an event.
"""

from __future__ import annotations

import random

from twisted.internet.interfaces import IReactorTime

from empath.config import schema
from empath.mail.dsn import Reporting, Write, as_drafted, delivery_report, needs_utf8
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import Emit, ReportDropped
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.notice import Action, Notice
from empath.mail.origin import OWN
from empath.mail.queue_id import new_queue_id
from empath.mail.traces import Traces
from empath.mail.wish import REQUIRE_TLS
from empath.policy.incoming import PLACE


class Reporter:
    """
    Makes reports as [delivery.dsn] says; `hostname` stands in for the names that it leaves empty. `write` writes what
    people read of them, `traces` knows what is traced.
    """

    def __init__(
        self, section: schema.Dsn, hostname: str, clock: IReactorTime, chance: random.Random, emit: Emit
    ) -> None:
        self._hostname = hostname
        self._clock = clock
        self._chance = chance
        self._emit = emit
        self.write: Write = as_drafted
        self.traces = Traces()
        self.reconfigure(section)

    def reconfigure(self, section: object) -> None:
        """
        Use another [delivery.dsn] from the next report on.
        """
        assert isinstance(section, schema.Dsn)
        mta = section.reporting_mta or self._hostname
        self._enabled = section.enabled
        self._reporting = Reporting(mta, section.postmaster or f"postmaster@{self._hostname}", section.max_returned)

    def report_for(self, message: Message, notices: tuple[Notice, ...]) -> tuple[Message, tuple[Delivery, ...]] | None:
        """
        Make the one report that tells of all these, not stored yet; None if there is to be none.

        There is none for a null reverse-path (RFC 5321 §4.5.5), of mail that we were to read ourselves, and where
        reports are disabled. A report is as urgent as what it is about.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            if any(notice.action is Action.FAILED for notice in notices):
                self._emit(ReportDropped(message, "the reverse-path is null: nobody is told"))
            return None
        notices = tuple([notice for notice in notices if notice.state.address.domain != PLACE])
        if not (self._enabled and notices):
            return None
        now = self._clock.seconds()
        queue_id = new_queue_id(now, self._chance)
        header, body = delivery_report(queue_id, now, message, notices, self._reporting, self.write)
        eight_bit = not (header.isascii() and body.isascii())
        envelope = Envelope(None, (Recipient(sender),), _parameters(message, notices, eight_bit))
        size = len(header) + len(body)
        trace, urgent = self.traces.written(queue_id, message.trace), message.priority
        report = Message(
            queue_id, now, envelope, header, body, None, size, eight_bit, trace=trace, priority=urgent, origin=OWN
        )
        return report, deliveries_of(report)


def _parameters(message: Message, notices: tuple[Notice, ...], eight_bit: bool) -> dict[str, str]:
    """
    Give the parameters of MAIL that the report goes out with.
    """
    parameters = {"BODY": "8BITMIME"} if eight_bit else {}
    if needs_utf8(message, notices):
        parameters["SMTPUTF8"] = ""
    if message.priority:
        parameters["MT-PRIORITY"] = str(message.priority)
    if REQUIRE_TLS in message.envelope.parameters:  # it tells of that mail (RFC 8689 §5)
        parameters[REQUIRE_TLS] = ""
    return parameters
