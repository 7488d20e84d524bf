"""
Requirements on answers that wait for one another.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.control.serving import Call, Caller
from empath.service.control.patience import by_turns

CALL = Call(Caller(0, 1), lambda piece: None)


class TurnsTests(SynchronousTestCase):
    """
    So many at a time.
    """

    def test_others_wait_for_their_turn_and_may_give_up(self) -> None:
        """
        A turn ends with an answer, a failure, or because nobody waits for it any more.
        """
        working: list[Deferred[str]] = []

        async def answer(request: str, call: Call) -> str:
            working.append(Deferred())
            return request + await working[-1]

        turn: Any = by_turns(2, answer)
        asked = [Deferred.fromCoroutine(turn(str(number), CALL)) for number in range(6)]
        self.assertEqual(len(working), 2)
        working[0].callback("!")
        self.assertEqual(self.successResultOf(asked[0]), "0!")
        working[1].errback(OSError())
        self.failureResultOf(asked[1], OSError)
        self.assertEqual(len(working), 4)
        asked[4].cancel()
        asked[2].cancel()
        self.failureResultOf(asked[4], CancelledError)
        self.failureResultOf(asked[2], CancelledError)
        self.assertEqual(len(working), 5)
        working[4].callback("?")
        self.assertEqual(self.successResultOf(asked[5]), "5?")
