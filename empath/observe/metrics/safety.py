"""
What failed for good, what may have come twice, and what was stopped, by whom: the counters, and how they are told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, get_args

from prometheus_client.core import Metric

from empath.config.schema import BounceCategory
from empath.mail import life_safety
from empath.mail.attempt import Attempt
from empath.mail.message import RecipientState, Status
from empath.observe.life import LifeEvents
from empath.observe.metrics.counts import OTHER, Tally
from empath.observe.metrics.families import counter, gauge, tally

FEEDBACK_TYPES: Final = frozenset(  # IANA's registry of RFC 5965 §7.3, and what RFC 6591 and RFC 6650 add
    {"abuse", "auth-failure", "dmarc", "fraud", "miscategorized", "not-spam", "opt-out", "opt-out-list", "virus"}
)
SUPPRESSED_BY: Final = frozenset(("complaint", *get_args(BounceCategory)))
OPERATOR: Final = "operator"


class SafetyCounts:
    """
    Counts since the start of the process. What peers word themselves is counted under the words that are known.
    """

    __slots__ = (
        "bounces",
        "bounces_received",
        "complaints_received",
        "copies_refused",
        "doubtful",
        "managed",
        "possible_duplicates",
        "senders_stopped",
        "suppressed",
    )

    def __init__(self) -> None:
        self.bounces = Tally()
        self.bounces_received = Tally()
        self.complaints_received = Tally()
        self.suppressed = Tally()
        self.managed = Tally()
        self.copies_refused = self.doubtful = self.possible_duplicates = self.senders_stopped = 0

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that is counted.
        """
        events.subscribe(life_safety.DeliveryManaged, self._managed)
        events.subscribe(life_safety.SenderStopped, self._stopped)
        events.subscribe(life_safety.CopyRefused, self._copy)
        events.subscribe(life_safety.BounceReceived, self._bounced)
        events.subscribe(life_safety.ComplaintReceived, self._complained)
        events.subscribe(life_safety.AddressSuppressed, self._suppressed)

    def attempted(self, attempt: Attempt, results: tuple[RecipientState, ...]) -> None:
        """
        Count the recipients that an attempt left in doubt, those that got the mail although one had been, and those
        that failed for good.
        """
        self.doubtful += attempt.doubtful
        for state in results:
            status = state.status
            if status is Status.COMPLETED:
                if state.doubtful:
                    self.possible_duplicates += 1
            elif status is Status.FAILED or status is Status.EXPIRED:
                self.bounces.add(state.category or OTHER)

    def _managed(self, event: life_safety.DeliveryManaged) -> None:
        self.managed.add(event.verb)

    def _stopped(self, event: life_safety.SenderStopped) -> None:
        self.senders_stopped += event.stopped

    def _copy(self, event: life_safety.CopyRefused) -> None:
        self.copies_refused += 1

    def _bounced(self, event: life_safety.BounceReceived) -> None:
        self.bounces_received.add(event.category or OTHER)

    def _complained(self, event: life_safety.ComplaintReceived) -> None:
        kind = event.kind.lower()
        self.complaints_received.add(kind if kind in FEEDBACK_TYPES else OTHER)

    def _suppressed(self, event: life_safety.AddressSuppressed) -> None:
        if event.suppressed:
            self.suppressed.add(event.why if event.why in SUPPRESSED_BY else OPERATOR)


def safety_families(seen: SafetyCounts) -> Iterator[Metric]:
    """
    Tell what was counted.
    """
    yield tally("empath_delivery_bounces", "Recipients that failed for good.", "category", seen.bounces)
    yield counter("empath_delivery_doubtful", "Recipients that an attempt left in doubt.", seen.doubtful)
    yield counter(
        "empath_delivery_possible_duplicates",
        "Recipients that got mail after an attempt that may have delivered it.",
        seen.possible_duplicates,
    )
    yield tally("empath_delivery_managed", "Deliveries that an operator changed.", "verb", seen.managed)
    yield counter("empath_delivery_senders_stopped", "Times that a sender was stopped.", seen.senders_stopped)
    yield tally("empath_delivery_bounces_received", "Bounces that came later.", "category", seen.bounces_received)
    yield tally("empath_delivery_complaints_received", "Complaints (ARF).", "kind", seen.complaints_received)
    yield tally("empath_delivery_addresses_suppressed", "Addresses that get no more mail.", "why", seen.suppressed)
    yield counter("empath_smtp_copies_refused", "Messages known by their idempotency key.", seen.copies_refused)


def stop_families(frozen: Collection[str] | None, stopped_senders: int | None) -> Iterator[Metric]:
    """
    Tell what stands still now; nothing of what could not be read.
    """
    if frozen is not None:
        yield from gauge("empath_delivery_frozen", "1: all delivery is frozen.", float("" in frozen))
        yield from gauge("empath_delivery_frozen_domains", "Domains that are frozen.", len(set(frozen) - {""}))
    yield from gauge("empath_delivery_stopped_senders", "Senders that are stopped.", stopped_senders)
