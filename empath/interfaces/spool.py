"""
The seam of storage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from empath.mail.idempotency import Accepted, Claim
from empath.mail.message import Delivery, Message, Status
from empath.mail.settlement import Change, Settlement
from empath.mail.stored import Check, Destinations, Figures, Head, Listing, Progress, Space
from empath.policy.selection import Key, Page, Selection


class IContentWriter(Interface):
    """
    The body of one message on its way into the spool: in memory up to the inline limit, in a file beyond it.
    """

    size = Attribute("Bytes written so far.")
    body = Attribute("All that was written, as bytes, while it is small enough to be stored inline; else None.")
    body_file = Attribute("The name of the content file, or None while all is in memory.")

    def write(data: bytes) -> Awaitable[None] | None:
        """
        Take the next bytes. None: go on at once. An Awaitable: give no more before it fires (back-pressure).

        SpoolFull and SpoolError, raised or fired, end the writer: nothing is left behind.
        """

    def open() -> IBodyReader:
        """
        Read what was written so far, from its first byte on, and nothing that is written later. To be closed before
        `clear`.
        """

    def clear() -> Awaitable[None] | None:
        """
        Forget all that was written, and begin again; otherwise as `write`.
        """

    def commit(message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None = None) -> Deferred[None]:
        """
        Store the message with its deliveries, and what it claims; fires once all of it is on stable storage, and only
        then.

        `message.body` and `message.body_file` are this writer's. Fails with QueueIdTaken, SpoolFull or SpoolError,
        and then nothing is left behind. Cancelling withdraws it: the message is not kept, even if its group was
        under way already.
        """

    def abort() -> None:
        """
        Drop everything; harmless after an end of any kind.
        """


class IBodyReader(Interface):
    """
    The body of a stored message, from its first byte on.
    """

    def read() -> Awaitable[bytes]:
        """
        Give the next piece (at most 64 KiB), b"" at the end. SpoolError if it cannot be read, or is closed.
        """

    def close() -> None:
        """
        Let go of it; harmless when repeated.
        """


class ISpool(Interface):
    """
    Durable storage: the whole truth about every message.

    Everything that is waiting is committed as one group; a group is atomic and on stable storage when its Deferreds
    fire. Calls that change anything fail with SpoolFull or SpoolError and have then changed nothing.
    """

    deletion_failures = Attribute("How often content could not be deleted, since the start.")
    orphans = Attribute("How many content files without a message were found, since the start.")

    def open() -> None:
        """
        Lock, open and if need be migrate the spool. SpoolLocked, SpoolTooNew, SpoolError: it cannot be used.
        """

    def close() -> Awaitable[None]:
        """
        Commit what waits, then let go of everything.
        """

    def reconfigure(section: Any) -> None:
        """
        Use the limits of another [spool] from now on; backend and path stay what they are.
        """

    def has_room(size: int) -> bool:
        """
        Tell at once whether a message of `size` bytes may be received: `min_free` stays free after it.
        """

    def space() -> Space:
        """
        Tell at once how much room there is.
        """

    def begin(queue_id: str) -> IContentWriter:
        """
        Start to receive the body of a message.
        """

    def store(message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        """
        Store a whole message whose body is in memory; otherwise as `IContentWriter.commit`.
        """

    def settle(settlement: Settlement) -> Deferred[None]:
        """
        Record how a delivery stands now and store its report, both or neither. Where the delivery has a `history`,
        the last of it is new, and added to what is remembered of it.

        A delivery that is completed, failed or expired is deleted, or kept as the configuration says; the message
        and its content go with its last delivery.
        """

    def due(now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        Find up to `limit` scheduled deliveries whose `next_attempt` is not after `now`, longest due first, without
        those to the domains in `skip`. Those that are being attempted are among them: the caller knows them.
        """

    def next_due(after: float) -> Deferred[float | None]:
        """
        Tell the earliest `next_attempt` later than `after`, None if nothing is scheduled then.
        """

    def overdue(received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        """
        Find up to `limit` scheduled deliveries to `domains` that are due at `now` and cannot wait any longer: they were
        received (or released) no later than `received`, or the time to deliver by (RFC 2852) is over at `now` and no
        sender was told of it. The oldest first.
        """

    def delayed(received: float, after: Key) -> Deferred[Page]:
        """
        Find, behind the key `after`, scheduled deliveries that were received (or released) no later than `received`,
        and whose sender was not told of a delay. Otherwise as `select`.
        """

    def warn(
        late: Sequence[Delivery], report: Message | None = None, report_deliveries: tuple[Delivery, ...] = ()
    ) -> Deferred[bool]:
        """
        Note that the sender of deliveries of one message was told of their delay, and store the report, all or nothing;
        False, and nothing is done, where that was noted before of any, or it is not scheduled any more, or its status
        or attempts are others.
        """

    def hasten(domains: Collection[str], now: float) -> Deferred[int]:
        """
        Make everything that waits for a retry to one of `domains` due at `now`; tells how many.
        """

    def select(selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        """
        Find up to `limit` deliveries that fit, behind the key `after` (("", ""): from the beginning), whatever their
        status. `selection.site` is left to the caller. Looks at so many at a time that nobody else has to wait, so a
        page may be short, or empty, before the last one. Their `history` is told only where a message is selected by
        its id, and by nothing else in here: it is much, and rarely asked for.
        """

    def manage(changes: Sequence[Change]) -> Deferred[list[bool]]:
        """
        Do these changes in one commit; tells of each whether it was done: not where the delivery is gone by now, or its
        status or attempts are others. A delivery that is not deleted is kept for no set time any more. The message and
        its content go with its last delivery.
        """

    def load(queue_id: str) -> Deferred[Message]:
        """
        Read a message; `body` is filled unless it lies in a file. MessageUnknown if there is none.
        """

    def open_body(message: Message) -> IBodyReader:
        """
        Read a body, wherever it is.
        """

    def counts() -> Deferred[dict[Status, int]]:
        """
        Count the deliveries by status.
        """

    def due_count(now: float, skip: Collection[str] = ()) -> Deferred[int]:
        """
        Count the scheduled deliveries whose `next_attempt` is not after `now`, without those to the domains in `skip`.
        """

    def oldest(now: float) -> Deferred[float | None]:
        """
        Tell when the oldest message with a scheduled delivery was received, or released where that was later; None if
        nothing is scheduled but what is released after `now`.
        """

    def accepted(claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        Find the first messages (at most MOST_MESSAGES) whose `Claim.digest` is this and whose time is not over at
        `now`, in their order; those that are gone from the queue are among them.
        """

    def expire_kept(now: float) -> Deferred[int]:
        """
        Delete what was kept for `keep_failed` or `keep_completed` and is past it, and the claims whose time is over;
        tells how many of both.
        """

    def retry_cleanup(now: float) -> Deferred[int]:
        """
        Try again the failed deletions that are due; tells how many are still to be done.
        """

    def probe() -> Deferred[None]:
        """
        Prove that the spool can be written; fails if not.
        """

    def destinations(limit: int) -> Deferred[Destinations]:
        """
        Count the deliveries by destination; tells the `limit` greatest. What takes more than a second is told as it is
        then, and that it is not complete; of a long queue it may be as it was a second ago.
        """

    def heads(queue_ids: Collection[str]) -> Deferred[dict[str, Head]]:
        """
        Tell what is listed of these messages, by their ids, without their content; those that are gone, or damaged, are
        left out.
        """

    def listing(after: str, limit: int) -> Deferred[Listing]:
        """
        List up to `limit` messages whose ids come behind `after` ("": from the beginning), in the order of their ids.
        """

    def figures() -> Deferred[Figures]:
        """
        Measure the spool.
        """

    def verify(progress: Progress) -> Deferred[Check]:
        """
        Check all that is stored, and change nothing: that it can be read, that each message has its content and its
        deliveries, and that nothing else is there. `progress` counts what was looked at. Cancelling ends it.
        """

    def clean_completed(progress: Progress) -> Deferred[int]:
        """
        Delete what was completed and kept, in slices; tells how many deliveries. Cancelling ends it after a slice.
        """
