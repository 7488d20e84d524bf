"""
The correlation id goes with a message from MAIL to its delivery, in another process.
"""

from __future__ import annotations

import re

from correlation import CorrelationId
from twisted.trial.unittest import SynchronousTestCase

from empath.testing import MockSmtpServer, Mta

CONTENT = b"Subject: order 17\r\nX-Correlation-ID: forged\r\n\r\nHello.\r\n"


class CorrelationTests(SynchronousTestCase):
    """
    A message to a host that is away for ten minutes.
    """

    def setUp(self) -> None:
        self.mta = Mta([CorrelationId], domains=["example.org"])
        self.addCleanup(self.mta.stop)

    def delivered(self) -> str:
        """
        Tell the line of the log that this module wrote.
        """
        [line] = [line for line in self.mta.logs if "delivered to" in line]
        return line

    def test_it_is_read_at_the_delivery_after_a_restart(self) -> None:
        """
        Set at MAIL, stored with the message, told at the delivery.
        """
        self.mta.down("example.org")
        self.mta.client().send("shop@example.net", ["you@example.org"], CONTENT)
        self.mta.restart()
        self.mta.up("example.org")
        self.mta.advance(minutes=10)
        [message] = self.mta.peer("example.org").messages
        [given] = re.findall(rb"(?m)^X-Correlation-ID: (.*)\r$", message.content)
        self.assertRegex(given.decode(), "^[0-9a-f]{24}$")
        self.assertIn(f" {given.decode()} delivered to you@example.org", self.delivered())

    def test_the_clients_own_name_for_it_is_taken(self) -> None:
        """
        ENVID= is made for this (RFC 3461 §4.4).
        """
        self.mta.client().send("shop@example.net", ["you@example.org"], CONTENT, "ENVID=order-17")
        self.mta.advance(1)
        self.assertIn(" order-17 delivered to ", self.delivered())
        self.assertIn(b"\r\nX-Correlation-ID: order-17\r\n", self.mta.peer("example.org").messages[0].content)

    def test_each_attempt_that_delivers_tells_whom(self) -> None:
        """
        One recipient at once, the other one later: two lines, one name.
        """
        self.mta.peer(
            "example.org", MockSmtpServer().with_rcpt_to_response(451, "4.2.1 later", recipient="late@example.org")
        )
        self.mta.client().send("a@example.net", ["now@example.org", "late@example.org"], CONTENT, "ENVID=both")
        self.mta.advance(1)
        self.mta.peer("example.org", MockSmtpServer())
        self.mta.advance(minutes=10)
        lines = [line for line in self.mta.logs if " both delivered to " in line]
        self.assertEqual(
            [re.search("delivered to ([^ ]+) .*attempt ([0-9])", line).groups() for line in lines],  # type: ignore[union-attr]
            [("now@example.org", "1"), ("late@example.org", "2")],
        )
