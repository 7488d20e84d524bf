"""
Tests for what became of recipients.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import PermanentFailure, Scope, Success, TransientFailure, doubts
from empath.mail.reply import Reply


class DoubtTests(SynchronousTestCase):
    """
    Tests for `doubts`.
    """

    def test_only_what_a_host_may_have_taken_is_in_doubt(self) -> None:
        """
        A transient failure that says so; no other, no success, no refusal.
        """
        later, never, taken = Reply.of("451 4.4.2 lost"), Reply.of("550 5.1.1 no"), Reply.of("250 2.0.0 ok")
        sure = TransientFailure(later, Scope.HOST)
        doubtful = TransientFailure(later, Scope.HOST, "mx.example", doubtful=True)
        outcomes = (Success(taken, "mx.example"), PermanentFailure(never, Scope.RECIPIENT), doubtful, sure, doubtful)
        self.assertEqual([doubts(()), doubts((sure,)), doubts(outcomes)], [0, 0, 2])
