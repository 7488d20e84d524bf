"""
What is asked about the program as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from empath import __version__
from empath.config.collectors import is_namespace
from empath.config.schema import Listener
from empath.control import protocol
from empath.control.serving import Answers, Call, Refused
from empath.control.terms.system import (
    AuditState,
    GetStatus,
    ListenerState,
    LogLevel,
    NamespaceLevel,
    Ping,
    Pong,
    SetLogLevel,
    Status,
)
from empath.errors import StorageError
from empath.observe.health import Findings
from empath.observe.logs.levels import LEVELS
from empath.policy.breaker import State
from empath.service.overriding import overrides_of

if TYPE_CHECKING:
    from empath.service import EmpathService

EXPIRES_SOON: Final = 14 * 86400.0  # seconds
_WORDS: Final = {
    "smtp": "not every listener takes mail",
    "spool": "the spool cannot be written, or its disk is full",
    "delivery": "the queue does not run",
    "dns": "no DNS server answered lately",
    "queue": "the queue is longer than max_queue_size",
}


class SystemControl:
    """
    Answers for `service`.
    """

    def __init__(self, service: EmpathService) -> None:
        self._service = service
        self._started = service.clock.seconds()

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {Ping: self._ping, GetStatus: self._status, SetLogLevel: self._set_log_level}

    def _ping(self, request: Ping, call: Call) -> Pong:
        hostname = self._service.config.hostname
        return Pong(__version__, protocol.VERSION, hostname, os.getpid(), _moment(self._service.clock.seconds()))

    async def _status(self, request: GetStatus, call: Call) -> Status:
        service = self._service
        found, now = await service.readiness.look(), service.clock.seconds()
        ready, circuits = _ready(found), service.queue.controls.circuits()
        oldest, counted = service.census.oldest, service.census.counted
        return Status(
            version=__version__,
            hostname=service.config.hostname,
            pid=os.getpid(),
            started=_moment(self._started),
            uptime=now - self._started,
            config=service.configuration.path,
            accepting=service.accepts_mail and not service.shutting_down,
            ready=ready,
            queue={status.value: count for status, count in service.census.counts.items()},
            counted=None if counted is None else _moment(counted),
            oldest=_moment(now - oldest) if oldest else None,
            sessions=service.reception.sessions.count,
            attempts=service.queue.in_flight,
            listeners=tuple(self._listeners()),
            log_level=self._level(),
            overrides=overrides_of(service),
            open_circuits=sum(circuit.state == State.OPEN.value for circuit in circuits),
            audit=self._audit(),
            troubles=tuple(self._troubles(ready, now)),
        )

    def _set_log_level(self, request: SetLogLevel, call: Call) -> Awaitable[LogLevel]:
        if request.level is not None and request.level not in LEVELS:
            raise Refused(f"{request.level!r} is no log level: there are {', '.join(LEVELS)}")
        if request.namespace and not is_namespace(request.namespace):
            raise Refused("the namespace is the dotted name of a module or package, such as empath.dns")
        return self._level_set(request)

    async def _level_set(self, request: SetLogLevel) -> LogLevel:
        try:
            await self._service.verbosity.set_by_hand(request.level, request.namespace)
        except ValueError as trouble:
            raise Refused(str(trouble)) from trouble
        except StorageError as trouble:
            raise Refused(f"the level cannot be kept, and is as it was: {trouble}") from trouble
        return self._level()

    def _level(self) -> LogLevel:
        verbosity = self._service.verbosity
        return LogLevel(
            verbosity.level,
            verbosity.configured,
            tuple(
                NamespaceLevel(name, level, verbosity.configured_for(name), name in verbosity.by_hand)
                for name, level in sorted(verbosity.levels.differing.items())
            ),
        )

    def _audit(self) -> AuditState:
        return self._service.auditing.state()

    def _listeners(self) -> list[ListenerState]:
        service = self._service
        expires, complete = service.reception.certificates_expire, service.accepts_mail
        return [_listener(each, complete, expires.get(each.endpoint)) for each in service.config.smtp.listeners]

    def _troubles(self, ready: dict[str, bool], now: float) -> list[str]:
        """
        Tell what an operator should look at.
        """
        found = [_WORDS[part] for part, is_ready in ready.items() if not is_ready and part in _WORDS]
        for endpoint, expires in self._service.reception.certificates_expire.items():
            if expires - now < EXPIRES_SOON:
                word = "expired" if expires < now else "expires"
                found.append(f"the certificate of {endpoint} {word} {_moment(expires):%Y-%m-%d %H:%M} UTC")
        if self._service.shutting_down:
            found.append("it is stopping")
        elif not self._service.running:
            found.append("it is still starting")
        if self._service.modules.trouble:
            found.append(self._service.modules.trouble)
        if self._service.control.trouble:
            found.append(self._service.control.trouble)
        audit = self._audit()
        if audit.trouble:
            found.append(f"audit trail: {audit.trouble}")
        return found


def _ready(found: Findings) -> dict[str, bool]:
    size = found.queue_size
    return {
        "ready": found.ready,
        "smtp": found.smtp_ready,
        "spool": found.spool_ready and found.disk_ready,
        "delivery": found.delivery_ready,
        "dns": found.dns_ready,
        "queue": size is not None and size <= found.max_queue_size,
    }


def _listener(listener: Listener, listening: bool, expires: float | None) -> ListenerState:
    when = None if expires is None else _moment(expires)
    return ListenerState(listener.endpoint, listener.kind, listener.tls, listening, when)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
