"""
What the metrics page tells that is not counted but looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import attrs

from empath.mail.message import Status
from empath.mail.stored import Space
from empath.observe.health import Findings
from empath.observe.metrics.counts import Histogram, Histograms
from empath.observe.metrics.limits import Circuit


@attrs.frozen(slots=True)
class PoolState:
    """
    A pool of at most `threads`: how many are `busy`, and how many calls wait for one.
    """

    threads: int
    busy: int
    waiting: int


@attrs.frozen(slots=True)
class Reloads:
    """
    How often the configuration was read again and used, how often it could not be, whether the last time was one of
    the former, and when the configuration in use was read (seconds since the epoch).
    """

    used: int
    refused: int
    successful: bool
    read_at: float


def _nothing() -> None:
    """
    There is nothing to look at.
    """


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

    `queue_waiting`: deliveries that are due and wait, and `queue_limit`: how many of them are too many. `space`: the
    room of the spool. `findings`: what was found last when readiness was looked at. `certificates`: when those that
    listeners serve end, in seconds since the epoch, by endpoint and file. `reloads`: how the configuration was read
    again. `export`: the figures of what goes to collectors, by signal (traces, logs, metrics) and name (lost, sent,
    failures, waiting). `pools`: how busy threads are, by the name of their pool. `loop_latency`: how late the reactor's
    loop was. `gc_pauses`: how long it stood still for the garbage collector, by generation. `started`: when we started,
    in seconds since the epoch.
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
    queue_waiting: Callable[[], int] = int
    queue_limit: Callable[[], int] = int
    space: Callable[[], Space | None] = _nothing
    findings: Callable[[], Findings | None] = _nothing
    certificates: Callable[[], Mapping[tuple[str, str], float]] = dict
    reloads: Callable[[], Reloads | None] = _nothing
    export: Callable[[], Mapping[str, Mapping[str, int]]] = dict
    pools: Callable[[], Mapping[str, PoolState]] = dict
    loop_latency: Callable[[], Histogram | None] = _nothing
    gc_pauses: Callable[[], Histograms | None] = _nothing
    started: Callable[[], float] = float


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
    queue_waiting: int | None
    queue_limit: int | None
    space: Space | None
    findings: Findings | None
    certificates: Mapping[tuple[str, str], float] | None
    reloads: Reloads | None
    export: Mapping[str, Mapping[str, int]] | None
    pools: Mapping[str, PoolState] | None
    loop_latency: Histogram | None
    gc_pauses: Histograms | None
    started: float | None
