"""
The suppression list before an attempt: who is on it gets nothing, and the sender is told.

Fatal: nothing. Retried: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.interfaces import IAgent
from empath.mail.address import Address
from empath.mail.attempt import Attempt
from empath.mail.message import LIVE, Delivery, Message
from empath.mail.origin import Source
from empath.mail.outcome import Outcome, PermanentFailure, Scope
from empath.policy.suppressed import refusal_of


class SuppressionList(Protocol):
    """
    The list, as far as it is looked at here.
    """

    enabled: bool

    def suppressed(self, address: Address) -> Any:
        """
        Give the entry of an address, with `why` it is on the list, None if it is not; at once or as an Awaitable.
        """


@implementer(IAgent)
class SparingAgent:
    """
    Hands deliveries to `agent` without the recipients of our own side's mail that are on the list.
    """

    def __init__(self, agent: IAgent, suppression: SuppressionList) -> None:
        self._agent = agent
        self._suppression = suppression

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        See `IAgent`.
        """
        if self._suppression.enabled and message.origin.source in (Source.LOGIN, Source.TRUSTED):
            found = [self._suppression.suppressed(state.address) for state in delivery.open_recipients]
            if any(each is not None for each in found):
                return Deferred.fromCoroutine(self._spare(message, delivery, attempt, found))
        return self._agent.deliver(message, delivery, attempt)

    def stop(self) -> Awaitable[None] | None:
        """
        See `IAgent`.
        """
        return self._agent.stop()

    async def _spare(
        self, message: Message, delivery: Delivery, attempt: Attempt, found: Sequence[Any]
    ) -> tuple[Outcome, ...]:
        """
        Deliver to the others.
        """
        entries = [await each if isinstance(each, Awaitable) else each for each in found]
        told: list[Outcome | None] = [
            None if entry is None else PermanentFailure(refusal_of(entry.why), Scope.RECIPIENT) for entry in entries
        ]
        open_ones = delivery.open_recipients
        left = [state for state, outcome in zip(open_ones, told, strict=True) if outcome is None]
        rest = await self._rest(message, delivery, attempt, left)
        return tuple([outcome if outcome is not None else next(rest) for outcome in told])

    async def _rest(self, message: Message, delivery: Delivery, attempt: Attempt, left: Sequence[Any]) -> Any:
        if not left:
            return iter(())
        ended = [state for state in delivery.recipients if state.status not in LIVE]
        return iter(await self._agent.deliver(message, attrs.evolve(delivery, recipients=(*ended, *left)), attempt))
