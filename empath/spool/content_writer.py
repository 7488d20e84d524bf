"""
The content of messages on its way into the spool: in memory while it is small, else streamed into a file.

Fatal: nothing. A full or broken disk ends the writer it concerns. What is held in memory is bounded for each message
and in all: while everything together is beyond `HELD`, even a small message goes to a file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.errors import SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter
from empath.mail.idempotency import Claim
from empath.mail.message import Delivery, Message
from empath.spool.body import BodyBeingWritten, BodyInMemory, BodyLost
from empath.spool.content import Content, as_fault
from empath.spool.files import PIECE, ContentFile, path_of

HELD: Final = 32 * 1024 * 1024
HIGH: Final = 512 * 1024
ENDED: Final = "the writer of this content has ended"


@implementer(IContentWriter)
class ContentWriter:
    """
    One message's content.
    """

    def __init__(self, queue_id: str, content: Content) -> None:
        self.size = 0
        self.body_file: str | None = None
        self._queue_id = queue_id
        self._content = content
        self._pieces: list[bytes] = []
        self._held = 0
        self._file: ContentFile | None = None
        self._busy = False
        self._clearing = False
        self._ended = False
        self._fault: SpoolError | None = None
        self._resume: Deferred[None] | None = None
        self._flushes: list[Deferred[None]] | None = None
        self._message: tuple[Message, tuple[Delivery, ...], Claim | None] | None = None
        self._done: Deferred[None] | None = None
        self._storing: Deferred[None] | None = None

    @property
    def body(self) -> bytes | None:
        """
        All of it, while it is in memory.
        """
        if self._file is not None:
            return None
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        As `IContentWriter.write`.
        """
        if self._fault is not None:
            raise self._fault
        if self._ended:
            raise SpoolError(ENDED)
        content = self._content
        size = len(data)
        self.size += size
        self._held += size
        content.held += size
        self._pieces.append(data)
        if self._file is None and self.size <= content.inline_limit and content.held <= HELD:
            return None
        return self._stream()

    def open(self) -> IBodyReader:
        """
        As `IContentWriter.open`.
        """
        if self._ended:
            return BodyLost(ENDED)
        body = self.body
        if body is not None:
            return BodyInMemory(body)
        return BodyBeingWritten(self._flush, self._content.read(self._queue_id, self.size))

    def clear(self) -> Awaitable[None] | None:
        """
        As `IContentWriter.clear`; never has to wait. Content in a file stays in it.
        """
        if self._ended:
            raise self._fault or SpoolError(ENDED)
        self._let_go(sum(map(len, self._pieces)))
        self._pieces = []
        self.size = 0
        self._clearing = self._file is not None
        self._pump()
        return None

    def commit(self, message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None = None) -> Deferred[None]:
        """
        As `IContentWriter.commit`.
        """
        if self._fault is not None:
            return fail(self._fault)
        if self._ended:
            return fail(SpoolError(ENDED))
        self._ended = True
        if self._file is None:
            self._let_go(self._held)
            self._pieces = []
            self._done = self._content.insert(message, deliveries, claim)
            return self._done
        self._message = (message, deliveries, claim)
        self._done = Deferred(self._cancelled)
        self._pump()
        return self._done

    def abort(self) -> None:
        """
        As `IContentWriter.abort`; while a commit is under way it cancels that.
        """
        if self._done is not None and not self._done.called:
            self._done.cancel()
        elif not self._ended:
            self._end()

    def _stream(self) -> Awaitable[None] | None:
        """
        Go on in the file, which begins here if need be; `outside`, since a file cannot use what the database has free.
        """
        content = self._content
        if self._file is None:
            self._begin_file()
        if self._fault is None and content.room.outside() < content.held:
            self._failed(SpoolFull("the disk of the spool has no room for the content"))
        self._pump()
        if self._fault is not None:
            raise self._fault
        if not self._busy or (self._held <= HIGH and content.held <= HELD):
            return None
        if self._resume is None:
            self._resume = Deferred()
        return self._resume

    def _begin_file(self) -> None:
        try:
            self._file = ContentFile(path_of(self._content.root, self._queue_id), self._content.folders)
        except SpoolError as fault:
            self._failed(fault)
            return
        self.body_file = self._queue_id
        self._content.writing[self._queue_id] = self
        if self._content.fresh is not None:
            self._content.fresh.add(self._queue_id)

    def _pump(self) -> None:
        """
        Give the thread its next job, if it has none.
        """
        if self._busy or self._file is None or self._fault is not None:
            return
        if self._clearing:
            self._clearing = False
            self._run(self._file.clear, self._pump)
        elif self._pieces and (self._held >= PIECE or self._message or self._flushes or self._content.held > HELD):
            pieces, self._pieces = self._pieces, []
            size = sum(map(len, pieces))
            self._run(partial(self._file.write, pieces), partial(self._wrote, size))
        elif self._flushes:
            self._tell_flushed(None)
            self._pump()
        elif self._message and not self._pieces:
            self._run(self._file.sync, self._synced)

    def _flush(self) -> Deferred[None]:
        """
        Bring all that is in memory into the file.
        """
        if self._fault is not None:
            return fail(self._fault)
        flushed: Deferred[None] = Deferred()
        self._flushes = [*(self._flushes or ()), flushed]
        self._pump()
        return flushed

    def _tell_flushed(self, fault: SpoolError | None) -> None:
        flushes, self._flushes = self._flushes, None
        for flushed in flushes or ():
            if fault is None:
                flushed.callback(None)
            else:
                flushed.errback(fault)

    def _run(self, job: Callable[[], None], after: Callable[[], None]) -> None:
        self._busy = True
        self._content.run(job).addCallbacks(self._ran, self._failed_job, callbackArgs=(after,))

    def _ran(self, _: None, after: Callable[[], None]) -> None:
        self._busy = False
        if self._fault is not None:
            self._discard()
        else:
            after()

    def _failed_job(self, failure: Failure) -> None:
        self._busy = False
        self._failed(as_fault(failure))

    def _wrote(self, size: int) -> None:
        self._let_go(size)
        self._content.room.spend(size)
        self._pump()
        if self._resume is not None and self._held <= HIGH // 2:
            resume, self._resume = self._resume, None
            resume.callback(None)

    def _synced(self) -> None:
        assert self._message is not None
        self._storing = maybeDeferred(self._content.insert, *self._message)
        self._storing.addCallbacks(self._stored, self._not_stored)

    def _stored(self, _: None) -> None:
        if self._done is not None and not self._done.called:
            self._done.callback(None)

    def _not_stored(self, failure: Failure) -> None:
        if self._fault is None:
            self._failed(as_fault(failure))

    def _cancelled(self, done: Deferred[None]) -> None:
        """
        Withdraw the commit; once its row was submitted, whoever inserts it deletes the file after the row.
        """
        if self._storing is None:
            self._end()
            return
        self._fault = SpoolError("the message was withdrawn")
        self._storing.cancel()

    def _end(self) -> None:
        self._failed(SpoolError(ENDED), aborted=True)

    def _failed(self, fault: SpoolError, aborted: bool = False) -> None:
        """
        End here: nothing stays, and whoever waits hears it.
        """
        self._ended = True
        self._fault = fault
        self._message = None
        self._let_go(self._held)
        self._pieces = []
        if not self._busy:
            self._discard()
        self._tell_flushed(fault)
        resume, self._resume = self._resume, None
        if resume is not None and aborted:
            resume.callback(None)
        elif resume is not None:
            resume.errback(fault)
        done = self._done
        if done is not None and not done.called and not aborted:
            done.errback(fault)

    def _discard(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._content.discard(self._queue_id, file)

    def _let_go(self, size: int) -> None:
        self._held -= size
        self._content.held -= size
