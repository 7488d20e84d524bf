"""
The audit trail in the service: what is recorded, where to, and who waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from empath.audit import safety_records
from empath.audit.capturing import Capturing, weight_of
from empath.audit.finding import Found, find
from empath.audit.keeping import Removed, compress, outdated, remove
from empath.audit.making import Maker, Redaction
from empath.audit.sinks import Sinks, SinkTools
from empath.audit.trail import Trail
from empath.audit.writing import TrailFile
from empath.config.schema import Audit, Config
from empath.control.terms.system import AuditState
from empath.errors import AuditError, ConfigError
from empath.interfaces import InThread
from empath.mail.message import Message
from empath.mail.session import Session
from empath.observe.life import LifeEvents
from empath.service.machine import Machine

KEEPING_EVERY: Final = 3600.0  # seconds between looks at what is old enough to go
ADVICE: Final = "Write [audit] path, where this user may write, or [audit] enabled = false"

log = Logger()


class Auditing:
    """
    Records as [audit] says; with `enabled = false` nothing of it does anything. `meant`: the operator wrote where the
    trail is to be, and nothing starts without; a default path where we have no right to write is done without.
    """

    def __init__(
        self, config: Config, reactor: Any, machine: Machine, in_thread: InThread[Any], meant: bool = True
    ) -> None:
        self._meant = meant
        self._missing = ""
        self.section = section = config.audit
        self._reactor = reactor
        self._in_thread = in_thread
        self.pool: Any = machine.make_pool(1, "empath-audit") if section.enabled else None
        self._stopping = False
        self._keeping: Deferred[Any] | None = None
        self._round: Any = None
        self._ending: list[Deferred[None]] = []
        self.sinks = Sinks(SinkTools(reactor, in_thread, config.hostname, os.getpid()))
        path = Path(section.path) if "file" in section.sinks else None
        self.file = TrailFile(path, Maker(_redaction(section)), section.rotate_daily)
        self.trail = Trail(self.file, reactor, self._in_audit, self.sinks.send, self._keep)
        self._capturing = Capturing(self.trail.take, reactor.seconds)
        self.prepare(section)()

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that is recorded.
        """
        if self.section.enabled:
            self._capturing.listen(events.subscribe)

    def room(self, has_room: Callable[[int], bool]) -> Callable[[int], bool]:
        """
        Give who tells whether mail may be taken, of what tells whether the spool has room for it.
        """
        if not self.section.enabled:
            return has_room
        mine = self.trail.has_room
        return lambda size: has_room(size) and mine()

    def record(self, message: Message, session: Session) -> Deferred[None] | None:
        """
        Record a message as it begins to be stored, if somebody is to wait for that.
        """
        if not self.trail.durable:
            return None
        return self.trail.recorded(self._capturing.received(message, session), weight_of(message))

    def use_resolver(self, resolver: Any) -> None:
        """
        Have collectors found by this resolver.
        """
        self.sinks.resolver = resolver

    def start(self) -> None:
        """
        Open the trail. AuditError if that is not possible, and somebody counts on it.
        """
        if self.pool is None:
            return
        self.pool.start()
        try:
            self.file.open(self._reactor.seconds())
        except AuditError as trouble:
            if self._meant or not trouble.denied or _counted_on(self.section):
                raise
            self._go_without(trouble)
        self.sinks.start()
        self._keep()

    def _go_without(self, trouble: AuditError) -> None:
        """
        Do without a file that nobody asked for by name, and where we have no right to write.
        """
        log.warn("{why}; it is the default path, so there is no audit trail. {advice}", why=str(trouble), advice=ADVICE)
        why = str(trouble).removeprefix("audit trail: ")
        self._missing = f"{why}. {ADVICE}"
        self.file.forgo()
        self._use(self.section)

    def abandon(self) -> None:
        """
        Let go of everything at once: there is no start.
        """
        self._stopping = True
        if self.pool is not None and self.pool.started:
            self.file.close(self._reactor.seconds())
            self.pool.stop()

    async def stop(self) -> None:
        """
        Write what waits, and close the trail.
        """
        if self.pool is None or not self.pool.started:
            return
        self._stopping = True
        if self._round is not None and self._round.active():
            self._round.cancel()
        if self._keeping is not None:
            await self._keeping
        await self.trail.stop()
        for ending in self._ending:
            await ending
        await self.sinks.stop()
        self.pool.stop()

    def prepare(self, section: Audit) -> Callable[[], None]:
        """
        Give what has another [audit] used from now on, but for `enabled` and `path`. ConfigError if it cannot be.
        """
        try:
            use_sinks = self.sinks.prepare(section)
        except ValueError as error:
            raise ConfigError([f"audit: {error}"]) from error
        if self._missing and _counted_on(section):
            key = "durable" if section.durable else "on_full"
            raise ConfigError([f"audit.{key}: there is no audit trail: {self._missing}, and restart"])

        def use() -> None:
            if self.section.enabled:
                self._ending = [each for each in self._ending if not each.called] + use_sinks()
                self._use(section)

        return use

    def state(self) -> AuditState:
        """
        Tell how it is.
        """
        if not self.section.enabled:
            return AuditState(False)
        figures = self.trail.figures
        path = "" if self.file.path is None else str(self.file.path)
        return AuditState(True, path, figures.records, self.trail.waiting, figures.lost, self._trouble)

    async def find(self, queue_id: str) -> Found:
        """
        Find what the trail tells of a message, up to now.
        """
        if not self.section.enabled or self.file.path is None:
            return Found(())
        if self.trail.behind:
            await self.trail.caught_up()
        found: Found = await self._in_thread(partial(find, self.file.path, queue_id, self._reactor.seconds))
        return found

    async def records(self, queue_id: str) -> tuple[dict[str, Any], ...]:
        """
        Give the records alone.
        """
        return (await self.find(queue_id)).records

    @property
    def readable(self) -> bool:
        """
        Whether there is a file in which something may be found.
        """
        return self.section.enabled and self.file.path is not None

    def figures(self) -> dict[str, int]:
        """
        Give the numbers for monitoring.
        """
        if not self.section.enabled:
            return {}
        figures = self.trail.figures
        return {
            "records": figures.records,
            "lost": figures.lost,
            "failures": figures.failures,
            "waiting": self.trail.waiting,
            "sink_lost": self.sinks.lost,
            "writable": int(not self._trouble),
        }

    @property
    def _trouble(self) -> str:
        return self._missing or self.trail.figures.trouble

    def _use(self, section: Audit) -> None:
        self.section = section
        self.file.maker.redaction = _redaction(section)
        self.file.daily = section.rotate_daily
        self.file.wants_lines = self.sinks.wanted
        self.trail.durable = section.enabled and section.durable and self.file.path is not None
        self.trail.stops = section.enabled and section.on_full == "stop"
        self.trail.idle = self.file.path is None and not self.sinks.wanted
        self._capturing.with_content = not section.redact_message_content

    def _in_audit(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self.pool, call)

    def _keep(self) -> None:
        """
        Look after the files that are no longer written: now, and every hour.
        """
        if self._stopping or self._keeping is not None or self.file.path is None:
            return
        if self._round is not None and self._round.active():
            self._round.cancel()
        self._round = self._reactor.callLater(KEEPING_EVERY, self._keep)
        keeping = self._keeping = Deferred.fromCoroutine(self._kept(self.file.path))
        keeping.addErrback(lambda failure: log.failure("audit trail: old files cannot be looked after", failure))
        keeping.addBoth(self._looked_after)
        if keeping.called:
            self._keeping = None

    def _looked_after(self, _: object) -> None:
        self._keeping = None

    async def _kept(self, path: Path) -> None:
        """
        Remove what is too old, once the trail tells of it, and compress the rest.
        """
        before = self._reactor.seconds() - self.section.retention
        removed: list[Removed] = await self._in_thread(partial(outdated, path, before))
        if removed:
            told = {
                "files": [each.file.name for each in removed],
                "first_seq": removed[0].first,
                "last_seq": removed[-1].last.seq,
                "last_hash": removed[-1].last.hash,
            }
            when = self._reactor.seconds()
            await self.trail.recorded((safety_records.trail, when, "files-removed", "ok", told))
            if not self.trail.figures.trouble:
                await self._in_thread(partial(remove, removed))
        if self.section.compress:
            await self._in_thread(partial(compress, path, lambda: self._stopping))


def _counted_on(section: Audit) -> bool:
    """
    Tell whether mail is only to be taken with an audit trail.
    """
    return section.durable or section.on_full == "stop"


def _redaction(section: Audit) -> Redaction:
    return Redaction(section.redact_sender, section.redact_recipients, section.redact_message_content)
