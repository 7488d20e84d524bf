"""
How an attempt changes what is stored.
"""

from __future__ import annotations

import attrs

from empath.mail.message import Delivery, Message


@attrs.frozen(slots=True)
class Settlement:
    """
    A delivery as it stands after an attempt, and the report that this owes to the sender: stored both or neither.

    `keep_until` is None to delete a delivery at its end, else the time (seconds since the epoch) up to which it stays.
    """

    delivery: Delivery
    report: Message | None = None
    report_deliveries: tuple[Delivery, ...] = ()
    keep_until: float | None = None


@attrs.frozen(slots=True)
class Change:
    """
    What an operator makes of a delivery that stands as `before`: `after`, or None to delete it.
    """

    before: Delivery
    after: Delivery | None
