"""
About the program as a whole.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask


@attrs.frozen
class Pong:
    """
    It is there: `version` of empath, `protocol` of the control server, and its clock.
    """

    version: str
    protocol: int
    hostname: str
    pid: int
    time: datetime


@attrs.frozen
class Ping(Ask[Pong]):
    """
    Ask whether anybody is there.
    """

    verb: ClassVar = "system.ping"
    answer: ClassVar = Pong


@attrs.frozen
class NamespaceLevel:
    """
    The log level of a namespace, and of what is below it, that has one of its own: the one in force, the one in the
    configuration, and whether it is set by hand.
    """

    namespace: str
    level: str
    configured: str
    by_hand: bool


@attrs.frozen
class LogLevel:
    """
    The log level in force, and the one in the configuration; they differ while one is set by hand. `namespaces` are
    those that have one of their own.
    """

    level: str
    configured: str
    namespaces: tuple[NamespaceLevel, ...] = ()


@attrs.frozen
class Override:
    """
    What was set by hand while it ran, and stands in for the configuration until it is reset: `kind` is "log-level",
    "rate-limit", "mx-override", "frozen", "sender-stopped"; `name` what it is for, `value` what holds.
    """

    kind: str
    name: str
    value: str


@attrs.frozen
class ListenerState:
    """
    One place where mail is taken.
    """

    endpoint: str
    kind: str
    tls: str
    listening: bool
    certificate_expires: datetime | None = None


@attrs.frozen
class AuditState:
    """
    The audit trail: records written, those that wait for the disk, those that were lost to a full one, what its last
    trouble was ("" for none).
    """

    enabled: bool
    path: str = ""
    records: int = 0
    waiting: int = 0
    lost: int = 0
    trouble: str = ""


@attrs.frozen
class Status:
    """
    How it is, on one page: `ready` has the parts of readiness by their names, `queue` deliveries by status (as counted
    at `counted`), `troubles` in one sentence each what an operator should look at.
    """

    version: str
    hostname: str
    pid: int
    started: datetime
    uptime: float
    config: str
    accepting: bool
    ready: dict[str, bool]
    queue: dict[str, int]
    counted: datetime | None
    oldest: datetime | None
    sessions: int
    attempts: int
    listeners: tuple[ListenerState, ...]
    log_level: LogLevel
    overrides: tuple[Override, ...]
    open_circuits: int
    audit: AuditState
    troubles: tuple[str, ...] = ()


@attrs.frozen
class GetStatus(Ask[Status]):
    """
    Ask how it is.
    """

    verb: ClassVar = "system.status"
    answer: ClassVar = Status


@attrs.frozen
class Reloaded:
    """
    What a reload did: the keys that are in use from now on, and those that only a restart applies, with the `reasons`.
    """

    config: str
    changed: tuple[str, ...]
    restart: tuple[str, ...]
    reasons: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Reload(Ask[Reloaded]):
    """
    Read the configuration again. Refused, with every problem, if it cannot be used: then nothing changed.
    """

    verb: ClassVar = "system.reload-config"
    answer: ClassVar = Reloaded
    changes: ClassVar = True


@attrs.frozen
class SetLogLevel(Ask[LogLevel]):
    """
    Log at another level, across restarts; None: at the configured one again. All, or what `namespace`, such as
    "empath.dns", and those below it say.
    """

    verb: ClassVar = "system.set-log-level"
    answer: ClassVar = LogLevel
    changes: ClassVar = True

    level: str | None
    namespace: str = ""


@attrs.frozen
class SiteRow:
    """
    One site in the live view: mail ready for it, attempts under way, what came of attempts since the start, the mean
    seconds of its last attempts, the state of its breaker, the limit that is in force in words ("" for none).
    """

    site: str
    ready: int
    in_flight: int
    connections: int
    delivered: int
    deferred: int
    failed: int
    seconds: float
    circuit: str
    limit: str


@attrs.frozen
class Top:
    """
    A snapshot for the live view: `totals` count since the start (received, delivered, deferred, failed, refused,
    connections, octets_in), so that whoever has two of them has rates; `sites` are the busiest and the slowest.
    """

    time: datetime
    uptime: float
    totals: dict[str, int]
    queue: dict[str, int]
    oldest: datetime | None
    sessions: int
    attempts: int
    sites: tuple[SiteRow, ...]
    frozen: tuple[str, ...]
    open_circuits: int
    rate_limited: int
    loop_latency: float


@attrs.frozen
class GetTop(Ask[Top]):
    """
    Ask for a snapshot with at most so many sites.
    """

    verb: ClassVar = "system.top"
    answer: ClassVar = Top

    sites: int = 20
