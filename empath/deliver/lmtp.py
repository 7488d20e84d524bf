"""
Delivery over LMTP (RFC 2033) to whoever keeps the mailboxes, by TCP or a UNIX socket: the strategy "lmtp".

All of it is done as over SMTP, by the same agent and its pool: see `empath.deliver.smtp`. What the protocol has of its
own is in `empath.smtp.client_lmtp`.
"""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import implementer

from empath.deliver.smtp import SmtpAgent
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome


@implementer(IAgent)
class LmtpAgent:
    """
    Hands deliveries to `agent`, whose settings and connections they share: it alone is reconfigured and stopped.
    """

    def __init__(self, agent: SmtpAgent) -> None:
        self._agent = agent

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        See `IAgent`; the route of the delivery says that it goes by LMTP.
        """
        return self._agent.deliver(message, delivery, attempt)

    def stop(self) -> None:
        """
        Nothing of its own is open.
        """
