"""
BY=: until when a message is to be delivered, and what becomes of it then (RFC 2852).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.message import Message

_BY: Final = re.compile(r"(-?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)


@attrs.frozen(slots=True)
class DeliverBy:
    """
    `deadline` is in seconds since the epoch. `returned`: what is not delivered by then goes back to the sender
    (mode R). `told`: the sender is told once that it is late, and delivery goes on (mode N). `trace`: the sender is
    told of each relay (T).

    Mode N with a time that was over when the message came has none of them: an MTA before us told of it.
    """

    deadline: float
    returned: bool
    told: bool
    trace: bool


def deliver_by(message: Message) -> DeliverBy | None:
    """
    Read the message's BY= parameter; None without one that can be read.
    """
    match = _BY.fullmatch(message.envelope.parameters.get("BY", ""))
    if match is None:
        return None
    seconds, returned = int(match[1]), match[2] in "Rr"
    return DeliverBy(message.received + seconds, returned, not returned and seconds > 0, bool(match[3]))


def lapsed(message: Message, now: float) -> bool:
    """
    Tell whether the message may not be delivered any more: its time is over, and the mode is R.
    """
    if "BY" not in message.envelope.parameters:
        return False
    by = deliver_by(message)
    return by is not None and by.returned and now >= by.deadline
