"""
An address that stands for several others, where its sender asked for a word on success: he is told "expanded", and the
others are asked for no such word (RFC 3461 §5.2.7), or he would hear from each, and learn who they are.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply

_SUCCESS: Final = "SUCCESS"
_EXPANDED: Final = Reply.of("250 2.1.5 passed on to several recipients")


@attrs.frozen(slots=True)
class Expanded:
    """
    A recipient, and whom it stood for.
    """

    recipient: Recipient
    addresses: tuple[Address, ...]


def wants_success(parameters: dict[str, str]) -> bool:
    """
    Tell whether the parameters of RCPT ask for a word on success.
    """
    notify = parameters.get("NOTIFY")
    return notify is not None and _SUCCESS in notify.upper().split(",")


def without_success(parameters: dict[str, str]) -> dict[str, str]:
    """
    Ask for the other words only; for none at all where there are no others.
    """
    words = [word for word in parameters["NOTIFY"].upper().split(",") if word != _SUCCESS]
    return {**parameters, "NOTIFY": ",".join(words) or "NEVER"}


def notices_of_expansion(message: Message, expanded: list[Expanded]) -> tuple[Notice, ...]:
    """
    Tell of those whose mail goes on to any of whom they stood for.
    """
    addresses = {recipient.address for recipient in message.envelope.recipients}
    return tuple(
        [
            Notice(RecipientState(each.recipient, Status.COMPLETED, _EXPANDED), Action.EXPANDED)
            for each in expanded
            if not addresses.isdisjoint(each.addresses)
        ]
    )
