"""
Requirements on rows: what was damaged on the disk is told as the spool's trouble.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError
from empath.spool.rows import delivery_of, delivery_row, message_of, message_row
from tests.spool.support import Post

DAMAGED = ("", "null", "{", "[]", '{"reverse_path":1,"recipients":[]}', '[{"status":"odd"}]', "[" * 100_000)


class RowTests(SynchronousTestCase):
    """
    From rows and back.
    """

    def test_what_was_stored_comes_back(self) -> None:
        """
        A message and its deliveries are the same afterwards.
        """
        message, deliveries = Post().with_deliveries("bob@example.net", "carl@example.com")
        self.assertEqual(message_of(message_row(7, message)[1:]), message)
        for delivery in deliveries:
            self.assertEqual(delivery_of(delivery_row(delivery)), delivery)

    def test_damage_is_the_spools_trouble(self) -> None:
        """
        Whatever stands in a damaged row, it is a SpoolError that names the queue id: one message, not the program.
        """
        message, (delivery,) = Post().with_deliveries()
        stored, columns = message_row(7, message)[1:], delivery_row(delivery)
        for text in DAMAGED:
            broken = self.assertRaises(SpoolError, message_of, (*stored[:7], text, *stored[8:]))
            self.assertIn(message.queue_id, str(broken))
            if text != "[]":
                self.assertRaises(SpoolError, delivery_of, (*columns[:8], text))
            self.assertRaises(SpoolError, delivery_of, (*columns[:3], text, *columns[4:]))
