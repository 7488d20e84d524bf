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

    def test_held(self) -> None:
        """
        Nothing is scheduled; the reason is the last error.
        """
        one, two = deliveries_of(self.message("a@x.test", "b@y.test"), 9.0, "looks odd")
        for delivery in (one, two):
            self.assertEqual((delivery.status, delivery.next_attempt), (Status.HELD, None))
            self.assertEqual((delivery.last_error, delivery.received), ("looks odd", 9.0))
            self.assertEqual(delivery.open_recipients, delivery.recipients)

    def test_a_single_recipient(self) -> None:
        """
        Is no other case: it has its delivery, scheduled, released later, held or redirected.
        """
        message = self.message("a@x.test")
        (usual,) = deliveries_of(message)
        self.assertEqual(usual, attrs.evolve(deliveries_of(self.message("a@x.test", "b@y.test"))[0]))
        (later,) = deliveries_of(message, 9.0)
        self.assertEqual((later.next_attempt, later.received), (9.0, 9.0))
        (held,) = deliveries_of(message, 0.0, "odd")
        self.assertEqual((held.status, held.next_attempt, held.last_error), (Status.HELD, None, "odd"))
        (redirected,) = deliveries_of(message, routes={None: "archive"})
        self.assertEqual(redirected, attrs.evolve(usual, domain="archive"))

    def test_routes(self) -> None:
        """
        A route takes recipients of several domains in one delivery, and some of a domain only; None is for the others.
        """
        message = self.message("a@x.test", "b@y.test", "c@x.test", "d@z.test")
        a, b, c, d = (each.address for each in message.envelope.recipients)
        cases: tuple[tuple[dict[Address | None, str], list[tuple[str, list[Address]]]], ...] = (
            ({}, [("x.test", [a, c]), ("y.test", [b]), ("z.test", [d])]),
            ({a: "archive", b: "archive"}, [("archive", [a, b]), ("x.test", [c]), ("z.test", [d])]),
            ({None: "archive"}, [("archive", [a, b, c, d])]),
            ({None: "archive", c: "y.test"}, [("archive", [a, b, d]), ("y.test", [c])]),
            ({d: "x.test"}, [("x.test", [a, c, d]), ("y.test", [b])]),
        )
        for routes, expected in cases:
            deliveries = deliveries_of(message, routes=routes)
            found = [(each.domain, [state.address for state in each.recipients]) for each in deliveries]
            self.assertEqual(found, expected)

    def test_open_recipients(self) -> None:
        """
        Those that came to an end are not open.
        """
        delivery: Delivery = deliveries_of(self.message("a@x.test", "b@x.test"))[0]
        done = attrs.evolve(delivery.recipients[0], status=Status.COMPLETED)
        delivery = attrs.evolve(delivery, recipients=(done, delivery.recipients[1]))
        self.assertEqual([str(state.address) for state in delivery.open_recipients], ["b@x.test"])
