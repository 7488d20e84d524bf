"""
Signatures that take their time, made in threads: what comes while others are made goes together.

Fatal: nothing. Retried by whoever asked: a signature that cannot be made (SigningFailed).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred

from empath.errors import SigningFailed
from empath.interfaces import InThread
from empath.mail.dkim.signature import Draft
from empath.sign.keys import SigningKey

WIDTH: Final = 2  # batches at once
MOST: Final = 8  # messages of a batch


@attrs.define(slots=True, eq=False)
class Job:
    """
    The signatures of one message; a thread fills in `signatures` or `fault`.
    """

    work: Sequence[tuple[SigningKey, Draft]]
    signatures: list[bytes] = attrs.field(factory=list)
    fault: Exception | None = None
    done: Deferred[bytes] = attrs.field(factory=Deferred)

    def make(self) -> None:
        """
        Sign; called in a thread.
        """
        try:
            self.signatures = [key.sign(drawn.digest) for key, drawn in self.work]
        except Exception as fault:  # what a library raises for a key that it took before
            self.fault = fault

    def fields(self) -> bytes:
        """
        Give the fields.
        """
        pairs = zip(self.work, self.signatures, strict=True)
        return b"".join([drawn.signed(signature) for (_, drawn), signature in pairs])


class Batches:
    """
    Signs `in_thread`.
    """

    def __init__(self, in_thread: InThread[None]) -> None:
        self._in_thread = in_thread
        self._waiting: deque[Job] = deque()
        self._running = 0

    def sign(self, work: Sequence[tuple[SigningKey, Draft]]) -> Deferred[bytes]:
        """
        Give the signed fields of a message; the Deferred fails with SigningFailed. Cancelled, it is not heard any more.
        """
        job = Job(work)
        self._waiting.append(job)
        self._run()
        return job.done

    def _run(self) -> None:
        while self._waiting and self._running < WIDTH:
            jobs = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            self._running += 1
            self._in_thread(partial(make_all, jobs)).addBoth(self._ran, jobs)

    def _ran(self, result: Any, jobs: list[Job]) -> None:
        """
        A thread is free again; the next batch begins before anyone goes on.
        """
        self._running -= 1
        self._run()
        for job in jobs:
            if job.signatures:
                job.done.callback(job.fields())
                continue
            job.done.errback(SigningFailed(f"a signature cannot be made: {job.fault or result}"))


def make_all(jobs: list[Job]) -> None:
    """
    Make the signatures of many messages.
    """
    for job in jobs:
        job.make()
