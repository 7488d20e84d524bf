"""
Verdicts: what a check or a module decides about one step of a session.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

from empath.mail.reply import Reply


class Action(Enum):
    """
    What a verdict does.
    """

    ACCEPT = "accept"
    REFUSE = "refuse"  # 5yz, or 4yz from `tempfail`: the step fails, the session goes on
    DISCONNECT = "disconnect"  # the reply is sent and the connection closed
    DISCARD = "discard"  # the peer hears success, the message is dropped and an event says so


@attrs.frozen(slots=True)
class Verdict:
    """
    One decision, with the reply that goes with it (None for ACCEPT and DISCARD), who decided, and why: the reason is
    for the operator, no peer hears it.
    """

    action: Action
    reply: Reply | None = None
    decided_by: str = ""
    why: str = ""


ACCEPTED: Final = Verdict(Action.ACCEPT)


def accept(why: str = "") -> Verdict:
    """
    Let it pass, as far as the one who decides is concerned: the others are still asked.
    """
    return Verdict(Action.ACCEPT, why=why) if why else ACCEPTED


def refuse(reply: str, why: str = "") -> Verdict:
    """
    Refuse with a 5yz (or 4yz) reply such as "550 5.7.1 not here"; ValueError for any other.
    """
    parsed = Reply.of(reply)
    if parsed.code < 400:
        raise ValueError(f"a refusal needs a 4yz or 5yz reply, not {reply!r}")
    return Verdict(Action.REFUSE, parsed, why=why)


def tempfail(reply: str, why: str = "") -> Verdict:
    """
    Refuse for now, with a 4yz reply such as "451 4.7.1 come back tomorrow"; ValueError for any other.
    """
    verdict = refuse(reply, why)
    if verdict.reply is None or not verdict.reply.transient:
        raise ValueError(f"a temporary refusal needs a 4yz reply, not {reply!r}")
    return verdict


def disconnect(reply: str = "421 4.7.0 closing connection", why: str = "") -> Verdict:
    """
    Send the reply and close the connection.
    """
    return Verdict(Action.DISCONNECT, Reply.of(reply), why=why)


def discard(why: str = "") -> Verdict:
    """
    Tell the peer that all is well and drop the message.
    """
    return Verdict(Action.DISCARD, why=why)
