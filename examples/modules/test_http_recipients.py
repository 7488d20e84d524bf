"""
An application says over HTTP which mailboxes exist; it is in memory, as all else here.
"""

from __future__ import annotations

from http_recipients import HttpRecipients
from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta, WebRequest

URL = "http://application.example:8000/mailbox"
USERS = ("you@example.org", "a+b@example.org")


class HttpRecipientsTests(SynchronousTestCase):
    """
    One client after another.
    """

    def setUp(self) -> None:
        self.mta = Mta([(HttpRecipients, {"url": URL})], domains=["example.org"])
        self.addCleanup(self.mta.stop)
        self.application = self.mta.web("application.example", self.knows)

    @staticmethod
    def knows(request: WebRequest) -> int:
        """
        Answer as the application does.
        """
        return 200 if request.query["address"] in USERS else 404

    @property
    def asked(self) -> list[str]:
        """
        Whom it was asked about.
        """
        return [request.query["address"] for request in self.application.requests]

    def rcpt(self, *recipients: str) -> list[str]:
        """
        Name these recipients in one transaction; gives the replies.
        """
        client = self.mta.client()
        client.ehlo()
        client.command("MAIL FROM:<a@example.net>")
        replies = [client.command(f"RCPT TO:<{recipient}>") for recipient in recipients]
        client.quit()
        return replies

    def test_who_exists_is_taken_and_who_does_not_is_refused(self) -> None:
        """
        The address is asked for as it is, plus sign and all.
        """
        replies = self.rcpt("you@example.org", "nobody@example.org", "a+b@example.org")
        self.assertEqual([reply[:9] for reply in replies], ["250 2.1.5", "550 5.1.1", "250 2.1.5"])
        self.assertEqual(self.asked, ["you@example.org", "nobody@example.org", "a+b@example.org"])

    def test_what_was_answered_is_not_asked_again_for_a_while(self) -> None:
        """
        Five minutes for one that exists, half a minute for one that does not.
        """
        self.rcpt("you@example.org", "nobody@example.org", "you@example.org", "nobody@example.org")
        self.assertEqual(len(self.asked), 2)
        self.mta.advance(60)
        self.rcpt("you@example.org", "nobody@example.org")
        self.assertEqual(self.asked[2:], ["nobody@example.org"])
        self.mta.advance(300)
        self.rcpt("you@example.org")
        self.assertEqual(self.asked[3:], ["you@example.org"])

    def test_an_application_in_trouble_is_no_reason_to_bounce_mail(self) -> None:
        """
        A bad status, no answer, nobody there: come back later, and nothing is remembered.
        """
        self.application.reply = 500
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.application.reply = None
        before = self.mta.seconds()
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.assertAlmostEqual(self.mta.seconds() - before, 3.0, delta=0.1)
        self.mta.down("application.example")
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.assertEqual(len([line for line in self.mta.logs if line.startswith("warn: http://")]), 3)
        self.mta.up("application.example")
        self.application.reply = self.knows
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "250 2.1.5")

    def test_others_domains_are_not_asked_about(self) -> None:
        """
        Relay control judges them.
        """
        self.assertEqual(self.rcpt("you@example.com")[0][:9], "550 5.7.1")
        self.assertEqual(self.asked, [])

    def test_memory_is_bounded(self) -> None:
        """
        The oldest answer makes room.
        """
        module = HttpRecipients(URL, most=2)
        module.clock = self.mta.reactor
        for address in ("a", "b", "c"):
            module.remember(address, True)
        self.assertEqual([module.remembered(address) for address in ("a", "b", "c")], [None, True, True])

    def test_an_address_that_is_no_url_stops_the_start(self) -> None:
        """
        Told by the constructor, so at the start and not at the first mail.
        """
        self.assertRaises(ValueError, HttpRecipients, "127.0.0.1:8000")
