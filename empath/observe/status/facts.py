"""
What the status page tells of this moment: plain values, that become JSON by their names.
"""

from __future__ import annotations

from typing import Final

import attrs

MOST_SITES: Final = 10
MOST_SLOW: Final = 5
MOST_BREAKERS: Final = 20
MOST_FROZEN: Final = 20


@attrs.frozen(slots=True)
class SiteFacts:
    """
    One site: mail that is ready for it, attempts under way, connections we hold, what came of attempts since the start,
    the mean seconds of the latest ones, the state of its breaker, the limits in force in words ("" for none).
    """

    site: str
    ready: int
    in_flight: int
    connections: int
    delivered: int
    deferred: int
    failed: int
    seconds: float
    breaker: str
    limit: str


@attrs.frozen(slots=True)
class BreakerFacts:
    """
    A site in trouble, or shaped: some of its destinations, the state of its breaker, and until when nothing is tried
    (seconds since the epoch); what shaping allows at a time and a second (None: not shaped).
    """

    site: str
    domains: tuple[str, ...]
    state: str
    until: float | None
    connections: int | None
    rate: float | None


@attrs.frozen(slots=True)
class DiskFacts:
    """
    The disk of the spool, in bytes: what is free, and what has to stay so.
    """

    free: int
    floor: int


@attrs.frozen(slots=True)
class Health:
    """
    Whether it is ready, which parts are (`required` are those that this needs), and whether it is stopping.
    """

    ready: bool
    shutting_down: bool
    parts: dict[str, bool]
    required: tuple[str, ...]


@attrs.frozen(slots=True)
class Facts:
    """
    How things stand at `time` (seconds since the epoch, as `started` and `counted`). `queue` has the deliveries by
    status, as counted at `counted` (None: not yet); `oldest` is the age of the oldest message in seconds, None without
    mail. `totals` count since the start. `limited` deliveries wait for a rate; `frozen` are some of the `frozen_many`
    destinations that are frozen, "" for all.
    """

    time: float
    version: str
    hostname: str
    started: float
    health: Health
    totals: dict[str, int]
    queue: dict[str, int]
    counted: float | None
    oldest: float | None
    waiting: int
    attempts: int
    sessions: int
    limited: int
    disk: DiskFacts
    sites: tuple[SiteFacts, ...]
    slowest: tuple[SiteFacts, ...]
    breakers: tuple[BreakerFacts, ...]
    breakers_open: int
    frozen: tuple[str, ...]
    frozen_many: int
    stopped_senders: int
