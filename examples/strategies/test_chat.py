"""
Mail becomes messages in a chat.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from empath.errors import ConfigError
from empath.testing import Mta, WebRequest

CONFIG = """
[delivery.domains."chat.example.org"]
strategy = "chat:Chat"
options = { server = "http://chat.example.net:8000", token = "123" }
"""
MAIL = b"From: <me@example.org>\r\nSubject: lunch\r\n\r\nIt is ready.\r\n"


class ChatTests(SynchronousTestCase):
    """
    One MTA, one chat with one room.
    """

    def setUp(self) -> None:
        self.mta = Mta(config=CONFIG)
        self.addCleanup(self.mta.stop)
        self.chat = self.mta.web("chat.example.net", self.takes)
        self.away = False

    def takes(self, request: WebRequest) -> int:
        """
        Answer as the chat does.
        """
        if self.away:
            return 503
        return 200 if request.path == "/rooms/kitchen" else 404

    def send(self, *recipients: str) -> None:
        """
        Send a mail of our own.
        """
        self.mta.client("127.0.0.1").send("me@example.org", list(recipients), MAIL)
        self.mta.settle()

    def test_mail_becomes_a_message(self) -> None:
        self.send("kitchen@chat.example.org")
        [request] = self.chat.requests
        self.assertEqual((request.path, request.headers["authorization"]), ("/rooms/kitchen", "Bearer 123"))
        self.assertEqual(json.loads(request.body), {"text": "lunch\nIt is ready."})
        self.assertEqual(self.mta.queue(), [])

    def test_who_mails_no_room_hears_it(self) -> None:
        self.send("kitchen@chat.example.org", "attic@chat.example.org")
        [bounce] = self.mta.peers["mx.example.org"].messages
        self.assertIn(b"there is no such room", bounce.content)

    def test_mail_waits_for_the_chat(self) -> None:
        self.away = True
        self.send("kitchen@chat.example.org")
        [waiting] = self.mta.queue()
        self.assertEqual(waiting.last_error, "451 4.3.0 the chat answered 503")
        self.away = False
        self.mta.advance(minutes=10)
        self.assertEqual(self.mta.queue(), [])

    def test_a_server_that_is_none_is_refused_at_the_start(self) -> None:
        config = CONFIG.replace("http://", "")
        refusal = self.assertRaises(ConfigError, Mta, config=config)
        self.assertIn('delivery.domains."chat.example.org".options: chat:Chat: server: a URL', refusal.problems)
