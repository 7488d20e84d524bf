"""
What an attempt makes of a delivery, by our patience, and the report that it owes.

Ignored, but told: a report that cannot be made.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config import schema
from empath.mail.deliver_by import deliver_by
from empath.mail.message import Delivery, Message, Status
from empath.mail.notice import Notice, notices_of
from empath.mail.outcome import Outcome
from empath.mail.settlement import Settlement
from empath.policy.bounce import Classifier
from empath.policy.retry import Schedule
from empath.queue.entry import Entry
from empath.queue.settle import Decided, after_attempt

log = Logger()

Report = Callable[[Message, tuple[Notice, ...]], tuple[Message, tuple[Delivery, ...]] | None]
"""
Make the one report that tells the sender of all these, None if there is to be none.
"""


class Deciding:
    """
    Makes settlements as the section says.
    """

    def __init__(self, section: schema.Delivery, report: Report, clock: IReactorTime, chance: random.Random) -> None:
        self._report = report
        self._clock = clock
        self._chance = chance
        self.reconfigure(section)

    def reconfigure(self, section: schema.Delivery) -> None:
        """
        Use another section from now on.
        """
        self._section = section
        self._classify = Classifier([(each.match, each.category) for each in section.bounces.patterns]).category_of
        self._schedule = Schedule(
            section.base_retry_delay,
            section.retry_multiplier,
            section.max_retry_delay,
            section.retry_jitter_factor,
            section.max_attempts,
            section.message_expiration,
        )

    def decide(self, entry: Entry, message: Message, outcomes: tuple[Outcome, ...]) -> Decided:
        """
        Make the settlement of an attempt, with the report that it owes.
        """
        now = self._clock.seconds()
        before = entry.delivery
        by = deliver_by(message) if "BY" in message.envelope.parameters else None
        delivery, results = after_attempt(before, outcomes, now, self._schedule, self._chance, self._classify, by)
        if delivery.status is Status.RETRY:
            keep = 0.0
        elif delivery.status is Status.COMPLETED:
            keep = self._section.keep_completed
        else:
            keep = self._section.keep_failed
        keep_until = now + keep if keep else None
        if delivery.status is Status.COMPLETED and by is None and not _asks(before):
            return Settlement(delivery, keep_until=keep_until), results, ()
        until = before.received + self._schedule.expiration
        notices = notices_of(before.open_recipients, results, outcomes, by, until)
        report = self._report_on(message, notices) if notices else None
        if report is None:
            return Settlement(delivery, keep_until=keep_until), results, ()
        return Settlement(delivery, report[0], report[1], keep_until), results, notices

    def _report_on(self, message: Message, notices: tuple[Notice, ...]) -> tuple[Message, tuple[Delivery, ...]] | None:
        try:
            return self._report(message, notices)
        except Exception:  # the mail has failed all the same, and is kept for the operator to see
            log.failure("{queue_id}: no report could be made", queue_id=message.queue_id)
            return None


def _asks(delivery: Delivery) -> bool:
    """
    Tell whether any recipient came with parameters, such as NOTIFY.
    """
    for state in delivery.recipients:  # noqa: SIM110  any() costs three times as much for the usual one
        if state.recipient.parameters:
            return True
    return False
