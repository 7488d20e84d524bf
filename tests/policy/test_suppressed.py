"""
Tests for what is said of recipients that are on the suppression list.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.reply import Reply
from empath.policy.suppressed import is_refusal, refusal_of


class RefusalTests(SynchronousTestCase):
    """
    Tests for `refusal_of` and `is_refusal`.
    """

    def test_an_address_is_refused_as_its_host_did(self) -> None:
        """
        Anything but a failure of the address is our policy; a long reason is cut.
        """
        said = {
            why: refusal_of(why).status for why in ("bad-mailbox", "inactive-mailbox", "bad-domain", "complaint", "")
        }
        self.assertEqual(list(said.values()), ["5.1.1", "5.1.1", "5.1.2", "5.7.1", "5.7.1"])
        self.assertIn("unknown", str(refusal_of("")))
        self.assertLess(len(str(refusal_of("x" * 1000))), 300)

    def test_its_own_words_are_known_again(self) -> None:
        """
        What the list says is no failure that could feed it.
        """
        self.assertTrue(is_refusal(refusal_of("complaint")))
        self.assertFalse(is_refusal(Reply.of("550 5.1.1 unknown")))
        self.assertFalse(is_refusal(None))
