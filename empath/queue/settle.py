"""
What the outcomes of an attempt make of a delivery. Pure: no clock, no chance but what is given, no spool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, assert_never

import attrs

from empath.mail.attempt import Attempt
from empath.mail.deliver_by import DeliverBy
from empath.mail.history import MOST_REPLY, PastAttempt
from empath.mail.message import LIVE, Delivery, RecipientState, Status
from empath.mail.notice import Action, Notice, wanted
from empath.mail.outcome import Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.mail.settlement import Settlement
from empath.policy.retry import Schedule, before_deadline, next_attempt, not_past
from empath.policy.shaping import Told

if TYPE_CHECKING:
    import random

LONGEST_TEXT: Final = 1000  # characters; RFC 5321 §4.5.3.1.5 allows 512 bytes a line

LOCAL_TROUBLE: Final = TransientFailure(
    Reply.of("451 4.3.0 Temporary local problem, delivery is tried again"), Scope.MESSAGE
)
"""
The outcome of an attempt that ended by a fault of ours.
"""

_SEVERITY: Final = (Status.COMPLETED, Status.RETRY, Status.EXPIRED, Status.FAILED)

Decided = tuple[Settlement, tuple[RecipientState, ...], tuple[Notice, ...]]
"""
What an attempt makes of a delivery, the recipients that it dealt with, as they now stand, and what its report tells.
"""

Classify = Callable[[Reply | None, str, bool], str]
"""
Tell the category of the failure that a reply tells of, by who said it ("": we), and whether it was tried for too long.
"""

LAPSED: Final = TransientFailure(Reply.of("451 4.4.7 Delivery time expired"), Scope.MESSAGE)
"""
The outcome where no attempt was made, since the time to deliver by was over (RFC 2852).
"""


def outcomes_for(wanted: int, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """
    Give each of `wanted` recipients exactly one outcome: a missing one is our fault and so transient, the rest ignored.
    """
    told = tuple(outcome or LOCAL_TROUBLE for outcome in outcomes[:wanted])
    return told + (LOCAL_TROUBLE,) * (wanted - len(told))


def after_attempt(
    delivery: Delivery,
    outcomes: tuple[Outcome, ...],
    now: float,
    schedule: Schedule,
    chance: random.Random,
    classify: Classify,
    by: DeliverBy | None = None,
) -> tuple[Delivery, tuple[RecipientState, ...]]:
    """
    Tell how a delivery stands after an attempt, and how the recipients do that it dealt with.

    `outcomes` are those of `delivery.open_recipients`, in their order. Who failed for now shares one next attempt, or
    expires where the schedule or the time to deliver by has none left; `classify` tells why each failed. While anyone
    is open the delivery is `RETRY`; at its end it is `FAILED` or `EXPIRED` if any recipient ever was, else `COMPLETED`.
    """
    attempts = delivery.attempts + 1
    again: float | None = None
    waits = [outcome.retry_after for outcome in outcomes if isinstance(outcome, TransientFailure)]
    if waits:
        again = _following(delivery, attempts, now, schedule, chance, by, max(waits))
    deferred = Status.EXPIRED if again is None else Status.RETRY
    states = zip(delivery.open_recipients, outcomes, strict=True)
    if by is None:
        results = tuple([_after(state, outcome, deferred, classify) for state, outcome in states])
    else:
        results = tuple([_after_by(state, outcome, deferred, classify, now, by) for state, outcome in states])
    recipients = results if len(results) == len(delivery.recipients) else _merged(delivery.recipients, results)
    after = Delivery(
        delivery.queue_id,
        delivery.domain,
        delivery.received,
        recipients,
        _overall(recipients),
        attempts,
        again,
        _last_error(results) or delivery.last_error,
        delivery.priority,
        delivery.held_since,
    )
    return after, results


def so_far(delivery: Delivery, outcomes: Sequence[Outcome | None]) -> Delivery | None:
    """
    Tell how a delivery stands while its attempt goes on: who has the mail by now is through with it. None if that is
    nobody new, or nobody is open.

    Who is to be told of success stays open: the report is made at the attempt's end.
    """
    states = zip(delivery.open_recipients, outcomes, strict=True)
    results = tuple([_by_now(state, outcome) for state, outcome in states])
    if not any(state.status in LIVE for state in results) or results == delivery.open_recipients:
        return None
    return attrs.evolve(delivery, recipients=_merged(delivery.recipients, results), history=())


def with_history(decided: Decided, attempt: Attempt) -> Decided:
    """
    Let a settlement remember its attempt, where anything is left of the delivery to remember it.
    """
    settlement, results, notices = decided
    delivery = settlement.delivery
    if settlement.keep_until is None and delivery.status is not Status.RETRY:
        return decided
    worst = max(results, key=_severity).reply if results else None
    past = PastAttempt(
        delivery.attempts,
        attempt.started,
        attempt.resolved,
        attempt.connected,
        attempt.secured,
        attempt.ended,
        attempt.host,
        attempt.address,
        attempt.port,
        attempt.tls,
        attempt.cipher,
        attempt.security,
        attempt.reused,
        delivery.status.value,
        "" if worst is None else str(worst)[:MOST_REPLY],
    )
    return attrs.evolve(settlement, delivery=attrs.evolve(delivery, history=(past,))), results, notices


def _severity(state: RecipientState) -> int:
    return _SEVERITY.index(state.status) if state.status in _SEVERITY else 0


def _by_now(state: RecipientState, outcome: Outcome | None) -> RecipientState:
    if not isinstance(outcome, Success) or wanted(state, Action.DELIVERED):
        return state
    reply = _brief(outcome.reply)
    return attrs.evolve(state, status=Status.COMPLETED, reply=reply, host=outcome.host, category="")


def site_accepted(outcomes: tuple[Outcome, ...], told: Told = Told.NOTHING) -> bool | None:
    """
    Tell what an attempt shows about the destination's site: True it takes mail, False it is in trouble, None nothing.

    Only failures of a session or host speak against a site: one that postpones single messages or recipients
    (greylisting, a full mailbox) works, and so does one that asks for less (`told`). What a domain wants of TLS says
    nothing of its hosts either: else who points his domain to them could have all their mail tried again and again.
    """
    if any(isinstance(outcome, Success) for outcome in outcomes):
        return True
    if told is Told.UNREACHABLE or (told is not Told.SLOW_DOWN and any(map(_speaks_against, outcomes))):
        return False
    return None


def _speaks_against(outcome: Outcome) -> bool:
    if not isinstance(outcome, TransientFailure) or outcome.scope not in (Scope.SESSION, Scope.HOST):
        return False
    return bool(outcome.host) or not outcome.reply.status.startswith("4.7.")


def _following(
    delivery: Delivery,
    attempts: int,
    now: float,
    schedule: Schedule,
    chance: random.Random,
    by: DeliverBy | None,
    least: float,
) -> float | None:
    """
    Tell when the next attempt comes, None if there is none left.
    """
    again = next_attempt(attempts, delivery.received, now, schedule, chance, least)
    if by is None or again is None:
        return again
    if by.returned:
        return before_deadline(again, now, by.deadline) if now < by.deadline else None
    return not_past(again, now, by.deadline) if by.told else again


def _after(state: RecipientState, outcome: Outcome, deferred: Status, classify: Classify) -> RecipientState:
    doubtful = state.doubtful or (isinstance(outcome, TransientFailure) and outcome.doubtful)
    status, reply, host = _status(outcome, deferred), _brief(outcome.reply), outcome.host
    category = "" if status is Status.COMPLETED else classify(reply, host, status is Status.EXPIRED)
    return RecipientState(state.recipient, status, reply, host, state.late, doubtful, category)


def _after_by(
    state: RecipientState, outcome: Outcome, deferred: Status, classify: Classify, now: float, by: DeliverBy
) -> RecipientState:
    """
    As `_after`, for a recipient whose time may be over: it is late, or expires with the last reply in the reason.
    """
    after = _after(state, outcome, deferred, classify)
    if now < by.deadline or not isinstance(outcome, TransientFailure):
        return after
    if not by.returned:
        return attrs.evolve(after, late=by.told)
    last = state.reply if outcome is LAPSED else after.reply
    text = "Delivery time expired" if last is None else f"Delivery time expired; the last reply was: {last}"
    expired = _brief(Reply(554, "5.4.7", (text,)))
    category = (state.category if outcome is LAPSED else after.category) or classify(expired, "", True)
    return attrs.evolve(after, reply=expired, host="", late=False, category=category)


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


def _last_error(results: tuple[RecipientState, ...]) -> str:
    for state in reversed(results):
        if state.status is not Status.COMPLETED:
            return str(state.reply)
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
