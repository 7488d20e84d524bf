"""
What is remembered of attempts, as it is kept with a delivery until its end.
"""

from __future__ import annotations

from typing import Final

import attrs

MOST: Final = 20  # attempts of one delivery: the first one, and the last ones
MOST_REPLY: Final = 500  # characters


@attrs.frozen(slots=True)
class PastAttempt:
    """
    One attempt that did not end a delivery. Times are seconds since the epoch, 0.0 for a step that did not happen; the
    fields are those of `empath.mail.attempt.Attempt`. `reply` is the worst that was heard, or why there was none,
    `result` the status that the delivery had after it.
    """

    number: int
    started: float
    resolved: float
    connected: float
    secured: float
    ended: float
    host: str
    address: str
    port: int
    tls: str
    cipher: str
    security: str
    reused: bool
    result: str
    reply: str


def remembered(history: tuple[PastAttempt, ...], attempt: PastAttempt) -> tuple[PastAttempt, ...]:
    """
    Add an attempt; where that is too much, the second oldest is forgotten, so that the first one stays.
    """
    if len(history) < MOST:
        return (*history, attempt)
    return (history[0], *history[2:], attempt)
