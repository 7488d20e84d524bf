"""
What the metrics page tells that is not counted but looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import attrs

from empath.mail.message import Status
from empath.observe.limits import Circuit


@attrs.frozen(slots=True)
class Gauges:
    """
    What is not counted but looked at: each call answers at once, from memory.

    `connections_active`: sessions open now. `queue_size`: deliveries by status. `queue_oldest`: seconds since the
    oldest live message came, 0.0 without one. `site_connections`: connections we hold, by site. `circuits`: how sites
    fare, at least those that are in trouble or asked for less. `frozen`: the destinations that are frozen, "" for all.
    `stopped_senders`: how many there are now. Since the start:
    `dns_hits` and `dns_misses` of the DNS cache, and the answers it threw out (`dns_evictions`); content files that
    could not be deleted (`deletion_failures`), and those found without a message (`orphans`); deliveries that the
    watchdog found where they should not be (`strays`), and attempts past their deadline (`overdue_attempts`). `audit`:
    the figures of the audit trail, see `audit_families`; none without one.
    """

    connections_active: Callable[[], int]
    queue_size: Callable[[], Mapping[Status, int]]
    queue_oldest: Callable[[], float]
    site_connections: Callable[[], Mapping[str, int]]
    dns_hits: Callable[[], int]
    dns_misses: Callable[[], int]
    dns_evictions: Callable[[], int]
    deletion_failures: Callable[[], int]
    orphans: Callable[[], int]
    strays: Callable[[], int]
    overdue_attempts: Callable[[], int]
    frozen: Callable[[], Collection[str]]
    stopped_senders: Callable[[], int]
    circuits: Callable[[], Iterable[Circuit]] = tuple
    audit: Callable[[], Mapping[str, int]] = dict


@attrs.frozen(slots=True)
class Readings:
    """
    The gauges at one moment; None for one that could not be read.
    """

    connections_active: int | None
    queue_size: Mapping[Status, int] | None
    queue_oldest: float | None
    site_connections: Mapping[str, int] | None
    dns_hits: int | None
    dns_misses: int | None
    dns_evictions: int | None
    deletion_failures: int | None
    orphans: int | None
    strays: int | None
    overdue_attempts: int | None
    frozen: Collection[str] | None
    stopped_senders: int | None
    circuits: tuple[Circuit, ...] | None
    audit: Mapping[str, int] | None
