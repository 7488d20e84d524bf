"""
What can be asked of the spool in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from empath.errors import MessageUnknown, SpoolError
from empath.mail.idempotency import MOST_MESSAGES, Accepted, Claim
from empath.mail.message import Delivery, Message, Status
from empath.mail.stored import Destination, Destinations, Head, Listed, Listing, head_of
from empath.policy.selection import Key, Page, Selection, page_of
from empath.spool.memory_stored import Stored

T = TypeVar("T")

MOST_DELAYED: Final = 2000


class MemoryQuestions:
    """
    Answers from what is stored; every Deferred has fired.
    """

    def __init__(self) -> None:
        self._open = False
        self._stored: dict[str, Stored] = {}
        self._claims: list[tuple[str, Claim]] = []

    def due(self, now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        As `ISpool.due`.
        """
        found = [each for each in self._deliveries() if each.domain not in skip and moment_of(each) <= now]
        return self._answer(sorted(found, key=moment_of)[:limit])

    def next_due(self, after: float) -> Deferred[float | None]:
        """
        As `ISpool.next_due`.
        """
        moments = [each.next_attempt for each in self._deliveries() if each.next_attempt is not None]
        return self._answer(min((moment for moment in moments if moment > after), default=None))

    def select(self, selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        """
        As `ISpool.select`.
        """
        found = [each for stored in self._stored.values() for each in stored.chosen(selection, after)]
        return self._answer(page_of(found, limit))

    def load(self, queue_id: str) -> Deferred[Message]:
        """
        As `ISpool.load`.
        """
        stored = self._stored.get(queue_id)
        if stored is None:
            return fail(MessageUnknown(f"no message {queue_id} is stored"))
        return self._answer(stored.message)

    def counts(self) -> Deferred[dict[Status, int]]:
        """
        As `ISpool.counts`; every status is among the keys.
        """
        found = dict.fromkeys(Status, 0)
        for each in self._deliveries():
            found[each.status] += 1
        return self._answer(found)

    def due_count(self, now: float, skip: Collection[str] = ()) -> Deferred[int]:
        """
        As `ISpool.due_count`.
        """
        return self._answer(sum(moment_of(each) <= now for each in self._deliveries() if each.domain not in skip))

    def overdue(self, received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        """
        As `ISpool.overdue`.
        """
        due = [each for each in self._deliveries() if each.domain in domains and moment_of(each) <= now]
        found = [each for each in due if each.received <= received or self._stored[each.queue_id].is_late(each, now)]
        return self._answer(sorted(found, key=lambda each: each.queue_id)[:limit])

    def delayed(self, received: float, after: Key) -> Deferred[Page]:
        """
        As `ISpool.delayed`.
        """
        found = [each for stored in self._stored.values() for each in stored.delayed(received, after)]
        return self._answer(page_of(found, MOST_DELAYED))

    def oldest(self, now: float) -> Deferred[float | None]:
        """
        As `ISpool.oldest`.
        """
        scheduled = [each.received for each in self._deliveries() if each.next_attempt is not None]
        return self._answer(min((received for received in scheduled if received <= now), default=None))

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        As `ISpool.accepted`.
        """
        mine = [each for each in self._claims if each[1].digest == claim and each[1].until > now]
        return self._answer([Accepted(queue_id, each.recipients) for queue_id, each in mine[:MOST_MESSAGES]])

    def destinations(self, limit: int) -> Deferred[Destinations]:
        """
        As `ISpool.destinations`.
        """
        counts: dict[str, Counter[Status]] = {}
        for each in self._deliveries():
            counts.setdefault(each.domain, Counter())[each.status] += 1
        most = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))[:limit]
        return self._answer(Destinations(tuple([Destination(*item) for item in most]), len(counts)))

    def heads(self, queue_ids: Collection[str]) -> Deferred[dict[str, Head]]:
        """
        As `ISpool.heads`.
        """
        found = [(queue_id, self._stored[queue_id]) for queue_id in queue_ids if queue_id in self._stored]
        return self._answer({queue_id: head_of(stored.message) for queue_id, stored in found})

    def listing(self, after: str, limit: int) -> Deferred[Listing]:
        """
        As `ISpool.listing`.
        """
        found = sorted([queue_id for queue_id in self._stored if queue_id > after])
        listed = [self._stored[queue_id] for queue_id in found[:limit]]
        page = [
            Listed(head_of(each.message), {domain: delivery.status for domain, delivery in each.deliveries.items()})
            for each in listed
        ]
        return self._answer(Listing(tuple(page), found[limit - 1] if len(found) > limit else None))

    def _deliveries(self) -> list[Delivery]:
        return [each for stored in self._stored.values() for each in stored.deliveries.values()]

    def _answer(self, result: T) -> Deferred[T]:
        return succeed(result) if self._open else fail(SpoolError("the spool is closed"))


def moment_of(delivery: Delivery) -> float:
    return float("inf") if delivery.next_attempt is None else delivery.next_attempt
