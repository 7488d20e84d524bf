"""
Signatures on what does not go over SMTP: it is signed as it is stored, before its agent has it.

Fatal: nothing. Retried: mail that should be signed and cannot be for now.
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.logger import Logger

from empath.deliver.cargo import UNSIGNED
from empath.deliver.streaming import OpenBody
from empath.errors import SigningFailed
from empath.interfaces import IAgent, ISigner
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome
from empath.policy.incoming import STRATEGY

APART: Final = frozenset({"smtp", "lmtp", "discard", STRATEGY})  # they sign what the server gets; nobody gets it

log = Logger()


@attrs.frozen(slots=True, eq=False)
class Signing:
    """
    Has mail signed by `signer`; `open_body` reads stored content.
    """

    signer: ISigner
    open_body: OpenBody

    async def deliver(
        self, agent: IAgent, message: Message, delivery: Delivery, attempt: Attempt
    ) -> tuple[Outcome, ...]:
        """
        As `IAgent.deliver`, with the signatures on top.
        """
        try:
            asked = self.signer.sign(message, self.open_body)
            fields = asked if isinstance(asked, bytes) else await asked
        except SigningFailed as failure:
            log.error("{queue_id}: cannot be signed, so it waits: {why}", queue_id=message.queue_id, why=failure)
            return (UNSIGNED,) * len(delivery.open_recipients)
        if fields:
            message = attrs.evolve(message, header=fields + message.header, size=message.size + len(fields))
        outcomes: tuple[Outcome, ...] = await agent.deliver(message, delivery, attempt)
        return outcomes
