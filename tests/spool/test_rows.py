"""
Requirements on rows: what was damaged on the disk is told as the spool's trouble.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError
from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Message
from empath.spool.rows import UNFIT, delivery_of, delivery_row, message_of, message_row
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

    def test_texts_of_another_class(self) -> None:
        """
        Are stored as the texts they are: modules get them from libraries.
        """

        class Markup(str):
            __slots__ = ()

        message, _ = Post().with_deliveries()
        marked = attrs.evolve(message, metadata={Markup("a"): Markup("b")}, trace=Markup("t"))
        again = message_of(message_row(7, marked)[1:])
        self.assertEqual((again.metadata, type(again.metadata["a"]), again.trace), ({"a": "b"}, str, "t"))

    def test_what_could_not_be_read_again_is_not_stored(self) -> None:
        """
        Who sends it hears that at once: a message that cannot be loaded would be lost.
        """
        message, _ = Post().with_deliveries()
        text: Any
        for text in ({"a": 1}, {"a": b"x"}, {1: "a"}):
            self.assertRaises(UNFIT, message_row, 7, attrs.evolve(message, metadata=text))
        to = message.envelope.recipients[0].address
        for text in (None, 5, {"NOTIFY": None}):
            self.assertRaises(UNFIT, message_row, 7, _sent(message, Recipient(to, text)))
        for text in (5, None, b"x", "\ud800"):
            self.assertRaises(UNFIT, message_row, 7, _sent(message, Recipient(Address("a", text, "a@b.example"))))

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
                self.assertRaises(SpoolError, delivery_of, (*columns[:8], text, None))
            self.assertRaises(SpoolError, delivery_of, (*columns[:3], text, *columns[4:]))


def _sent(message: Message, recipient: Recipient) -> Message:
    return attrs.evolve(message, envelope=attrs.evolve(message.envelope, recipients=(recipient,)))
