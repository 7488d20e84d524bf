"""
What the answers of a milter are among the verdicts of modules. Pure.
"""

from __future__ import annotations

from typing import Final, assert_never

from empath.modules import Action, MaybeVerdict, Reply, Verdict, discard
from empath.modules.builtin.milter.reading import REJECTED, TRY_LATER
from empath.modules.builtin.milter.said import Answer, Kind

GOODBYE: Final = Reply.of("421 4.7.0 closing connection")


def verdict_of(answer: Answer) -> MaybeVerdict:
    """
    Give the verdict that an answer is; None where it has nothing against going on.
    """
    match answer.kind:
        case Kind.CONTINUE | Kind.SKIP | Kind.ACCEPT:
            return None
        case Kind.DISCARD:
            return discard("the milter said DISCARD")
        case Kind.REJECT:
            return _refused(REJECTED)
        case Kind.TEMPFAIL:
            return _refused(TRY_LATER)
        case Kind.REPLY:
            return _refused(answer.reply or TRY_LATER)
        case Kind.SHUTDOWN | Kind.CONNECTION_FAILURE:
            return _refused(GOODBYE)
        case _:
            assert_never(answer.kind)


def _refused(reply: Reply) -> Verdict:
    """
    Refuse; 421 ends the session (RFC 5321 §3.8).
    """
    action = Action.DISCONNECT if reply.code == GOODBYE.code else Action.REFUSE
    return Verdict(action, reply, why=f"the milter said {reply}")
