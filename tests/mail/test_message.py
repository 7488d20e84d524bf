"""
Messages and their deliveries.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState, Status, deliveries_of


def recipient(text: str) -> Recipient:
    """
    Make a recipient of a plain address.
    """
    local, _, domain = text.partition("@")
    return Recipient(Address(local, domain, text))


class DeliveriesTests(SynchronousTestCase):
    """
    A message has one delivery for each destination domain.
    """

    def message(self, *recipients: str) -> Message:
        """
        Make a message to these.
        """
        envelope = Envelope(None, tuple(map(recipient, recipients)))
        return Message("Q", 5.0, envelope, b"A: b\r\n", b"\r\n", None, 8, False, priority=2)

    def test_grouped(self) -> None:
        """
        Recipients of one domain share a delivery, in the order given, due at once.
        """
        one, two = deliveries_of(self.message("a@x.test", "b@y.test", "c@x.test"))
        self.assertEqual([str(state.address) for state in one.recipients], ["a@x.test", "c@x.test"])
        self.assertEqual((two.domain, two.next_attempt, two.priority), ("y.test", 5.0, 2))
        self.assertEqual(two.recipients, (RecipientState(recipient("b@y.test")),))

    def test_open_recipients(self) -> None:
        """
        Those that came to an end are not open.
        """
        delivery: Delivery = deliveries_of(self.message("a@x.test", "b@x.test"))[0]
        done = attrs.evolve(delivery.recipients[0], status=Status.COMPLETED)
        delivery = attrs.evolve(delivery, recipients=(done, delivery.recipients[1]))
        self.assertEqual([str(state.address) for state in delivery.open_recipients], ["b@x.test"])
