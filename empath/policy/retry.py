"""
When a delivery that failed for now is tried again (RFC 5321 §4.5.4.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    import random


LAST_CHANCE: Final = 10.0  # seconds before a deadline: time to connect, and some left to tell the next hop (RFC 2852)


@attrs.frozen(slots=True)
class Schedule:
    """
    How patient we are: `base`, `ceiling` and `expiration` in seconds, `jitter` as a share of the delay.

    `max_attempts` counts every attempt, the first too; `expiration` runs from the reception of the message.
    """

    base: float = 60.0
    multiplier: float = 2.0
    ceiling: float = 86400.0
    jitter: float = 0.2
    max_attempts: int = 25
    expiration: float = 432000.0


def delay_after(attempts: int, schedule: Schedule) -> float:
    """
    Tell the delay after `attempts` finished attempts in seconds, before it is spread by chance.
    """
    try:
        grown = schedule.base * schedule.multiplier ** (max(attempts, 1) - 1)
    except OverflowError:  # only a multiplier above 1 grows beyond every float
        return schedule.ceiling
    return min(grown, schedule.ceiling)


def next_attempt(
    attempts: int, received: float, now: float, schedule: Schedule, chance: random.Random, least: float = 0.0
) -> float | None:
    """
    Tell when to try again, in seconds since the epoch, or None once the message has expired.

    The delay doubles (or as `schedule.multiplier` says) from `schedule.base` to `schedule.ceiling`, spread by
    `schedule.jitter`. What would come after the message's expiry is placed at it, so that a last attempt is made
    then and none is dropped. `attempts` counts the finished ones: at `schedule.max_attempts` there is none left.
    `least` is a delay in seconds that the host asked for; it is granted up to `schedule.ceiling`.
    """
    expiry = received + schedule.expiration
    if now >= expiry or attempts >= schedule.max_attempts:
        return None
    spread = 1.0 + schedule.jitter * (2.0 * chance.random() - 1.0)
    delay = max(delay_after(attempts, schedule) * spread, min(least, schedule.ceiling))
    return min(now + delay, expiry)


def before_deadline(when: float, now: float, deadline: float) -> float:
    """
    Tell when to try again what may not be delivered from `deadline` on, and would be tried at `when`.

    What would come too late has a last attempt LAST_CHANCE seconds before; after that one, its turn comes at the
    deadline itself, where it expires.
    """
    if when < deadline:
        return when
    last = deadline - LAST_CHANCE
    return last if now < last else deadline


def not_past(when: float, now: float, moment: float) -> float:
    """
    Tell when to try again what has to be looked at when `moment` comes, and would be tried at `when`.
    """
    return moment if now < moment < when else when
