"""
Requirements on what is kept of a traced attempt or reception.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.step import LEFT_FREE, MOST_LINES, MOST_STEPS, Said, Steps


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
            last = steps.begin("connect", float(number))
        last.ended = 9.0
        steps.say(last, Said(9.0, False, "220 nobody reads this"))
        for number in range(MOST_LINES + 3):
            steps.say(steps.steps[0], Said(float(number), False, "250 ok"))
        self.assertEqual((len(steps.steps), len(steps.steps[0].said)), (MOST_STEPS, MOST_LINES))
        self.assertEqual(steps.left_out, 7)

    def test_leave_room_behind_recipients(self) -> None:
        """
        However many there are, what became of the content is told.
        """
        steps = Steps()
        for number in range(1000):
            rcpt = steps.begin("rcpt", float(number))
            steps.say(rcpt, Said(float(number), False, "RCPT"))
            steps.say(rcpt, Said(float(number), True, "250 ok"))
        data = steps.begin("data", 1000.0)
        steps.say(data, Said(1001.0, True, "250 ok"))
        steps.begin("store", 1000.0)
        self.assertEqual([each.name for each in steps.steps[-2:]], ["data", "store"])
        self.assertEqual(len(steps.steps), MOST_STEPS - LEFT_FREE[0] + 2)
        self.assertEqual(len(data.said), 1)
