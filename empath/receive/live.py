"""
A session as it is now, for people who look at it.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.session import Session
from empath.smtp.events import Verb
from empath.smtp.server_states import State

STEPS: Final = {
    State.CONNECTED: "connected",
    State.GREETED: "greeted",
    State.MAIL: "mail",
    State.RCPT: "recipients",
    State.CONTENT: "content",
    State.CHUNKS: "content",
    State.AUTH: "login",
    State.HANDSHAKE: "handshake",
    State.CLOSED: "closing",
}


@attrs.frozen(slots=True)
class Live:
    """
    One session. `seconds` since it began, `idle` since the dialogue last moved: half a command moves nothing; octets as
    they are within TLS; `errors` are those that count against the limit.

    `step` is "greeting" (it was not greeted yet), "handshake", "connected" (EHLO is awaited), "greeted", "login",
    "mail", "recipients", "content", "closing"; "deciding" while a command waits for our answer, "storing" while a
    message, or a chunk of it, does.
    """

    session: Session
    step: str
    seconds: float
    idle: float
    octets_in: int
    octets_out: int
    messages: int
    errors: int
    sender: str
    recipients: int


def step_of(state: State, pending: Verb | None) -> str:
    """
    Name the step that a session which was greeted is in; `pending` is the command that waits for an answer.
    """
    if pending is None or state is State.CLOSED:
        return STEPS[state]
    return "storing" if state is State.CONTENT else "deciding"
