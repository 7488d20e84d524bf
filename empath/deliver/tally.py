"""
What becomes of the recipients of one attempt, as host after host judges them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import cast

from empath.mail.outcome import Failure, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.smtp.client_events import Event, TransactionEnded
from empath.smtp.client_findings import without_doubt


class After(Enum):
    """
    What a connection is for its host, once it was used.
    """

    DONE = "done"
    DEAD = "dead"  # it was idle and had ended already
    SPENT = "spent"  # the server takes no more on it, or not so, but on another one


class Tally:
    """
    The outcomes of `number` recipients. `open` are the positions of those without a final one; `last` is what they get
    if nobody does better. `short`: the last host fell short of what the sender requires (RFC 8689).
    """

    __slots__ = ("last", "open", "outcomes", "short")

    def __init__(self, number: int) -> None:
        self.open = list(range(number))
        self.outcomes: list[Outcome | None] = [None] * number
        self.last: list[Outcome | None] = [None] * number
        self.short = False

    def take(self, batch: list[int], ended: TransactionEnded) -> list[int] | None:
        """
        Take the outcomes of a transaction; tells whom this host wants to be asked about again, None to leave it.

        A failure of the host or session leaves its recipients open for the next one; a transient one of the message
        holds for all its recipients here.
        """
        again = [batch[index] for index in ended.again]
        halt: Failure | None = None
        for position, outcome in zip(batch, ended.outcomes, strict=True):
            if isinstance(outcome, Success):
                self.outcomes[position] = outcome
                continue
            if outcome.scope is Scope.HOST or (
                isinstance(outcome, TransientFailure) and outcome.scope is not Scope.RECIPIENT
            ):
                halt = outcome
            if position in again:
                self.last[position] = outcome
            elif not _elsewhere(outcome):
                self.outcomes[position] = outcome
        self.open = [position for position in self.open if self.outcomes[position] is None]
        if halt is None:
            return again
        if halt.scope is Scope.MESSAGE:
            for position in self.open:  # nothing of it went to them
                self.outcomes[position] = without_doubt(halt) if isinstance(halt, TransientFailure) else halt
            self.open = []
        else:
            self.fail(halt)
        return None

    def take_events(self, batch: list[int], events: Iterable[Event]) -> None:
        """
        Take the end of a transaction from what a session told that was cut short.
        """
        for event in events:
            if isinstance(event, TransactionEnded):
                self.take(batch, event)

    @property
    def had(self) -> bool:
        """
        Whether anybody has the mail, or may have it.
        """
        return any(
            isinstance(outcome, Success) or (isinstance(outcome, TransientFailure) and outcome.doubtful)
            for outcome in self.outcomes
        )

    def fail(self, failure: Failure) -> None:
        """
        Tell all who are open of a failure that another host may do better than; a permanent one is the last word only
        if every host had it.
        """
        self.short = permanent = isinstance(failure, PermanentFailure)
        for position in self.open:
            if not permanent or not isinstance(self.last[position], TransientFailure):
                self.last[position] = failure

    def told(self) -> tuple[Outcome, ...]:
        """
        Give everybody's outcome, once all have one.
        """
        told = [outcome or last for outcome, last in zip(self.outcomes, self.last, strict=True)]
        return cast("tuple[Outcome, ...]", tuple(told))


def _elsewhere(outcome: Failure) -> bool:
    """
    Tell whether another host may do better.
    """
    return outcome.scope is Scope.HOST or (isinstance(outcome, TransientFailure) and outcome.scope is Scope.SESSION)
