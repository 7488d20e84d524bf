"""
About one message: its whole life, and what happens next.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask
from empath.control.terms.queue import DecisionRow, MessageView


@attrs.frozen
class HoldRow:
    """
    What keeps a delivery from being attempted now: `why` is a word of `empath.policy.hold.Why`, `until` when that ends
    (None: nobody knows), `detail` a sentence with the numbers.
    """

    why: str
    until: datetime | None
    detail: str


@attrs.frozen
class HostRow:
    """
    A host that the next attempt may go to, in the order in which it would: `preference` of its MX record (None
    without), its addresses, the TLS that is demanded of it and who demands it ("dane", "mta-sts", "config", …).
    """

    host: str
    port: int
    preference: int | None
    addresses: tuple[str, ...]
    tls: str
    demanded_by: str = ""
    trouble: str = ""


@attrs.frozen
class NextStep:
    """
    What happens next to one delivery: `state` in a word ("waiting", "in-flight", "held", "ended"), `summary` in one
    sentence, `hold` what it waits for, when it is attempted at the earliest, expires at the latest, and where it goes.
    """

    domain: str
    state: str
    summary: str
    hold: HoldRow | None
    next_attempt: datetime | None
    expires: datetime | None
    site: str
    strategy: str
    hosts: tuple[HostRow, ...]


@attrs.frozen
class Explanation:
    """
    A message's whole life and its next step. `message` is None once it is gone; then `audit` has the records that tell
    of it. `trace` is the id of its trace, "" without one.
    """

    queue_id: str
    message: MessageView | None
    decisions: tuple[DecisionRow, ...]
    steps: tuple[NextStep, ...]
    trace: str = ""
    audit: tuple[dict[str, object], ...] = ()


@attrs.frozen
class Explain(Ask[Explanation]):
    """
    Explain a message.
    """

    verb: ClassVar = "queue.explain"
    answer: ClassVar = Explanation

    queue_id: str
