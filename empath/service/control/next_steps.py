"""
What happens next to a delivery, in one sentence.
"""

from __future__ import annotations

from typing import Final

from empath.mail.message import LIVE, Delivery, Status
from empath.policy.hold import Hold, Why
from empath.policy.quantity import span
from empath.queue.entry import Place
from empath.queue.sender_notes import StoppedSender
from empath.queue.standing import Standing

KEPT: Final = "it is kept for a while: queue retry takes it up again"

_LASTING: Final = frozenset({Why.BREAKER, Why.SHAPED})  # the others are over when a later attempt is due


def sentence(
    delivery: Delivery, standing: Standing, then: Hold | None, stopped: StoppedSender | None, now: float
) -> str:
    """
    Tell it; `then` is what would keep its destination's mail now, `stopped` that its sender is.
    """
    match standing.hold:
        case Place():
            return _under_way(delivery, standing, now)
        case Hold(why=Why.TIME):
            return _in_time(delivery, standing, then, now)
        case Hold(why=why, detail=detail):
            because = _stopped(stopped) if why is Why.HELD else ""
            return f"{detail}{because}; {_after(delivery, standing, standing.hold)}{_clock(standing, now)}"
    if delivery.status in LIVE:
        return f"it waits in the spool for room in memory; {_after(delivery, standing, None)}"
    return _end(delivery)


def keeps_longer(hold: Hold | Place | None, then: Hold | None) -> bool:
    """
    Tell whether what keeps a destination's mail now still will when a delivery is due that waits for its time.
    """
    if not isinstance(hold, Hold) or hold.why is not Why.TIME or hold.until is None:
        return False
    return then is not None and then.why in _LASTING and then.until is not None and then.until > hold.until


def _in_time(delivery: Delivery, standing: Standing, then: Hold | None, now: float) -> str:
    hold, number = standing.hold, delivery.attempts + 1
    deadline, due = standing.deadline, delivery.next_attempt or 0.0
    if deadline is not None and due >= deadline:
        return f"its sender wants it back in {span(deadline - now)}; no attempt follows before"
    told = f"attempt {number} of at most {delivery.attempts + standing.attempts_left} follows"
    if standing.attempts_left <= 1 or (standing.expires is not None and due >= standing.expires):
        told = f"attempt {number} follows, the last one"
    if isinstance(hold, Hold) and not delivery.attempts:
        told = f"{hold.detail}; {told}"
    if then is None or then.why not in _LASTING:
        return f"{told}{_clock(standing, now)}"
    if keeps_longer(hold, then):
        told = f"{then.detail}; {_after(delivery, standing, then)}"
        return f"{told}{_clock(standing, now)}"
    return f"{told}; now it would be held: {then.detail}{_clock(standing, now)}"


def _after(delivery: Delivery, standing: Standing, hold: Hold | None) -> str:
    """
    Tell what follows a hold: behind an open breaker time may run out.
    """
    open_ = hold is not None and hold.why is Why.BREAKER and hold.until is not None
    if open_ and hold is not None and standing.expires is not None and standing.expires <= (hold.until or 0.0):
        return "its time is over before that"
    few = "a few are tried, and when one works, " if open_ else ""
    return f"then {few}attempt {delivery.attempts + 1} follows"


def _clock(standing: Standing, now: float) -> str:
    """
    Tell that its clock stands still, and what of it does not.
    """
    if standing.left is None:
        return ""
    told = f"; its clock stands still, with {span(standing.left)} left"
    if standing.deadline is None:
        return told
    if standing.deadline <= now:
        return f"{told}, but the time in which its sender wanted it delivered is over: let go, it goes back to him"
    return f"{told}, but its sender wants it back if it is not delivered in {span(standing.deadline - now)}"


def _stopped(stopped: StoppedSender | None) -> str:
    if stopped is None:
        return ""
    return f"; {stopped.sender} is stopped ({stopped.detail}): senders release lets its mail go on"


def _under_way(delivery: Delivery, standing: Standing, now: float) -> str:
    """
    Tell how far the attempt is that is being made, and what an operator wants done after it.
    """
    number, attempt, order = delivery.attempts + 1, standing.attempt, standing.order
    following = "" if order is None else f"; what is left of it then is to be {order.word}"
    if standing.hold is not Place.IN_FLIGHT:
        return f"attempt {number} has ended, what became of it is being stored{following}"
    if attempt is None:
        return f"attempt {number} begins{following}"
    told = f"attempt {number} has been under way for {span(now - attempt.started)}"
    if not attempt.host:
        return f"{told}, {'getting a connection' if attempt.resolved else 'looking up its hosts'}{following}"
    where = f"{attempt.host} [{attempt.address}]:{attempt.port}" if attempt.address else attempt.host
    step = "in a session with" if attempt.connected or attempt.reused else "connecting to"
    return f"{told}, {step} {where}{following}"


def _end(delivery: Delivery) -> str:
    match delivery.status:
        case Status.FAILED:
            return f"it failed; {KEPT}"
        case Status.EXPIRED:
            return f"it expired; {KEPT}"
    replies = [str(each.reply) for each in delivery.recipients if each.reply is not None and not each.host]
    return f"it is done: {replies[0]}" if replies else "it was delivered"
