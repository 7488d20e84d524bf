"""
Messages of a stopped sender, one by one: those that were on their way to the disk when all others were held, or let go.

Retried: what the spool does not take now. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from twisted.internet.defer import succeed

from empath.policy.selection import Selection
from empath.queue.errands import Errands

HELD_FOR: Final = "the sender is stopped"
RELEASED: Final = "its sender was released"
MOST: Final = 10_000  # messages of which it was not heard that they are stored; some never are


class Verbs(Protocol):
    """
    What the queue's controls do with what is selected, telling why.
    """

    def hold(self, selection: Selection, why: str) -> Awaitable[object]:
        """
        Hold it all, what is being attempted after its attempt.
        """

    def release(self, selection: Selection, why: str) -> Awaitable[object]:
        """
        Let go on what of it is held, or is to be.
        """


class UnderWay:
    """
    Knows which messages are to be stored as held.
    """

    def __init__(self, verbs: Verbs, errands: Errands) -> None:
        self._verbs = verbs
        self._errands = errands
        self._held: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, queue_id: str) -> None:
        """
        Hear of a message that is to be stored as held.
        """
        if len(self._held) >= MOST:
            del self._held[next(iter(self._held))]
        self._held[queue_id] = None

    def arrived(self, queue_id: str) -> bool:
        """
        Hear of a message that is stored; tells whether it is held.
        """
        if queue_id not in self._held:
            return False
        del self._held[queue_id]
        return True

    def hold(self, queue_id: str, stopped: Callable[[], bool]) -> None:
        """
        Hold a message, if its sender is stopped still once that can be done.
        """
        mail = Selection(queue_id=queue_id)
        self._errands.begin(
            queue_id,
            self._errands.insist(queue_id, lambda: self._verbs.hold(mail, HELD_FOR) if stopped() else succeed(None)),
        )

    def release(self, queue_id: str) -> None:
        """
        Let a message go on that was stored too late to be released with all others.
        """
        mail = Selection(queue_id=queue_id, held_for=HELD_FOR)
        self._errands.begin(queue_id, self._errands.insist(queue_id, lambda: self._verbs.release(mail, RELEASED)))
