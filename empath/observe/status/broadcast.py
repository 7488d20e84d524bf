"""
One sample a second for the ring, always; one snapshot a second for all who watch, and only while somebody does.

A snapshot that cannot be made is a bug: logged, and left out; whoever watches sees that nothing comes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.observe.status.facts import Facts
from empath.observe.status.failures import Failures
from empath.observe.status.ring import Ring, Sample

log = Logger()

EVERY: Final = 1.0  # seconds
FIELDS: Final = tuple(field.name for field in attrs.fields(Sample))

Write = Callable[[bytes], object]


class Broadcast:
    """
    Keeps `ring` going, and tells watchers of it, of `failures` and of what `look` finds, soon and without failing.
    """

    def __init__(
        self, ring: Ring, failures: Failures, look: Callable[[], Deferred[Facts]], clock: IReactorTime
    ) -> None:
        self._ring = ring
        self._failures = failures
        self._look = look
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self._told = 0
        self._looking = False
        self._watchers: dict[int, Write] = {}
        self._tickets = 0

    @property
    def watchers(self) -> int:
        """
        How many watch.
        """
        return len(self._watchers)

    def start(self) -> None:
        """
        Take samples; harmless when repeated.
        """
        if self._call is None:
            now = self._clock.seconds()
            self._ring.begin(now)
            self._wait(now)

    def stop(self) -> None:
        """
        Take no more; what was taken stays.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def whole(self) -> Deferred[dict[str, Any]]:
        """
        Tell all there is to tell: `fields` names the columns of `samples`.
        """
        return self._look().addCallback(self._whole)

    def watch(self, write: Write) -> Callable[[], None]:
        """
        Write all there is to tell as a server-sent event, then a snapshot a second, until what is returned is called.
        """
        self._tickets += 1
        ticket = self._tickets
        joining = self.whole().addCallback(self._begin, ticket, write).addErrback(_not_told)

        def leave() -> None:
            self._watchers.pop(ticket, None)
            joining.cancel()

        return leave

    def _begin(self, whole: dict[str, Any], ticket: int, write: Write) -> None:
        self._watchers[ticket] = write
        write(event("history", whole))

    def _whole(self, facts: Facts) -> dict[str, Any]:
        samples = [_row(sample) for sample in self._ring.samples]
        failures = [attrs.asdict(each) for each in self._failures.since(0)]
        return {"fields": FIELDS, "samples": samples, "facts": attrs.asdict(facts), "failures": failures}

    def _wait(self, since: float) -> None:
        self._due = since + EVERY
        self._call = self._clock.callLater(max(0.0, self._due - self._clock.seconds()), self._sample)

    def _sample(self) -> None:
        now = self._clock.seconds()
        late = max(0.0, now - self._due)
        try:
            sample = self._ring.take(now, late)
        except Exception:
            log.failure("a sample could not be taken")
            sample = None
        self._wait(now if late >= EVERY or self._due - now > EVERY else self._due)
        if self._watchers and not self._looking:
            self._looking = True
            self._look().addCallback(self._tell, sample).addBoth(self._looked)
        elif not self._watchers:
            self._told = self._failures.many

    def _tell(self, facts: Facts, sample: Sample | None) -> None:
        told, self._told = self._told, self._failures.many
        failures = [attrs.asdict(each) for each in self._failures.since(told)]
        row = None if sample is None else _row(sample)
        written = event("snapshot", {"sample": row, "facts": attrs.asdict(facts), "failures": failures})
        for write in list(self._watchers.values()):
            write(written)

    def _looked(self, failure: Failure | None) -> None:
        self._looking = False
        if failure is not None:
            log.failure("a snapshot could not be made", failure)


def event(name: str, content: object) -> bytes:
    """
    Write a server-sent event (WHATWG HTML §9.2): JSON in ASCII is one line.
    """
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n".encode("ascii")


def _not_told(failure: Failure) -> None:
    if not failure.check(CancelledError):  # gone before it was told
        log.failure("a watcher could not be told how things stand", failure)


def _row(sample: Sample) -> list[float | int | None]:
    return [_short(value) for value in attrs.astuple(sample)]


def _short(value: float | int | None) -> float | int | None:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
