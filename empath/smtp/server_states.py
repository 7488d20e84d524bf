"""
The states of a server session, which command leads from one to the next, and the replies to what leads nowhere.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from empath.mail.reply import Reply
from empath.smtp.events import Verb
from empath.smtp.lines import LineFault


class State(Enum):
    """
    Where a session is.
    """

    CONNECTED = "connected"
    GREETED = "greeted"
    MAIL = "mail"
    RCPT = "rcpt"
    CONTENT = "content"  # of DATA, or of one chunk of BDAT
    CHUNKS = "chunks"  # between two of them
    AUTH = "auth"  # a challenge was sent: the next line is the response
    HANDSHAKE = "handshake"  # of TLS
    CLOSED = "closed"

    __hash__ = object.__hash__  # by identity: Enum's own is a Python call, and every command looks its state up


NEXT: Final = {  # an absent pair is 503 5.5.1; what is refused leaves the state as it is
    **{(state, verb): State.GREETED for state in State for verb in (Verb.EHLO, Verb.HELO, Verb.LHLO)},
    (State.GREETED, Verb.STARTTLS): State.HANDSHAKE,
    (State.GREETED, Verb.AUTH): State.AUTH,
    **{(state, Verb.XCLIENT): State.CONNECTED for state in (State.CONNECTED, State.GREETED)},
    (State.GREETED, Verb.MAIL): State.MAIL,
    (State.MAIL, Verb.RCPT): State.RCPT,  # a refused RCPT leaves us in MAIL, so DATA stays a 503
    (State.RCPT, Verb.RCPT): State.RCPT,
    (State.RCPT, Verb.DATA): State.CONTENT,
    **{(state, Verb.BDAT): State.CONTENT for state in (State.RCPT, State.CHUNKS)},
    (State.CONNECTED, Verb.RSET): State.CONNECTED,
    **{(state, Verb.RSET): State.GREETED for state in (State.GREETED, State.MAIL, State.RCPT, State.CHUNKS)},
    **{(state, verb): state for state in State for verb in (Verb.NOOP, Verb.VRFY, Verb.HELP)},
    **{(state, Verb.QUIT): State.CLOSED for state in State},
}

BAD_LINE: Final = {
    LineFault.TOO_LONG: Reply.of("500 5.5.2 line too long"),
    LineFault.BARE_NEWLINE: Reply.of("500 5.5.2 bare CR or LF in a command"),
}
_OUT_OF_ORDER: Final = {
    State.CONNECTED: Reply.of("503 5.5.1 send EHLO or HELO first"),
    State.GREETED: Reply.of("503 5.5.1 MAIL first"),
    State.MAIL: Reply.of("503 5.5.1 no valid recipients"),
    State.RCPT: Reply.of("503 5.5.1 bad sequence of commands"),
    State.CHUNKS: Reply.of("503 5.5.1 the content has begun: BDAT or RSET"),
}
_NOT_NOW: Final = Reply.of("503 5.5.1 not within a mail transaction")
_BETWEEN: Final = frozenset({Verb.STARTTLS, Verb.AUTH, Verb.XCLIENT})
_NESTED_MAIL: Final = Reply.of("503 5.5.1 nested MAIL command")
BAD_CHUNK: Final = Reply.of("421 4.5.4 no size of a chunk, closing connection")
TOO_MANY_ERRORS: Final = Reply.of("421 4.7.0 too many errors")
TOO_MANY_COMMANDS: Final = Reply.of("421 4.7.0 too many commands")
TOO_MANY_MESSAGES: Final = Reply.of("421 4.7.0 too many messages in one session")


def out_of_order(state: State, verb: Verb) -> Reply:
    """
    Give the reply to a verb that has no place in this state.
    """
    if state is not State.CONNECTED:
        if verb is Verb.MAIL:
            return _NESTED_MAIL
        if verb in _BETWEEN:
            return _NOT_NOW
    return _OUT_OF_ORDER[state]
