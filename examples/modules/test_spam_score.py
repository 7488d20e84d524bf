"""
A library that blocks, in a thread. The kit runs threads at once, so that tests are the same each time.
"""

from __future__ import annotations

from spam_score import SpamScore
from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta

LOUD = b"Subject: MONEY\r\n\r\n" + b"WIN $1000000 NOW!!! 100% FREE\r\n" * 3


class SpamScoreTests(SynchronousTestCase):
    """
    Quiet mail and loud mail.
    """

    def mta(self, **options: object) -> Mta:
        """
        Make one with this module.
        """
        mta = Mta([(SpamScore, options)], domains=["example.org"])
        self.addCleanup(mta.stop)
        return mta

    def test_a_quiet_message_passes_with_its_score(self) -> None:
        """
        The score stays with the message.
        """
        mta = self.mta()
        reply = mta.client().send("a@example.net", ["you@example.org"], b"Subject: hello\r\n\r\nHow are you?\r\n")
        self.assertEqual(reply[:9], "250 2.0.0")
        self.assertEqual(mta.messages[0].metadata["spam_score"], "0.0")

    def test_a_loud_one_is_refused_and_the_log_says_why(self) -> None:
        """
        The client hears no score.
        """
        mta = self.mta()
        reply = mta.client().send("a@example.net", ["you@example.org"], LOUD)
        self.assertEqual(reply, "550 5.7.1 this looks like spam")
        self.assertEqual(mta.messages, [])

    def test_a_large_message_is_not_judged(self) -> None:
        """
        By size, or since it lies in a file.
        """
        mta = self.mta(largest=50)
        reply = mta.client().send("a@example.net", ["you@example.org"], LOUD)
        self.assertEqual(reply[:9], "250 2.0.0")
        self.assertNotIn("spam_score", mta.messages[0].metadata)

    def test_a_library_that_fails_is_answered_as_configured(self) -> None:
        """
        `on_error = "ignore"`: the mail comes through.
        """
        section = {"factory": SpamScore, "options": {"scorer": "math:sqrt"}, "on_error": "ignore"}
        mta = Mta([section], domains=["example.org"])
        self.addCleanup(mta.stop)
        self.assertEqual(mta.client().send("a@example.net", ["you@example.org"], LOUD)[:9], "250 2.0.0")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_a_scorer_that_is_not_there_stops_the_start(self) -> None:
        """
        Told by the constructor.
        """
        for scorer in ("no_such_module:score", "math:no_such_name", "math:pi", ""):
            self.assertRaises(ValueError, SpamScore, scorer)
