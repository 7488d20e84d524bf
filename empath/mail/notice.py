"""
What a sender is owed a word about: recipients that failed, are late, or got the mail (RFC 3461 §5.2).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, assert_never

import attrs

from empath.mail.deliver_by import DeliverBy
from empath.mail.message import RecipientState, Status
from empath.mail.outcome import Custody, Outcome, Success


class Action(Enum):
    """
    What was done, in RFC 3464's words (§2.3.3), from the worst to the best.
    """

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    DELIVERED = "delivered"


@attrs.frozen(slots=True)
class Notice:
    """
    One recipient and what there is to tell of it. `until` is for what is delayed: how long it is tried, in seconds
    since the epoch.
    """

    state: RecipientState
    action: Action
    until: float | None = None


ENDED_BADLY: Final = frozenset({Status.FAILED, Status.EXPIRED})


def notices_of(
    before: tuple[RecipientState, ...],
    results: tuple[RecipientState, ...],
    outcomes: tuple[Outcome, ...],
    by: DeliverBy | None,
    until: float,
) -> tuple[Notice, ...]:
    """
    Tell what the sender is owed after an attempt: the recipients as they were `before` it, their `results` and their
    `outcomes` in one order. `until` is how long those that are open will be tried.
    """
    found = []
    for was, now, outcome in zip(before, results, outcomes, strict=True):
        action = _action(was, now, outcome, by)
        if action is not None and wanted(now, action, _always(outcome, by)):
            found.append(Notice(now, action, until if action is Action.DELAYED else None))
    return tuple(found)


def worst(notices: tuple[Notice, ...]) -> Action:
    """
    Tell the worst of what was done.
    """
    actions = {notice.action for notice in notices}
    return next(action for action in Action if action in actions)


def _action(was: RecipientState, now: RecipientState, outcome: Outcome, by: DeliverBy | None) -> Action | None:
    if now.status in ENDED_BADLY:
        return Action.FAILED
    if isinstance(outcome, Success):
        match outcome.custody:
            case Custody.DELIVERED:
                return Action.DELIVERED
            case Custody.RELAYED | Custody.UNTIMED:
                return Action.RELAYED
            case Custody.PASSED_ON:
                return Action.RELAYED if by is not None and by.trace else None
            case _:
                assert_never(outcome.custody)
    return Action.DELAYED if now.late and not was.late else None


def _always(outcome: Outcome, by: DeliverBy | None) -> bool:
    """
    Tell whether a relay is to be told of though nobody asked: where the trace was asked for, or where the next hop
    does not keep the time (RFC 2852 §4.1.4).
    """
    untimed = isinstance(outcome, Success) and outcome.custody is Custody.UNTIMED
    return untimed or (by is not None and by.trace)


def wanted(state: RecipientState, action: Action, always: bool = False) -> bool:
    """
    Tell whether a recipient's NOTIFY lets us speak of an action (RFC 3461 §4.1). Without NOTIFY failures and delays are
    told, and relays that are `always` told of, whatever NOTIFY says but NEVER.
    """
    notify = state.recipient.parameters.get("NOTIFY")
    words = None if notify is None else notify.upper().split(",")
    if action is Action.RELAYED and always:
        return words is None or "NEVER" not in words
    match action:
        case Action.FAILED:
            return words is None or "FAILURE" in words
        case Action.DELAYED:
            return words is None or "DELAY" in words
        case Action.RELAYED | Action.EXPANDED | Action.DELIVERED:
            return words is not None and "SUCCESS" in words
        case _:
            assert_never(action)
