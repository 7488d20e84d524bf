"""
What the outcomes of an attempt make of a delivery. Pure: no clock, no chance but what is given, no spool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from empath.mail.message import LIVE, Delivery, RecipientState, Status
from empath.mail.outcome import Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.retry import Schedule, next_attempt

if TYPE_CHECKING:
    import random

LONGEST_TEXT: Final = 1000  # characters; RFC 5321 §4.5.3.1.5 allows 512 bytes a line

LOCAL_TROUBLE: Final = TransientFailure(
    Reply.of("451 4.3.0 Temporary local problem, delivery is tried again"), Scope.MESSAGE
)
"""
The outcome of an attempt that ended by a fault of ours.
"""

ENDED_BADLY: Final = frozenset({Status.FAILED, Status.EXPIRED})


def outcomes_for(wanted: int, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """
    Give each of `wanted` recipients exactly one outcome: a missing one is our fault and so transient, the rest ignored.
    """
    told = tuple(outcome or LOCAL_TROUBLE for outcome in outcomes[:wanted])
    return told + (LOCAL_TROUBLE,) * (wanted - len(told))


def after_attempt(
    delivery: Delivery, outcomes: tuple[Outcome, ...], now: float, schedule: Schedule, chance: random.Random
) -> tuple[Delivery, tuple[RecipientState, ...]]:
    """
    Tell how a delivery stands after an attempt, and how the recipients do that it dealt with.

    `outcomes` are those of `delivery.open_recipients`, in their order. Who failed for now shares one next attempt, or
    expires where the schedule has none left. While anyone is open the delivery is `RETRY`; at its end it is `FAILED`
    or `EXPIRED` if any recipient ever was, else `COMPLETED`.
    """
    attempts = delivery.attempts + 1
    again: float | None = None
    deferred = Status.EXPIRED
    if any(isinstance(outcome, TransientFailure) for outcome in outcomes):
        again = next_attempt(attempts, delivery.received, now, schedule, chance)
        deferred = Status.EXPIRED if again is None else Status.RETRY
    results = tuple(
        RecipientState(state.recipient, _status(outcome, deferred), _brief(outcome.reply), outcome.host)
        for state, outcome in zip(delivery.open_recipients, outcomes, strict=True)
    )
    recipients = results if len(results) == len(delivery.recipients) else _merged(delivery.recipients, results)
    after = Delivery(
        delivery.queue_id,
        delivery.domain,
        delivery.received,
        recipients,
        _overall(recipients),
        attempts,
        again,
        _last_error(outcomes) or delivery.last_error,
        delivery.priority,
    )
    return after, results


def site_accepted(outcomes: tuple[Outcome, ...]) -> bool | None:
    """
    Tell what an attempt shows about the destination's site: True it takes mail, False it is in trouble, None nothing.

    Only failures of a session or host speak against a site: one that postpones single messages or recipients
    (greylisting, a full mailbox) works.
    """
    if any(isinstance(outcome, Success) for outcome in outcomes):
        return True
    if any(
        isinstance(outcome, TransientFailure) and outcome.scope in (Scope.SESSION, Scope.HOST) for outcome in outcomes
    ):
        return False
    return None


def _status(outcome: Outcome, deferred: Status) -> Status:
    match outcome:
        case Success():
            return Status.COMPLETED
        case TransientFailure():
            return deferred
        case PermanentFailure():
            return Status.FAILED
        case _:
            assert_never(outcome)


def _merged(recipients: tuple[RecipientState, ...], results: tuple[RecipientState, ...]) -> tuple[RecipientState, ...]:
    """
    Put the results in the places of the recipients that were open.
    """
    fresh = iter(results)
    return tuple(next(fresh) if state.status in LIVE else state for state in recipients)


def _overall(recipients: tuple[RecipientState, ...]) -> Status:
    if len(recipients) == 1:
        return recipients[0].status
    standing = {state.status for state in recipients}
    for status in (Status.RETRY, Status.FAILED, Status.EXPIRED):
        if status in standing:
            return status
    return Status.COMPLETED


def _last_error(outcomes: tuple[Outcome, ...]) -> str:
    for outcome in reversed(outcomes):
        if not isinstance(outcome, Success):
            return str(_brief(outcome.reply))
    return ""


def _brief(reply: Reply) -> Reply:
    """
    Keep the beginning of a long reply: it is stored, logged and reported for each recipient.
    """
    lines = reply.lines
    if len(lines) == 1 and len(lines[0]) <= LONGEST_TEXT:
        return reply
    text = " ".join(lines)
    return reply if len(text) <= LONGEST_TEXT else Reply(reply.code, reply.enhanced, (text[:LONGEST_TEXT],))
