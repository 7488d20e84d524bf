"""
Requirements on what is kept of a traced attempt or reception.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.step import MOST_LINES, MOST_STEPS, Said, Steps


class StepsTests(SynchronousTestCase):
    """
    Steps and what was said in them.
    """

    def test_are_kept_in_their_order(self) -> None:
        steps = Steps()
        dns = steps.begin("dns", 1.0, domain="one.test")
        dns.ended = 2.0
        mail = steps.begin("mail", 3.0)
        steps.say(mail, Said(3.0, True, "MAIL FROM:<a@one.test>"))
        self.assertEqual([each.name for each in steps.steps], ["dns", "mail"])
        self.assertEqual(dns.facts, {"domain": "one.test"})
        self.assertEqual([each.text for each in mail.said], ["MAIL FROM:<a@one.test>"])
        self.assertEqual(steps.left_out, 0)

    def test_are_bounded(self) -> None:
        """
        What has no room is counted, and nobody who tells it has to know.
        """
        steps = Steps()
        for number in range(MOST_STEPS + 3):
            last = steps.begin("rcpt", float(number))
        last.ended = 9.0
        for number in range(MOST_LINES + 4):
            steps.say(steps.steps[0], Said(float(number), False, "250 ok"))
        self.assertEqual((len(steps.steps), len(steps.steps[0].said)), (MOST_STEPS, MOST_LINES))
        self.assertEqual(steps.left_out, 7)
