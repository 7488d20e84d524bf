"""
Messages under idempotency keys, one after the other for each key: what one has stored, the next one knows of.

Fatal, retried: nothing. Whoever cannot be told what was accepted before fails (SpoolError), and its client comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.mail.idempotency import Accepted, Claim

Take = Callable[[list[Accepted]], "Awaitable[None] | None"]
"""
Store what is left of a message, given what was accepted before; the next one's turn begins when that is done.
"""


class _Turns:
    """
    Who waits for a turn, in the order in which they came. `taken`: it is somebody's turn; `passing`: the next one is
    being found, further out.
    """

    __slots__ = ("passing", "taken", "waiting")

    def __init__(self) -> None:
        self.taken = True
        self.passing = False
        self.waiting: dict[Deferred[None], None] = {}


class Idempotency:
    """
    Gives each message its turn. `accepted` tells what the spool has for a claim's digest at a time, `window` for how
    many seconds a key is known; 0: keys mean nothing. What is kept here is for the messages that wait now.
    """

    def __init__(
        self, accepted: Callable[[bytes, float], Deferred[list[Accepted]]], clock: IReactorTime, window: float
    ) -> None:
        self.window = window
        self._accepted = accepted
        self._clock = clock
        self._turns: dict[bytes, _Turns] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def claim(self, digest: bytes, recipients: bytes) -> Claim:
        """
        Make what a message claims that is stored now.
        """
        return Claim(digest, recipients, self._clock.seconds() + self.window)

    async def in_turn(self, digest: bytes, take: Take) -> None:
        """
        Have a message taken once all are through that came before it under its key. Cancelling gives the turn to the
        next one, as does whatever fails.
        """
        turns = self._turns.get(digest)
        if turns is None:
            turns = self._turns[digest] = _Turns()
        else:
            turn: Deferred[None] = Deferred(turns.waiting.pop)
            turns.waiting[turn] = None
            await turn
        try:
            taking = take(await self._accepted(digest, self._clock.seconds()))
            if taking is not None:
                await taking
        finally:
            self._pass_on(digest, turns)

    def _pass_on(self, digest: bytes, turns: _Turns) -> None:
        """
        Begin the next turn. Those that end at once follow one another here, not each inside the one before: a thousand
        may wait.
        """
        turns.taken = False
        if turns.passing:
            return
        turns.passing = True
        while turns.waiting and not turns.taken:
            turn = next(iter(turns.waiting))
            del turns.waiting[turn]
            turns.taken = True
            turn.callback(None)
        turns.passing = False
        if not turns.taken:
            del self._turns[digest]
