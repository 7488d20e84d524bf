"""
What we find ourselves, as replies: a server that is lost, late or garbled, and a refusal that is only its host's.
"""

from __future__ import annotations

from typing import Final

from empath.mail.outcome import PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import State

MAYBE_TWICE: Final = "; the message may arrive more than once"

NO_EIGHT_BIT: Final = PermanentFailure(
    Reply(554, "5.6.3", ("the next hop takes no 8-bit content and conversion is not possible",)), Scope.MESSAGE
)
NO_UTF8_ADDRESS: Final = Reply(550, "5.6.7", ("the next hop takes no internationalized addresses",))
NO_UTF8_MESSAGE: Final = PermanentFailure(
    Reply(550, "5.6.7", ("the next hop takes no internationalized messages",)), Scope.MESSAGE
)
TOO_LATE: Final = PermanentFailure(Reply(554, "5.4.7", ("delivery time expired",)), Scope.MESSAGE)
NO_DEADLINE: Final = PermanentFailure(
    Reply(554, "5.4.7", ("the next hop does not promise delivery within the time that was asked for",)), Scope.MESSAGE
)
NO_REQUIRE_TLS: Final = PermanentFailure(
    Reply(550, "5.7.30", ("the sender requires TLS all the way, and the next hop does not promise it (REQUIRETLS)",)),
    Scope.HOST,
)
NOT_GUARDED: Final = PermanentFailure(
    Reply(550, "5.7.30", ("the sender requires TLS with a next hop that is vouched for, and this one is not",)),
    Scope.HOST,
)
NO_ADDRESS: Final = Reply(550, "5.1.3", ("the address cannot be said in SMTP",))
EARLY_TEXT: Final = "refused before the content was complete"


def too_large(size: int, limit: int) -> PermanentFailure:
    """
    Tell that the message is larger than the server announced to take (RFC 1870 §6).
    """
    text = f"message of {size} bytes is larger than the {limit} that the next hop takes"
    return PermanentFailure(Reply(552, "5.3.4", (text,)), Scope.MESSAGE)


def lost(state: State) -> TransientFailure:
    """
    Tell that the connection was lost. After the final dot nobody knows whose the message is (RFC 1047), so no other
    host gets it in this attempt.
    """
    return _cut(Reply(421, "4.4.2", (_where("lost connection", state),)), state, Scope.SESSION)


def timed_out(state: State) -> TransientFailure:
    """
    Tell that the server did not answer in time.
    """
    return _cut(Reply(421, "4.4.2", (_where("timed out", state),)), state, Scope.HOST)


def garbled(state: State, detail: str) -> TransientFailure:
    """
    Tell that the server broke the protocol.
    """
    return _cut(Reply(421, "4.5.0", (f"{_where('protocol error', state)} ({detail})",)), state, Scope.HOST)


def host_trouble(reply: Reply, state: State, host: str) -> TransientFailure:
    """
    Take a refusal that concerns the host and not the mail: whatever its class, it is transient (4yz), and its words
    tell what the server said.
    """
    if reply.code < 500:
        return TransientFailure(reply, Scope.HOST, host)
    return TransientFailure(lowered(reply, f"to {state.value}: {reply}"), Scope.HOST, host)


def doubtful(reply: Reply) -> TransientFailure:
    """
    Take what we found after the whole content had gone: the mail may have been taken all the same.
    """
    told = Reply(reply.code, reply.enhanced, (reply.lines[0] + MAYBE_TWICE,))
    return TransientFailure(told, Scope.MESSAGE, doubtful=True)


def without_doubt(failure: TransientFailure) -> TransientFailure:
    """
    Take the same failure for recipients whose content never went.
    """
    if not failure.doubtful:
        return failure
    reply = failure.reply
    return TransientFailure(
        Reply(reply.code, reply.enhanced, (reply.lines[0].removesuffix(MAYBE_TWICE),)), failure.scope, failure.host
    )


def early(reply: Reply, host: str) -> TransientFailure:
    """
    Take a refusal that came before the final dot: no answer to what we asked, so not permanent.
    """
    return TransientFailure(lowered(reply, f"{EARLY_TEXT}: {reply}"), Scope.MESSAGE, host)


def unmet(status: str, text: str) -> TransientFailure:
    """
    Tell that the host lacks what the destination's policy, or our login, needs.
    """
    return TransientFailure(Reply.heard(454, [f"{status} {text}"]), Scope.HOST)


def lowered(reply: Reply, text: str) -> Reply:
    """
    Make a 4yz of a 5yz or 4yz, with an enhanced status code that agrees.
    """
    return Reply(400 + reply.code % 100, f"4{reply.status[1:]}", (text,))


def _where(what: str, state: State) -> str:
    return f"{what} {'while' if state in (State.READY, State.CLOSED) else 'at'} {state.value}"


def _cut(reply: Reply, state: State, scope: Scope) -> TransientFailure:
    if state in (State.DOT, State.LAST):
        return doubtful(reply)
    return TransientFailure(reply, scope)
