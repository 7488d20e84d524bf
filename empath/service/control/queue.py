"""
What is asked about the queue, and done to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Answers, Call, NotFound, Refused
from empath.control.terms import managing as terms
from empath.control.terms.queue import Filter, Item, ListQueue, MessageView, QueuePage, ViewMessage
from empath.errors import SpoolError, StorageError
from empath.interfaces import ISpool
from empath.mail.message import Delivery, Status
from empath.mail.queue_id import is_queue_id
from empath.mail.stored import Head
from empath.policy.hold import Hold
from empath.policy.selection import Selection
from empath.queue.entry import Entry, Place
from empath.queue.freezing import ALL
from empath.queue.queue import Queue
from empath.queue.slices import Progress, Tally
from empath.queue.standing import FEW
from empath.queue.yielding import in_turns
from empath.service.control.naming import destination_of, queue_id_of
from empath.service.control.paging import at, bounded, cursor, moment, place_of
from empath.service.control.patience import by_turns
from empath.service.control.viewing import Viewing, status_of

MOST_COUNTED: Final = 10_000_000
MOST_DESTINATIONS: Final = 10_000
PAGES_AT_ONCE: Final = 8
STATUSES: Final = {status.value: status for status in Status}

_WORDS: Final = {
    Place.IN_FLIGHT: "it is being attempted",
    Place.SETTLING: "what became of the attempt is being stored",
    Place.TIMED: "what became of the attempt could not be stored yet",
}

FindInAudit = Callable[[str], Awaitable[tuple[dict[str, object], ...] | None]]
"""
Find the records of the audit trail that tell of a queue id, in their order; None where there is no trail.
"""


class QueueControl:
    """
    Answers for the queue and its spool; `find` looks into the audit trail, `has_route` tells whether mail can go by a
    name that is no domain.
    """

    def __init__(
        self, queue: Queue, spool: ISpool, clock: IReactorTime, find: FindInAudit, has_route: Callable[[str], bool]
    ) -> None:
        self._queue = queue
        self._find = find
        self._has_route = has_route
        self._controls = queue.controls
        self._spool = spool
        self._clock = clock
        self._viewing = Viewing(spool, queue.listing)

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {
            ListQueue: by_turns(PAGES_AT_ONCE, self._list),
            ViewMessage: self._view,
            terms.CountQueue: self._count,
            terms.Retry: self._retry,
            terms.Delete: self._delete,
            terms.Bounce: self._bounce,
            terms.Hold: self._hold,
            terms.Release: self._release,
            terms.Freeze: self._freeze,
            terms.Unfreeze: self._unfreeze,
            terms.GetQueueStats: self._stats,
            terms.ProcessNow: self._process_now,
        }

    # -- looking

    async def _list(self, request: ListQueue, call: Call) -> QueuePage:
        selection = self._selection(request.filter)
        after, limit = place_of(request.after, 2), bounded(request.limit)
        page = await self._queue.listing.page(selection, (after[0], after[1]), limit)
        heads = await self._spool.heads({each.queue_id for each in page.deliveries})
        items = await in_turns(self._clock, page.deliveries, lambda each: self._item(each, heads.get(each.queue_id)))
        return QueuePage(tuple(items), cursor(page.after))

    def _item(self, delivery: Delivery, head: Head | None) -> Item:
        in_progress = self._queue.listing.is_in_progress((delivery.queue_id, delivery.domain))
        why = self._queue.standings.why(delivery, FEW)
        shown = delivery.recipients[:FEW]
        return Item(
            delivery.queue_id,
            delivery.domain,
            status_of(delivery, in_progress),
            at(delivery.received if head is None else head.received),
            0 if head is None else head.size,
            "" if head is None else head.sender,
            tuple([each.address.text for each in shown]),
            delivery.attempts,
            moment(delivery.next_attempt),
            delivery.last_error,
            why.detail if isinstance(why, Hold) else "" if why is None else _WORDS.get(why, ""),
            len(delivery.recipients) - len(shown),
        )

    async def _view(self, request: ViewMessage, call: Call) -> MessageView:
        queue_id = queue_id_of(request.queue_id)
        try:
            stored = await self._viewing.read(queue_id)
        except NotFound as unknown:
            records = await self._find(queue_id) or () if is_queue_id(queue_id) else ()
            if lived := [each for each in records if each.get("event") != "control"]:  # more than that it was asked for
                raise NotFound(*unknown.problems, _last_of(queue_id, lived[-1])) from unknown
            raise
        return await self._viewing.show(stored)

    async def _count(self, request: terms.CountQueue, call: Call) -> terms.Count:
        if not 1 <= request.most <= MOST_COUNTED:
            raise Refused(f"most: {request.most}, allowed is 1 to {MOST_COUNTED}")
        return terms.Count(*await self._queue.listing.count(self._selection(request.filter), request.most))

    async def _stats(self, request: terms.GetQueueStats, call: Call) -> terms.QueueStats:
        if not 0 <= request.destinations <= MOST_DESTINATIONS:
            raise Refused(f"destinations: {request.destinations}, allowed is 0 to {MOST_DESTINATIONS}")
        now = self._clock.seconds()
        counts, found = await self._spool.counts(), await self._spool.destinations(request.destinations)
        due, oldest = await self._spool.due_count(now), await self._spool.oldest(now)
        entries = self._queue.listing.in_progress()
        by_domain: dict[str, list[Entry]] = {}
        for entry in entries:
            by_domain.setdefault(entry.key[1], []).append(entry)
        most = ((each.domain, counted(each.counts, by_domain.get(each.domain, ()))) for each in found.most)
        rows = tuple([terms.DestinationCount(*each) for each in most])
        waiting, all_of_it = max(0, due - len(entries)), counted(counts, entries)
        return terms.QueueStats(all_of_it, waiting, moment(oldest), rows, found.number, found.complete)

    async def _process_now(self, request: terms.ProcessNow, call: Call) -> terms.Processed:
        return terms.Processed(await self._controls.process_now())

    # -- changing

    def _retry(self, request: terms.Retry, call: Call) -> Awaitable[terms.Tally]:
        force = request.force

        def retry(selection: Selection, why: str, progress: Progress) -> Deferred[Tally]:
            return self._controls.retry(selection, why, progress, force)

        return self._manage(retry, request, call)

    def _delete(self, request: terms.Delete, call: Call) -> Awaitable[terms.Tally]:
        return self._manage(self._controls.delete, request, call)

    def _bounce(self, request: terms.Bounce, call: Call) -> Awaitable[terms.Tally]:
        return self._manage(self._controls.bounce, request, call)

    def _hold(self, request: terms.Hold, call: Call) -> Awaitable[terms.Tally]:
        return self._manage(self._controls.hold, request, call)

    def _release(self, request: terms.Release, call: Call) -> Awaitable[terms.Tally]:
        return self._manage(self._controls.release, request, call)

    async def _manage(
        self,
        verb: Callable[[Selection, str, Progress], Deferred[Tally]],
        request: terms.Retry | terms.Delete | terms.Bounce | terms.Hold | terms.Release,
        call: Call,
    ) -> terms.Tally:
        """
        Do a verb, and tell how far it came as fast as the peer hears it.
        """
        selection = self._selection(request.filter)
        telling, last = Telling(call), Tally()

        def progress(tally: Tally) -> None:
            nonlocal last
            last = tally
            telling.tell(_tally(tally))

        reason = f"{call.caller}: {request.reason}" if request.reason else str(call.caller)
        try:
            tally = await verb(selection, reason, progress)
        except (SpoolError, StorageError) as error:
            done = last.changed + last.in_flight
            raise Refused(f"it could not go on: {error}", f"what was done so far stands: {done} deliveries") from error
        if request.filter.queue_id is not None and tally == Tally():
            raise NotFound(f"{request.filter.queue_id} is not in the queue, or nothing of it fits")
        return _tally(tally)

    async def _freeze(self, request: terms.Freeze, call: Call) -> terms.Frozen:
        domain = destination_of(request.domain, self._has_route) if request.domain else ALL
        return await self._frozen(self._controls.freeze, domain)

    async def _unfreeze(self, request: terms.Unfreeze, call: Call) -> terms.Frozen:
        return await self._frozen(self._controls.unfreeze, request.domain)

    async def _frozen(self, verb: Callable[[str], Deferred[bool]], domain: str) -> terms.Frozen:
        try:
            changed = await verb(domain)
        except ValueError as error:
            raise Refused(f"domain: {error}") from error
        except StorageError as error:
            raise Refused(f"it holds, but a restart might undo it: {error}") from error
        frozen = sorted(self._controls.frozen().items())
        return terms.Frozen(tuple([terms.FrozenRow(name, at(since)) for name, since in frozen]), changed)

    def _selection(self, filter_: Filter) -> Selection:
        return selection_of(filter_, self._clock.seconds())


@attrs.define(slots=True, eq=False)
class Telling:
    """
    Tells pieces to a peer, and leaves out what comes while it is behind: each tells all that those before did.
    """

    _call: Call
    _behind: bool = False

    def tell(self, piece: object) -> None:
        """
        Tell a piece.
        """
        if self._behind:
            return
        waiting = self._call.tell(piece)
        if waiting is not None:
            self._behind = True
            Deferred.fromCoroutine(_wait(waiting)).addBoth(self._caught_up)

    def _caught_up(self, _: object) -> None:
        self._behind = False


async def _wait(waiting: Awaitable[None]) -> None:
    await waiting


def selection_of(filter_: Filter, now: float) -> Selection:
    """
    Read a filter; Refused if it makes no sense, or names nothing: a slip must not mean the whole queue.
    """
    if filter_.status is not None and filter_.status not in STATUSES:
        raise Refused(f"status: {filter_.status!r}, allowed are {', '.join(STATUSES)}")
    older_than = filter_.older_than
    if older_than is not None and not 0 <= older_than < now:
        raise Refused(f"older_than: {older_than:g}, allowed are seconds of an age")
    try:
        return Selection(
            queue_id=None if filter_.queue_id is None else queue_id_of(filter_.queue_id),
            domain=filter_.domain,
            site=filter_.site,
            status=None if filter_.status is None else STATUSES[filter_.status],
            sender=filter_.sender,
            recipient=filter_.recipient,
            login=filter_.login,
            received_before=None if older_than is None else now - older_than,
            everything=filter_.all,
        )
    except ValueError as error:
        raise Refused("nothing is selected: name a queue id, or a filter, or all") from error


def counted(counts: dict[Status, int], entries: Iterable[Entry]) -> dict[str, int]:
    """
    Give counts of the spool in the contract's words, what is being attempted as such.
    """
    found = {status.value: counts.get(status, 0) for status in Status}
    for entry in entries:
        status = entry.delivery.status.value
        if found[status]:
            found[status] -= 1
        found[Status.IN_PROGRESS.value] += 1
    return found


def _last_of(queue_id: str, record: dict[str, object]) -> str:
    """
    Tell the last that the audit trail knows of a message.
    """
    told = f'its last record is "{record.get("event", "")}" at {record.get("time", "")}'
    return f"the audit trail knows it, {told}: empathctl queue explain {queue_id} tells all"


def _tally(tally: Tally) -> terms.Tally:
    return terms.Tally(tally.changed, tally.in_flight, tally.unchanged)
