"""
What is told of stored mail, and what is remembered of attempts and arrivals.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.arrival import Arrival, arrival_of
from empath.mail.envelope import Envelope, Recipient
from empath.mail.history import MOST, PastAttempt, remembered
from empath.mail.message import Message
from empath.mail.session import Session
from empath.mail.stored import Head, head_of


class StoredTests(SynchronousTestCase):
    """
    Heads, arrivals, histories.
    """

    def test_a_head(self) -> None:
        """
        Has sender, size, and how many recipients; the null reverse-path is "".
        """
        to = (Recipient(Address("a", "b.example", "a@b.example")),)
        for sender, text in ((Address("c", "d.example", "c@d.example"), "c@d.example"), (None, "")):
            message = Message("01X", 7.0, Envelope(sender, to), b"", None, "01X", 99, False)
            self.assertEqual(head_of(message), Head("01X", 7.0, 99, text, 1, "01X"))

    def test_an_arrival(self) -> None:
        """
        Has what a session says of itself.
        """
        session = Session(
            "01S", "192.0.2.1", 4000, "tcp:25", "mta", 1.0, "me", "ESMTPSA", "TLSv1.3", "AES", login="ann"
        )
        wanted = Arrival("01S", "192.0.2.1", 4000, "tcp:25", "me", "ESMTPSA", "TLSv1.3", "AES", "ann")
        self.assertEqual(arrival_of(session), wanted)

    def test_a_history_is_bounded(self) -> None:
        """
        The first attempt and the last ones stay.
        """
        history: tuple[PastAttempt, ...] = ()
        for number in range(MOST + 5):
            times = (0.0, 0.0, 0.0, 0.0, 0.0)
            past = PastAttempt(number, *times, "mx", "", 25, "", "", "", False, "retry", "")
            history = remembered(history, past)
        self.assertEqual([each.number for each in history], [0, *range(6, MOST + 5)])
