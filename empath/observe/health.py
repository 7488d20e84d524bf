"""
Readiness: what the parts of the service say about themselves, asked seldom and told in time, whatever they do.

A check that raises or fails is logged, once while it says the same, and its part is not ready; one that does not
answer in time is not ready until it does, and is not asked again meanwhile. Nothing here is fatal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.config import schema
from empath.errors import EmpathError

log = Logger()

PATIENCE: Final = 0.6  # seconds that a round of checks may take
FRESH: Final = 0.2  # seconds for which a round's findings are told again; with PATIENCE less than the one promised

Check = Callable[[], bool | Awaitable[bool]]


@attrs.frozen(slots=True)
class Checks:
    """
    The service's own word on its parts; each may answer at once or be awaited.

    `smtp`: every listener is up. `spool`: it can be written. `delivery`: the queue runs. `dns`: no route needs DNS,
    or a server answers. `disk`: there is room to receive. `queue_size`: deliveries due and waiting.
    `shutting_down`: a stop has begun (answers at once).
    """

    smtp: Check
    spool: Check
    delivery: Check
    dns: Check
    disk: Check
    queue_size: Callable[[], int | Awaitable[int]]
    shutting_down: Callable[[], bool]


@attrs.frozen(slots=True)
class Findings:
    """
    What was found; `ready` weighs only the parts that [health] requires. The fields are the contract's JSON keys.

    `queue_size` is None where the queue did not tell it in time.
    """

    alive: bool
    ready: bool
    smtp_ready: bool
    spool_ready: bool
    delivery_ready: bool
    dns_ready: bool
    disk_ready: bool
    shutting_down: bool
    queue_size: int | None
    max_queue_size: int

    @property
    def wanting(self) -> tuple[str, ...]:
        """
        The parts that are not ready, whether they are required or not.
        """
        parts = ("smtp", "spool", "delivery", "dns", "disk")
        found = [part for part in parts if not getattr(self, f"{part}_ready")]
        too_many = self.queue_size is None or self.queue_size > self.max_queue_size
        return *found, *(("queue",) if too_many else ())


class _Asked:
    """
    One check: asked at most once at a time. `answer` is None while it owes one, or when it failed.
    """

    __slots__ = ("_check", "_done", "_name", "_said", "_waiting", "answer")

    def __init__(self, name: str, check: Callable[[], Any], done: Callable[[], None]) -> None:
        self._name = name
        self._check = check
        self._done = done
        self._waiting: Deferred[Any] | None = None
        self._said = ""
        self.answer: Any = None

    @property
    def open(self) -> bool:
        """
        Whether it still owes an answer.
        """
        return self._waiting is not None

    def ask(self) -> None:
        """
        Ask, unless it is still open; `done` is called when it has answered or failed.
        """
        if self._waiting is not None:
            return
        self.answer = None
        self._waiting = waiting = Deferred.fromCoroutine(self._start())
        waiting.addCallbacks(self._answered, self._failed)

    def cancel(self) -> None:
        """
        Wait for the answer no longer.
        """
        if self._waiting is not None:
            self._waiting.cancel()

    async def _start(self) -> Any:
        answer = self._check()
        return await answer if isinstance(answer, Awaitable) else answer

    def _answered(self, answer: Any) -> None:
        self._waiting = None
        self._said = ""
        self.answer = answer
        self._done()

    def _failed(self, failure: Failure) -> None:
        self._waiting = None
        if not failure.check(CancelledError):
            self._say(failure)
        self._done()

    def _say(self, failure: Failure) -> None:
        before, self._said = self._said, repr(failure.value)
        if before == self._said:
            return
        if failure.check(EmpathError):
            log.warn("not ready: {name}: {error}", name=self._name, error=failure.value)
        else:
            log.failure("the readiness check {name} failed", failure, name=self._name)


class Readiness:
    """
    Asks the checks in rounds: one at a time, for all who wait, told again while it is fresh. So a flood of requests
    costs the spool nothing.
    """

    __slots__ = ("_asked", "_checks", "_clock", "_found", "_found_at", "_late", "_section", "_starting", "_waiters")

    def __init__(self, section: schema.Health, checks: Checks, clock: IReactorTime) -> None:
        self._section = section
        self._checks = checks
        self._clock = clock
        self._asked = {
            name: _Asked(name, getattr(checks, name), self._advance)
            for name in ("smtp", "spool", "delivery", "dns", "disk", "queue_size")
        }
        self._found: Findings | None = None
        self._found_at = float("-inf")
        self._late: IDelayedCall | None = None
        self._starting = False
        self._waiters: list[Deferred[Findings]] = []

    def reconfigure(self, section: schema.Health) -> None:
        """
        Weigh by this section from now on.
        """
        self._section = section
        self._found_at = float("-inf")

    @property
    def found(self) -> Findings | None:
        """
        What was found last, however long ago; None before anybody looked.
        """
        return self._found

    def look(self) -> Deferred[Findings]:
        """
        Tell how things stand, within PATIENCE seconds; never fails.
        """
        found, age = self._found, self._clock.seconds() - self._found_at
        if found is not None and 0 <= age < FRESH and found.shutting_down == self._checks.shutting_down():
            return succeed(found)
        if self._checks.shutting_down():  # parts that are gone are not asked any more
            return succeed(self._keep(self._weigh()))
        waiter: Deferred[Findings] = Deferred()
        self._waiters.append(waiter)
        if self._late is None:
            self._begin()
        return waiter

    def stop(self) -> None:
        """
        Wait for no check any longer; who waits is told what is known.
        """
        self._starting = True
        for asked in self._asked.values():
            asked.cancel()
        self._starting = False
        self._conclude()

    def _begin(self) -> None:
        self._late = self._clock.callLater(PATIENCE, self._conclude)
        self._starting = True
        for asked in self._asked.values():
            asked.ask()
        self._starting = False
        self._advance()

    def _advance(self) -> None:
        if self._starting or self._late is None or any(asked.open for asked in self._asked.values()):
            return
        self._conclude()

    def _conclude(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = None
        found = self._keep(self._weigh())
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(found)

    def _keep(self, found: Findings) -> Findings:
        """
        Remember what was found, and say when that is another word than the last one.
        """
        before, self._found = self._found, found
        self._found_at = self._clock.seconds()
        was_ready = before is None or before.ready
        if found.shutting_down or (found.ready and was_ready):
            return found
        if found.ready:
            log.info("ready")
        elif before is None or was_ready or found.wanting != before.wanting:
            log.warn("not ready: {parts}", parts=", ".join(found.wanting))
        return found

    def _weigh(self) -> Findings:
        said = {name: asked.answer is True for name, asked in self._asked.items()}
        size, limit = self._asked["queue_size"].answer, self._section.max_queue_size
        parts = {
            "smtp": said["smtp"],
            "spool": said["spool"] and said["disk"],
            "delivery": said["delivery"],
            "dns": said["dns"],
            "queue": size is not None and size <= limit,
        }
        stopping = self._checks.shutting_down()
        return Findings(
            alive=True,
            ready=not stopping and all(parts[part] for part in self._section.require),
            smtp_ready=said["smtp"],
            spool_ready=said["spool"],
            delivery_ready=said["delivery"],
            dns_ready=said["dns"],
            disk_ready=said["disk"],
            shutting_down=stopping,
            queue_size=size,
            max_queue_size=limit,
        )
