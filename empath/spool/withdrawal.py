"""
Messages whose commit was cancelled while it was under way: deleted by an operation of their own, until that succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.mail.idempotency import Accepted
from empath.mail.message import Delivery
from empath.mail.stored import Listing
from empath.policy.selection import Page
from empath.spool import changes
from empath.spool.commit import GroupCommit, Operation

log = Logger()


class Withdrawals:
    """
    `commits` gives what takes operations into the next group, `remove` deletes a content file.
    """

    def __init__(self, commits: Callable[[], GroupCommit], remove: Callable[[str], None]) -> None:
        self._commits = commits
        self._remove = remove
        self._unwanted: dict[int, Operation] = {}

    def __len__(self) -> int:
        return len(self._unwanted)

    def withdraw(self, operation: Operation, under_way: bool) -> None:
        """
        Undo a cancelled commit: the row first, if there may be one, then the content.
        """
        if under_way:
            self._unwanted[operation.number] = operation
            self._delete(operation)
        elif operation.body_file is not None:
            self._remove(operation.body_file)

    async def retry(self) -> None:
        """
        Try again what could not be deleted.
        """
        for operation in list(self._unwanted.values()):
            await self._delete(operation)

    def standing(self) -> Callable[[list[Accepted]], list[Accepted]]:
        """
        Give what leaves out that which is withdrawn now, though its rows may still be there: whoever reads them in
        another thread may tell so after they are gone.
        """
        unwanted = self._names()
        return lambda found: [each for each in found if each.queue_id not in unwanted]

    def wanted(self, found: list[Delivery]) -> list[Delivery]:
        """
        Leave out what was withdrawn, or may be until its commit is told, though its row may be there.
        """
        unwanted = self._names() | self._commits().untold()
        if not unwanted:
            return found
        return [delivery for delivery in found if delivery.queue_id not in unwanted]

    def _names(self) -> set[str]:
        return {operation.messages[0][1] for operation in self._unwanted.values()}

    def wanted_of(self, page: Page) -> Page:
        """
        The same of a page.
        """
        return attrs.evolve(page, deliveries=tuple(self.wanted(list(page.deliveries))))

    def wanted_heads(self, listing: Listing) -> Listing:
        """
        The same of a list of messages.
        """
        unwanted = self._names() | self._commits().untold()
        listed = tuple([each for each in listing.messages if each.head.queue_id not in unwanted])
        return attrs.evolve(listing, messages=listed)

    def _delete(self, operation: Operation) -> Deferred[None]:
        removal = Operation(work=partial(changes.withdraw, operation.number, operation.claims), urgent=True)
        return (
            self._commits()
            .submit(removal)
            .addCallbacks(self._deleted, self._not_deleted, callbackArgs=(operation,), errbackArgs=(operation,))
        )

    def _deleted(self, _: object, operation: Operation) -> None:
        self._unwanted.pop(operation.number, None)
        if operation.body_file is not None:
            self._remove(operation.body_file)

    def _not_deleted(self, failure: Failure, operation: Operation) -> None:
        log.warn(
            "{queue_id}: the withdrawn message is still stored: {error}",
            queue_id=operation.messages[0][1],
            error=failure.getErrorMessage(),
        )
