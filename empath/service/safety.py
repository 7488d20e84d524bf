"""
What keeps mail from going out twice, and whose senders are stopped from going on, wired.
"""

from __future__ import annotations

from typing import Any

import attrs

from empath.config.schema import Delivery
from empath.interfaces import ISpool, IStorage
from empath.observe.life import LifeEvents
from empath.queue.controls import Controls
from empath.queue.senders import Senders
from empath.receive.idempotent import Idempotency


@attrs.frozen(slots=True, eq=False)
class Safety:
    """
    `idempotency` knows what was accepted under a key, `senders` who is stopped.
    """

    idempotency: Idempotency
    senders: Senders

    def use(self, section: Delivery) -> None:
        """
        Go by another [delivery] from now on.
        """
        self.idempotency.window = section.idempotency_window
        self.senders.reconfigure(section.sender_breaker)


def make_safety(
    section: Delivery, spool: ISpool, storage: IStorage, controls: Controls, clock: Any, events: LifeEvents
) -> Safety:
    """
    Make both; `storage` is for the notes of who is stopped.
    """
    return Safety(
        Idempotency(spool.accepted, clock, section.idempotency_window),
        Senders(section.sender_breaker, controls, storage, clock, events.emit, events.subscribe),
    )
