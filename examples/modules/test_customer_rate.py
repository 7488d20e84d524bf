"""
So many recipients for each customer, counted across restarts.
"""

from __future__ import annotations

from customer_rate import CustomerRate
from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta

CONFIG = """
[[smtp.listeners]]
endpoint = "tcp:25"
context = { customer = "acme" }
[[smtp.listeners]]
endpoint = "tcp:26"
context = { customer = "small" }
[[smtp.listeners]]
endpoint = "tcp:27"
[relay]
networks = ["192.0.2.0/24"]
"""
CONTENT = b"Subject: hello\r\n\r\nworld\r\n"
OPTIONS = {"customers": {"acme": "3/h"}, "default": "1/h"}


class CustomerRateTests(SynchronousTestCase):
    """
    Customers by the listener they come to.
    """

    def setUp(self) -> None:
        self.mta = Mta([(CustomerRate, OPTIONS)], config=CONFIG)
        self.addCleanup(self.mta.stop)

    def accepted(self, listener: int, count: int) -> int:
        """
        Name so many recipients; tells how many were taken.
        """
        client = self.mta.client(listener=listener)
        client.send("a@example.net", [f"{number}@example.com" for number in range(count)], CONTENT)
        for reply in client.refused.values():
            self.assertEqual(reply, "451 4.7.1 your rate is used up, try again later")
        client.quit()
        return count - len(client.refused)

    def test_each_customer_has_a_rate(self) -> None:
        """
        Its own, or the one of all others; who is no customer has none.
        """
        self.assertEqual([self.accepted(listener, 5) for listener in (0, 1, 2)], [3, 1, 5])

    def test_it_begins_anew_with_each_hour(self) -> None:
        """
        Virtual time begins at midnight.
        """
        self.accepted(0, 3)
        self.mta.advance(minutes=59)
        self.assertEqual(self.accepted(0, 3), 0)
        self.mta.advance(minutes=1)
        self.assertEqual(self.accepted(0, 3), 3)

    def test_a_restart_is_no_way_around_it(self) -> None:
        """
        The count was stored a few seconds after it changed.
        """
        self.accepted(0, 2)
        self.mta.advance(10)
        self.mta.restart()
        self.assertEqual(self.accepted(0, 3), 1)

    def test_a_message_says_whose_it_is(self) -> None:
        """
        For the log, and other modules.
        """
        self.accepted(0, 1)
        self.assertEqual(self.mta.messages[0].metadata["customer"], "acme")

    def test_a_rate_that_is_none_stops_the_start(self) -> None:
        """
        Told by the constructor.
        """
        self.assertRaises(ValueError, CustomerRate, {"acme": "many"})
        self.assertRaises(ValueError, CustomerRate, {}, "100/fortnight")
