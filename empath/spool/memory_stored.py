"""
One message in the spool in memory, with its deliveries.
"""

from __future__ import annotations

from math import inf

import attrs

from empath.mail.deliver_by import deliver_by
from empath.mail.history import PastAttempt, remembered
from empath.mail.message import Delivery, Message
from empath.policy.selection import Key, Selection


@attrs.define(slots=True)
class Stored:
    """
    `deliveries` by their domains; those at their end stay until the time in `kept`. The senders of those in `warned`
    were told of a delay. `histories` are what is remembered of attempts.
    """

    message: Message
    deliveries: dict[str, Delivery]
    kept: dict[str, float] = attrs.field(factory=dict)
    warned: set[str] = attrs.field(factory=set)
    histories: dict[str, tuple[PastAttempt, ...]] = attrs.field(factory=dict)

    def remember(self, delivery: Delivery) -> None:
        """
        Add the last attempt of a delivery to what is remembered.
        """
        if delivery.history:
            before = self.histories.get(delivery.domain, ())
            self.histories[delivery.domain] = remembered(before, delivery.history[-1])

    def is_late(self, delivery: Delivery, now: float) -> bool:
        """
        Tell whether the time to deliver by is over, and no sender was told so.
        """
        by = deliver_by(self.message)
        told = any(state.late for state in delivery.recipients)
        return by is not None and now >= by.deadline and (by.returned or by.told) and not told

    def chosen(self, selection: Selection, after: Key) -> list[Delivery]:
        """
        Give the deliveries behind a key that fit.
        """
        if not selection.fits_message(self.message):
            return []
        found = self.deliveries.values()
        chosen = [each for each in found if (each.queue_id, each.domain) > after and selection.fits(each)]
        if selection == Selection(queue_id=self.message.queue_id):
            return [attrs.evolve(each, history=self.histories.get(each.domain, ())) for each in chosen]
        return chosen

    def delayed(self, received: float, after: Key) -> list[Delivery]:
        """
        Give the deliveries behind a key that take long, and of which no sender was told.
        """
        return [
            each
            for each in self.deliveries.values()
            if each.next_attempt is not None and each.received <= received and each.domain not in self.warned
            if (each.queue_id, each.domain) > after
        ]

    def is_untold(self, delivery: Delivery) -> bool:
        """
        Tell whether a delivery stands so, is scheduled, and no sender was told of its delay.
        """
        return self.stands(delivery) and any(each.domain == delivery.domain for each in self.delayed(inf, ("", "")))

    def stands(self, delivery: Delivery) -> bool:
        """
        Tell whether a delivery is here, and stands so.
        """
        found = self.deliveries.get(delivery.domain)
        return found is not None and (found.status, found.attempts) == (delivery.status, delivery.attempts)
