"""
Delivery to nowhere: the mail counts as delivered, and is gone. Its content is not even read.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from twisted.internet.defer import succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Custody, Outcome, Success
from empath.mail.reply import Reply

DISCARDED: Final = Success(Reply(250, "2.0.0", ("discarded",)), custody=Custody.DELIVERED)


@implementer(IAgent)
class DiscardAgent:
    """
    Discards; the log and the metrics tell of it as of every delivery.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        See `IAgent`.
        """
        attempt.ended = self._clock.seconds()
        return succeed((DISCARDED,) * len(delivery.open_recipients))

    def stop(self) -> None:
        """
        Nothing is held.
        """
