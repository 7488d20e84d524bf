"""
Verdicts.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.verdict import Action, accept, discard, disconnect, refuse, tempfail


class VerdictTests(SynchronousTestCase):
    """
    A verdict says what is done and with which words.
    """

    def test_kinds(self) -> None:
        """
        Each kind does what its name says.
        """
        verdicts = [accept(), refuse("550 5.7.1 no"), tempfail("451 4.7.1 later"), disconnect(), discard()]
        shown = [(verdict.action, verdict.reply and str(verdict.reply)) for verdict in verdicts]
        self.assertEqual(
            shown,
            [
                (Action.ACCEPT, None),
                (Action.REFUSE, "550 5.7.1 no"),
                (Action.REFUSE, "451 4.7.1 later"),
                (Action.DISCONNECT, "421 4.7.0 closing connection"),
                (Action.DISCARD, None),
            ],
        )

    def test_wrong_codes(self) -> None:
        """
        A refusal that would read as success, or a temporary one that is for good, cannot be made.
        """
        with self.assertRaises(ValueError):
            refuse("250 2.0.0 fine")
        with self.assertRaises(ValueError):
            tempfail("550 5.7.1 never")
