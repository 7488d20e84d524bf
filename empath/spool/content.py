"""
What the content of all messages that are being received shares: folder, threads, room, and the deletion of files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from empath.errors import SpoolError
from empath.interfaces import InThread
from empath.mail.idempotency import Claim
from empath.mail.message import Delivery, Message
from empath.spool.body import BodyInFile
from empath.spool.cleanup import Cleanup
from empath.spool.files import ContentFile, path_of
from empath.spool.room import Room

Insert = Callable[[Message, tuple[Delivery, ...], Claim | None], "Deferred[None]"]


class Content:
    """
    What the writers of one spool share; `held` are the bytes they have in memory, `fresh` the files of this process
    while the sweep for orphans runs, `folders` those whose names are on stable storage. `writing` are the writers that
    have a file, by its name, as long as anybody waits for them.
    """

    def __init__(
        self,
        root: str,
        in_thread: InThread[Any],
        now: Callable[[], float],
        room: Room,
        cleanup: Cleanup,
        insert: Insert,
        inline_limit: int,
    ) -> None:
        self.root = root
        self.room = room
        self.insert = insert
        self.inline_limit = inline_limit
        self.held = 0
        self.fresh: set[str] | None = None
        self.folders: set[str] = set()
        self.writing: WeakValueDictionary[str, object] = WeakValueDictionary()
        self.cleanup = cleanup
        self._in_thread = in_thread
        self._now = now
        self._running: set[Deferred[Any]] = set()

    def run(self, job: Callable[[], None]) -> Deferred[None]:
        """
        Run a job in a thread; `idle` waits for it. Nobody cancels what this returns.
        """
        done: Deferred[None] = self._in_thread(job)
        return self._keep(done)

    def read(self, name: str, size: int) -> BodyInFile:
        """
        Read the first `size` bytes of a content file that may have more.
        """
        return BodyInFile(path_of(self.root, name), size, self._in_thread, grows=True)

    def remove(self, name: str) -> None:
        """
        Delete a content file in the background, with all the repetitions it takes.
        """
        self._keep(Deferred.fromCoroutine(self.cleanup.remove(name, self._now())))

    def discard(self, name: str, file: ContentFile) -> None:
        """
        Close and delete, in the background, a file that is no message's.
        """
        self.run(file.discard).addErrback(self._not_discarded, name)

    async def idle(self) -> None:
        """
        Wait for everything in the background.
        """
        while self._running:
            waiting: Deferred[None] = Deferred()
            next(iter(self._running)).addBoth(_pass_on, waiting)
            await waiting

    def _keep(self, done: Deferred[None]) -> Deferred[None]:
        self._running.add(done)
        return done.addBoth(self._ended, done)

    def _ended(self, result: Any, done: Deferred[Any]) -> Any:
        self._running.discard(done)
        return result

    def _not_discarded(self, failure: Failure, name: str) -> None:
        self.cleanup.failed(name, self._now(), as_fault(failure))


def as_fault(failure: Failure) -> SpoolError:
    """
    Tell what a thread said as one of our own faults.
    """
    if isinstance(failure.value, SpoolError):
        return failure.value
    return SpoolError(f"the content cannot be stored: {failure.getErrorMessage()}")


def _pass_on(result: Any, waiting: Deferred[None]) -> Any:
    waiting.callback(None)
    return result
