"""
An application says over HTTP which mailboxes exist; it is in memory, as all else here.
"""

from __future__ import annotations

from typing import Any

from http_recipients import HttpRecipients
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from empath.testing import Mta

URL = "http://192.0.2.80:8000/mailbox"
USERS = ("you@example.org", "a+b@example.org")


class Application(Resource):
    """
    Knows the mailboxes; answers `status` instead if that is set, and never if it is 0.
    """

    isLeaf = True  # noqa: N815 Twisted names it

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.status: int | None = None

    def render_GET(self, request: Any) -> Any:
        """
        Answer a question.
        """
        address = request.args[b"address"][0].decode()
        self.asked.append(address)
        if self.status == 0:
            return NOT_DONE_YET
        request.setResponseCode(self.status or (200 if address in USERS else 404))
        return b"whatever\n"


class HttpRecipientsTests(SynchronousTestCase):
    """
    One client after another.
    """

    def setUp(self) -> None:
        self.mta = Mta([(HttpRecipients, {"url": URL})], domains=["example.org"])
        self.addCleanup(self.mta.stop)
        self.application = Application()
        self.mta.serve("192.0.2.80", 8000, Site(self.application, reactor=self.mta.reactor))

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
        self.assertEqual(self.application.asked, ["you@example.org", "nobody@example.org", "a+b@example.org"])

    def test_what_was_answered_is_not_asked_again_for_a_while(self) -> None:
        """
        Five minutes for one that exists, half a minute for one that does not.
        """
        self.rcpt("you@example.org", "nobody@example.org", "you@example.org", "nobody@example.org")
        self.assertEqual(len(self.application.asked), 2)
        self.mta.advance(60)
        self.rcpt("you@example.org", "nobody@example.org")
        self.assertEqual(self.application.asked[2:], ["nobody@example.org"])
        self.mta.advance(300)
        self.rcpt("you@example.org")
        self.assertEqual(self.application.asked[3:], ["you@example.org"])

    def test_an_application_in_trouble_is_no_reason_to_bounce_mail(self) -> None:
        """
        A bad status, no answer, nobody there: come back later, and nothing is remembered.
        """
        self.application.status = 500
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.application.status = 0
        before = self.mta.seconds()
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.assertAlmostEqual(self.mta.seconds() - before, 3.0, delta=0.1)
        del self.mta.world.places["192.0.2.80", 8000]
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "451 4.4.3")
        self.assertEqual(len([line for line in self.mta.logs if line.startswith("warn: http://")]), 3)
        self.mta.serve("192.0.2.80", 8000, Site(self.application, reactor=self.mta.reactor))
        self.application.status = None
        self.assertEqual(self.rcpt("you@example.org")[0][:9], "250 2.1.5")

    def test_others_domains_are_not_asked_about(self) -> None:
        """
        Relay control judges them.
        """
        self.assertEqual(self.rcpt("you@example.com")[0][:9], "550 5.7.1")
        self.assertEqual(self.application.asked, [])

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
