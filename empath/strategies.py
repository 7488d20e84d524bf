"""
Ways to deliver, in Python: what their author imports. See docs/strategies.md.
"""

from __future__ import annotations

from empath.interfaces import IAgent, IBodyReader, IStrategyServices
from empath.mail.address import Address
from empath.mail.answer import Answer, Found
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState
from empath.mail.outcome import Custody, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.net.web_answer import Patience, WebAnswer

__all__ = (
    "Address",
    "Answer",
    "Attempt",
    "Custody",
    "Delivery",
    "Envelope",
    "Found",
    "IAgent",
    "IBodyReader",
    "IStrategyServices",
    "Message",
    "Outcome",
    "Patience",
    "PermanentFailure",
    "Recipient",
    "RecipientState",
    "Reply",
    "Scope",
    "Success",
    "TransientFailure",
    "WebAnswer",
)
