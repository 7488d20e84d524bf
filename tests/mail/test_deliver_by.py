"""
The time to deliver by.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.deliver_by import DeliverBy, deliver_by, lapsed
from empath.mail.envelope import Envelope
from empath.mail.message import Message


def message(**parameters: str) -> Message:
    return Message("Q", 1000.0, Envelope(None, (), parameters), b"", b"", None, 0, False)


class DeliverByTests(SynchronousTestCase):
    def test_mode_and_trace(self) -> None:
        """
        The deadline counts from reception; R returns, N tells, T traces.
        """
        for text, returned, told, trace in (
            ("120;R", True, False, False),
            ("120;N", False, True, False),
            ("120;RT", True, False, True),
            ("120;nt", False, True, True),
        ):
            self.assertEqual(deliver_by(message(BY=text)), DeliverBy(1120.0, returned, told, trace))

    def test_what_was_late_before_is_not_told_again(self) -> None:
        """
        A time in mode N that was over at reception.
        """
        for text, deadline in (("0;N", 1000.0), ("-5;N", 995.0)):
            self.assertEqual(deliver_by(message(BY=text)), DeliverBy(deadline, False, False, False))

    def test_none(self) -> None:
        """
        Without the parameter, or with one that nobody can read, there is no deadline.
        """
        for parameters in ({}, {"BY": ""}, {"BY": "soon"}, {"BY": "1;X"}, {"BY": "9999999999;R"}):
            self.assertIsNone(deliver_by(message(**parameters)))
            self.assertFalse(lapsed(message(**parameters), 1e12))

    def test_lapsed(self) -> None:
        """
        In mode R from the deadline on, in mode N never.
        """
        self.assertFalse(lapsed(message(BY="120;R"), 1119.9))
        self.assertTrue(lapsed(message(BY="120;R"), 1120.0))
        self.assertFalse(lapsed(message(BY="120;N"), 5000.0))
