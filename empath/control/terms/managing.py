"""
About what is done to mail that waits, and how much of it there is.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask, Follow
from empath.control.terms.queue import Filter


@attrs.frozen
class Count:
    """
    How many deliveries fit; `more` if it was not counted to the end.
    """

    count: int
    more: bool


@attrs.frozen
class CountQueue(Ask[Count]):
    """
    Count what fits, up to `most`.
    """

    verb: ClassVar = "queue.count"
    answer: ClassVar = Count

    filter: Filter
    most: int = 10_000


@attrs.frozen
class Tally:
    """
    How far a verb came: deliveries `changed`, `in_flight` (it follows when their attempts end), `unchanged`.
    """

    changed: int = 0
    in_flight: int = 0
    unchanged: int = 0


@attrs.frozen
class _Managing(Follow[Tally, Tally]):
    answer: ClassVar = Tally
    piece: ClassVar = Tally
    changes: ClassVar = True

    filter: Filter
    reason: str = ""


@attrs.frozen
class Retry(_Managing):
    """
    Attempt now what waits, or failed and was kept; `force`: also what is held, and past breakers.
    """

    verb: ClassVar = "queue.retry"

    force: bool = False


@attrs.frozen
class Delete(_Managing):
    """
    Delete mail, without a report.
    """

    verb: ClassVar = "queue.delete"


@attrs.frozen
class Bounce(_Managing):
    """
    Give mail up, with a report to its sender.
    """

    verb: ClassVar = "queue.bounce"


@attrs.frozen
class Hold(_Managing):
    """
    Stop mail until it is released.
    """

    verb: ClassVar = "queue.hold"


@attrs.frozen
class Release(_Managing):
    """
    Let held mail go on.
    """

    verb: ClassVar = "queue.release"


@attrs.frozen
class FrozenRow:
    """
    A destination ("" for all) to which nothing is attempted, and since when.
    """

    domain: str
    since: datetime


@attrs.frozen
class Frozen:
    """
    All that is frozen; `changed` tells whether the request made it so.
    """

    frozen: tuple[FrozenRow, ...]
    changed: bool


@attrs.frozen
class Freeze(Ask[Frozen]):
    """
    Begin no attempt to a destination, "" for any, until unfrozen.
    """

    verb: ClassVar = "queue.freeze"
    answer: ClassVar = Frozen
    changes: ClassVar = True

    domain: str = ""


@attrs.frozen
class Unfreeze(Ask[Frozen]):
    """
    Let it go on.
    """

    verb: ClassVar = "queue.unfreeze"
    answer: ClassVar = Frozen
    changes: ClassVar = True

    domain: str = ""


@attrs.frozen
class DestinationCount:
    """
    Deliveries of one destination, by status.
    """

    domain: str
    counts: dict[str, int]


@attrs.frozen
class QueueStats:
    """
    The queue in numbers: deliveries by status, those that are due, the destinations with the most, the oldest.
    `complete` unless the destinations could not be counted to the end in a second.
    """

    counts: dict[str, int]
    due: int
    oldest: datetime | None
    destinations: tuple[DestinationCount, ...]
    destination_count: int
    complete: bool = True


@attrs.frozen
class GetQueueStats(Ask[QueueStats]):
    """
    Ask for the numbers, with so many destinations.
    """

    verb: ClassVar = "queue.stats"
    answer: ClassVar = QueueStats

    destinations: int = 20


@attrs.frozen
class Processed:
    """
    How many deliveries were found due.
    """

    due: int


@attrs.frozen
class ProcessNow(Ask[Processed]):
    """
    Look for due mail now, not at the next interval.
    """

    verb: ClassVar = "queue.process-now"
    answer: ClassVar = Processed
    changes: ClassVar = True
