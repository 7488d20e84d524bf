"""
Why a message waits: a word for scripts, numbers for people, and until when.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Why(Enum):
    """
    What keeps a delivery that is due from being attempted.
    """

    TURN = "turn"  # others for the same destination are before it
    SLOTS = "slots"  # max_parallel_deliveries, or the destination's share of them
    CONNECTIONS = "connections"  # the site's max_connections
    SHAPED = "shaped"  # the site asked for less: fewer connections or a lower rate, for now
    RATE = "rate"  # the destination's rate_limit
    GLOBAL_RATE = "global-rate"  # [delivery.rate_limits] global
    BREAKER = "breaker"  # the site's circuit breaker is open, or tries with few
    ROUTING = "routing"  # its site is being looked up
    FROZEN = "frozen"  # an operator froze all delivery, or that to the domain
    HELD = "held"  # an operator, or a module at reception, holds it
    TIME = "time"  # its next attempt, or its release, is still to come
    SPOOL = "spool"  # the spool does not take the settlement of the attempt


@attrs.frozen(slots=True)
class Hold:
    """
    One reason. `until` is in seconds since the epoch, None where another event ends it; `detail` is one clause with
    the numbers, such as "3 of 3 connections to mx.example.org are in use".
    """

    why: Why
    until: float | None
    detail: str
