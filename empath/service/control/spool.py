"""
What is asked about what is stored, and done to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Answers, Call, NotFound, Refused
from empath.control.terms import spool as terms
from empath.control.terms.queue import MessageView
from empath.errors import MessageUnknown, SpoolError
from empath.interfaces import ISpool
from empath.mail.message import Status
from empath.mail.queue_id import is_queue_id
from empath.mail.stored import Listed
from empath.queue.listing import Listing
from empath.service.control.paging import at, bounded, cursor, place_of
from empath.service.control.viewing import Viewing

T = TypeVar("T")

PIECE: Final = 64 * 1024  # octets of content that are told at a time


class SpoolControl:
    """
    Answers for the spool; `listing` knows what is being attempted.
    """

    def __init__(self, spool: ISpool, listing: Listing, clock: IReactorTime) -> None:
        self._spool = spool
        self._listing = listing
        self._clock = clock
        self._viewing = Viewing(spool, listing)

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {
            terms.ListSpool: _refusing(self._list),
            terms.ViewStored: _refusing(self._view),
            terms.ReadContent: _refusing(self._read),
            terms.GetSpoolStats: _refusing(self._stats),
            terms.VerifySpool: _refusing(self._verify),
            terms.CleanUpCompleted: _refusing(self._clean_up),
        }

    async def _list(self, request: terms.ListSpool, call: Call) -> terms.SpoolPage:
        limit = bounded(request.limit)
        (after,) = place_of(request.after, 1)
        page = await self._spool.listing(after, limit)
        return terms.SpoolPage(
            tuple([self._row(each) for each in page.messages]), cursor(None if page.after is None else (page.after,))
        )

    def _row(self, listed: Listed) -> terms.StoredMessage:
        head = listed.head
        return terms.StoredMessage(
            head.queue_id,
            at(head.received),
            head.size,
            head.sender,
            head.recipients,
            {domain: self._word(head.queue_id, domain, status) for domain, status in listed.deliveries.items()},
            head.body_file or "",
        )

    def _word(self, queue_id: str, domain: str, status: Status) -> str:
        in_progress = self._listing.is_in_progress((queue_id, domain))
        return Status.IN_PROGRESS.value if in_progress else status.value

    async def _view(self, request: terms.ViewStored, call: Call) -> MessageView:
        return await self._viewing.show(await self._viewing.read(request.queue_id))

    async def _read(self, request: terms.ReadContent, call: Call) -> terms.ContentEnd:
        if not is_queue_id(request.queue_id):
            raise NotFound(f"{request.queue_id!r} is no queue id: those have 26 letters and digits")
        try:
            message = await self._spool.load(request.queue_id)
        except MessageUnknown as unknown:
            raise NotFound(f"{request.queue_id} is not in the spool") from unknown
        await _tell_content(call, message.header)
        size = len(message.header)
        reader = self._spool.open_body(message)
        try:
            while piece := await reader.read():
                await _tell_content(call, piece)
                size += len(piece)
        finally:
            reader.close()
        return terms.ContentEnd(size)

    async def _stats(self, request: terms.GetSpoolStats, call: Call) -> terms.SpoolStats:
        figures = await self._spool.figures()
        counts = await self._spool.counts()
        return terms.SpoolStats(
            figures.backend,
            figures.path,
            figures.version,
            figures.messages,
            {status.value: number for status, number in counts.items()},
            figures.octets,
            figures.files,
            figures.file_octets,
            figures.database_octets,
            figures.wal_octets,
            figures.free,
            figures.min_free,
            self._spool.orphans,
            self._spool.deletion_failures,
            figures.cleanup_waiting,
        )

    async def _verify(self, request: terms.VerifySpool, call: Call) -> terms.Verified:
        began = self._clock.seconds()
        check = await self._spool.verify(lambda done, total: call.tell(terms.Verifying(done, total)))
        return terms.Verified(
            check.messages,
            check.deliveries,
            check.files,
            tuple([terms.Fault(each.kind, each.name, each.detail) for each in check.faults]),
            max(0.0, self._clock.seconds() - began),
            check.omitted,
        )

    async def _clean_up(self, request: terms.CleanUpCompleted, call: Call) -> terms.Cleaned:
        return terms.Cleaned(await self._spool.clean_completed(lambda done, _: call.tell(terms.Cleaned(done))))


async def _tell_content(call: Call, octets: bytes) -> None:
    for start in range(0, len(octets), PIECE):
        waiting = call.tell(terms.Content(octets[start : start + PIECE]))
        if waiting is not None:
            await waiting


def _refusing(answer: Callable[[Any, Call], Awaitable[T]]) -> Callable[[Any, Call], Awaitable[T]]:
    """
    Have the caller hear of the spool's trouble.
    """

    async def refusing(request: Any, call: Call) -> T:
        try:
            return await answer(request, call)
        except SpoolError as error:
            raise Refused(str(error)) from error

    return refusing
