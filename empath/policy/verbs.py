"""
What operators do with deliveries, and what it makes of each. Pure: None tells that there is nothing to do.

What has its end is never opened again but by a retry, and a retry never touches a recipient who has the mail.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, assert_never

import attrs

from empath.mail.message import LIVE, Delivery, RecipientState, Status
from empath.mail.outcome import PermanentFailure, Scope
from empath.mail.reply import Reply
from empath.mail.settlement import Change
from empath.policy.frozen import Intervals, age, begin_of

BOUNCED: Final = PermanentFailure(
    Reply.of("554 5.7.1 Delivery was ended by the postmaster before it had succeeded"), Scope.MESSAGE
)
"""
What recipients have who are still open when a delivery is bounced.
"""

_ENDED_BADLY: Final = frozenset({Status.FAILED, Status.EXPIRED})


class Verb(Enum):
    """
    What can be done; the value is what has been, when it is.
    """

    HOLD = "held"
    RELEASE = "released"
    RETRY = "retried"
    FORCE = "forced"  # a retry that goes beyond what waits for its turn
    BOUNCE = "bounced"
    DELETE = "deleted"


def change(verb: Verb, delivery: Delivery, now: float, intervals: Intervals) -> Change | None:
    """
    Tell what a verb makes of a delivery that is not being attempted; `intervals` are when its destination was frozen.

    What is to bounce stands as before: that needs a settlement with a report.
    """
    match verb:
        case Verb.HOLD:
            after = held(delivery, now, intervals)
        case Verb.RELEASE:
            after = released(delivery, now, intervals)
        case Verb.RETRY | Verb.FORCE:
            after = retried(delivery, now, intervals, verb is Verb.FORCE)
        case Verb.BOUNCE:
            after = delivery if delivery.status in LIVE else None
        case Verb.DELETE:
            return Change(delivery, None)
        case _:
            assert_never(verb)
    return None if after is None else Change(delivery, after)


def held(delivery: Delivery, now: float, intervals: Intervals) -> Delivery | None:
    """
    Stop what is not at its end. Its clocks stand at its age, without the time for which it was frozen.
    """
    if delivery.status not in LIVE or delivery.status is Status.HELD:
        return None
    old = age(delivery.received, now, intervals)
    received = delivery.received if old < 0 else now - old
    return attrs.evolve(delivery, received=received, status=Status.HELD, next_attempt=None, held_since=now)


def released(delivery: Delivery, now: float, intervals: Intervals) -> Delivery | None:
    """
    Let go what an operator, or a module at reception, held: its clocks go on, and it is due, unless its sender wanted a
    later release that is still to come (RFC 4865).
    """
    if delivery.status is not Status.HELD:
        return None
    begun = delivery.held_since is not None and delivery.held_since >= delivery.received
    if begun and delivery.held_since is not None:
        received = begin_of(delivery.held_since - delivery.received, now, intervals)
    else:
        received = max(delivery.received, now)
    return attrs.evolve(
        delivery,
        received=received,
        status=Status.RETRY if delivery.attempts else Status.PENDING,
        next_attempt=max(received, now),
        last_error=delivery.last_error if delivery.attempts else "",
        held_since=None,
    )


def retried(delivery: Delivery, now: float, intervals: Intervals, force: bool) -> Delivery | None:
    """
    Have a delivery attempted now that waits for its next attempt, or failed or expired and was kept: those begin anew,
    with whom they did not reach. `force` takes also what is held, or is to be released later.
    """
    match delivery.status:
        case Status.FAILED | Status.EXPIRED:
            return _anew(delivery, now)
        case Status.RETRY:
            due = delivery.next_attempt is not None and delivery.next_attempt <= now
            return None if due else attrs.evolve(delivery, next_attempt=now)
        case Status.HELD if force:
            free = released(delivery, now, intervals)
            return free and (_at_once(free, now) or free)
        case Status.PENDING if force:
            return _at_once(delivery, now)
        case _:
            return None


def _at_once(delivery: Delivery, now: float) -> Delivery | None:
    """
    Release what is to be released later.
    """
    if delivery.next_attempt is None or delivery.next_attempt <= now:
        return None
    return attrs.evolve(delivery, received=min(delivery.received, now), next_attempt=now)


def _anew(delivery: Delivery, now: float) -> Delivery:
    recipients = tuple(_open(state) if state.status in _ENDED_BADLY else state for state in delivery.recipients)
    return attrs.evolve(
        delivery,
        received=now,
        recipients=recipients,
        status=Status.PENDING,
        attempts=0,
        next_attempt=now,
        held_since=None,
    )


def _open(state: RecipientState) -> RecipientState:
    """
    Begin anew with a recipient; that somebody may have the mail already is not forgotten.
    """
    return RecipientState(state.recipient, reply=state.reply, doubtful=state.doubtful)
