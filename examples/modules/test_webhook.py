"""
An application is told by HTTP what became of messages.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from webhook import Webhook

from empath.testing import MockSmtpServer, Mta, WebRequest

URL = "http://application.example:8000/events"
CONTENT = b"Subject: hello\r\n\r\nworld\r\n"


class WebhookTests(SynchronousTestCase):
    """
    One MTA, one application.
    """

    def setUp(self) -> None:
        section = {"factory": Webhook, "options": {"url": URL, "secret": "secret", "most": 150}, "timeout": 15}
        self.mta = Mta([section], domains=["example.org"])
        self.addCleanup(self.mta.stop)
        self.events: list[dict[str, Any]] = []
        self.application = self.mta.web("application.example", self.takes)

    def takes(self, request: WebRequest) -> int:
        """
        Take events, if they are signed.
        """
        if request.headers["x-signature"] != "sha256=" + hmac.new(b"secret", request.body, hashlib.sha256).hexdigest():
            return 403
        self.events += json.loads(request.body)
        return 204

    def send(self, *recipients: str) -> None:
        """
        Send a message, and let it be delivered.
        """
        self.mta.client().send("a@example.net", recipients or ["you@example.org"], CONTENT, keep=False)
        self.mta.settle()

    def test_each_recipient_of_an_attempt_is_an_event(self) -> None:
        """
        Success, delay, failure; signed.
        """
        self.mta.peer(
            "example.org",
            MockSmtpServer()
            .with_rcpt_to_response(550, "5.1.1 unknown", recipient="gone@example.org")
            .with_rcpt_to_response(451, "4.2.1 later", recipient="late@example.org"),
        )
        self.send("you@example.org", "gone@example.org", "late@example.org")
        self.mta.advance(2)
        told = {event["recipient"]: event["status"] for event in self.events}
        expected = {"you@example.org": "completed", "gone@example.org": "failed", "late@example.org": "retry"}
        self.assertEqual({each: told[each] for each in expected}, expected)
        failed = next(event for event in self.events if event["status"] == "failed")
        self.assertEqual(failed["reply"], "550 5.1.1 unknown")
        self.assertEqual(failed["id"], f"{failed['queue_id']}/1/gone@example.org")

    def test_what_the_application_does_not_take_comes_again(self) -> None:
        """
        An error, no answer, nobody there.
        """
        self.application.reply = 500
        self.send()
        self.mta.advance(2)
        self.assertGreater(len(self.application.requests), 0)
        self.application.reply = None
        self.mta.advance(20)
        self.mta.down("application.example")
        self.mta.advance(20)
        self.mta.up("application.example")
        self.application.reply = self.takes
        self.mta.advance(20)
        self.assertEqual([event["recipient"] for event in self.events], ["you@example.org"])

    def test_a_hundred_events_do_not_wait(self) -> None:
        """
        They are sent as soon as they are there, in one request.
        """
        self.send(*[f"{number}@example.org" for number in range(100)])
        self.assertEqual((len(self.application.requests), len(self.events)), (1, 100))

    def test_memory_is_bounded(self) -> None:
        """
        While the application is away, the newest are kept.
        """
        self.application.reply = 500
        for each in range(4):
            self.send(*[f"{each}-{number}@example.org" for number in range(60)])
            self.mta.advance(2)
        self.application.reply = self.takes
        self.mta.advance(5)
        told = [event["recipient"] for event in self.events]
        self.assertEqual(len(told), 150)
        self.assertEqual(told[-1], "3-59@example.org")

    def test_the_last_events_are_sent_when_it_stops(self) -> None:
        """
        A stop loses none.
        """
        self.send()
        self.mta.stop()
        self.assertEqual([event["status"] for event in self.events], ["completed"])

    def test_an_address_that_is_no_url_stops_the_start(self) -> None:
        """
        Told by the constructor.
        """
        self.assertRaises(ValueError, Webhook, "127.0.0.1:8000")
