"""
Tests for what an operator selects.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message, Status, deliveries_of
from empath.mail.origin import OUTSIDE, TRUSTED, Origin, Source
from empath.policy.selection import Page, Selection, destination, page_of


def _address(text: str) -> Address:
    local, _, domain = text.partition("@")
    return Address(local, domain.lower(), text)


ENVELOPE = Envelope(
    _address("Ann@A.example"), (Recipient(_address("Bob@b.example")), Recipient(_address("c@b.example")))
)
MESSAGE = Message("1" * 26, 100.0, ENVELOPE, b"", b"", None, 0, False, origin=Origin(Source.LOGIN, "ann"))
(DELIVERY,) = deliveries_of(MESSAGE)


class SelectionTests(SynchronousTestCase):
    """
    Tests for `Selection`.
    """

    def test_nothing_is_no_selection(self) -> None:
        """
        What names nothing is refused; all has to be said.
        """
        self.assertRaises(ValueError, Selection)
        self.assertTrue(Selection(everything=True).fits(DELIVERY))
        self.assertTrue(Selection(everything=True).fits_message(MESSAGE))

    def test_deliveries(self) -> None:
        """
        Each field that is given must fit, addresses and domains in any case.
        """
        for fits in (
            Selection(queue_id="1" * 26),
            Selection(domain="B.example"),
            Selection(status=Status.PENDING),
            Selection(recipient="bob@B.EXAMPLE"),
            Selection(recipient="c@b.example", domain="b.example"),
            Selection(site="mx.example"),
        ):
            self.assertTrue(fits.fits(DELIVERY), fits)
        for fails in (
            Selection(queue_id="2" * 26),
            Selection(domain="example"),
            Selection(status=Status.HELD),
            Selection(recipient="b@b.example"),
            Selection(recipient="c@b.example", domain="c.example"),
        ):
            self.assertFalse(fails.fits(DELIVERY), fails)

    def test_destinations_are_read_as_people_write_them(self) -> None:
        """
        With U-labels, or a final dot; what is no domain is compared as it is.
        """
        for written, meant in (
            ("M\u00fcnchen.example", "xn--mnchen-3ya.example"),
            ("B.Example.", "b.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("", ""),
            ("No_Domain", "no_domain"),
        ):
            self.assertEqual(Selection(domain=written).domain, meant)
            self.assertEqual(destination(meant), meant)

    def test_what_is_to_be_held(self) -> None:
        """
        Is selected by all but that it is held.
        """
        everywhere = Selection(domain="b.example")
        self.assertEqual(everywhere.once_held(5.0), attrs.evolve(everywhere, everything=True))
        for held in (Selection(status=Status.HELD, login="ann"), Selection(held_from=5.0, login="ann")):
            self.assertEqual(held.once_held(5.0), Selection(login="ann", everything=True))
        for never in (Selection(status=Status.FAILED), Selection(held_for="odd"), Selection(held_from=5.1)):
            self.assertIsNone(never.once_held(5.0))

    def test_why_it_is_held(self) -> None:
        """
        To the letter; what is not held has no such reason, whatever its last error says.
        """
        held = attrs.evolve(DELIVERY, status=Status.HELD, last_error="Why")
        self.assertTrue(Selection(held_for="Why").fits(held))
        self.assertFalse(Selection(held_for="why").fits(held))
        self.assertFalse(Selection(held_for="Why").fits(attrs.evolve(held, status=Status.RETRY)))
        self.assertFalse(Selection(held_from=0.0).fits(held))
        since = attrs.evolve(held, held_since=5.0)
        self.assertTrue(Selection(held_from=5.0).fits(since))
        self.assertFalse(Selection(held_from=5.5).fits(since))

    def test_messages(self) -> None:
        """
        Sender, login and time are the message's.
        """
        for fits in (
            Selection(sender="ann@a.EXAMPLE"),
            Selection(login="ann"),
            Selection(received_before=100.5),
            Selection(vouched=True),
            Selection(source=Source.LOGIN),
        ):
            self.assertTrue(fits.needs_message and fits.fits_message(MESSAGE), fits)
        for fails in (Selection(sender="<>"), Selection(login="Ann"), Selection(received_before=100.0)):
            self.assertFalse(fails.fits_message(MESSAGE), fails)
        self.assertFalse(Selection(domain="b.example").needs_message)
        trusted = attrs.evolve(MESSAGE, origin=TRUSTED)
        self.assertFalse(Selection(login="ann").fits_message(trusted))
        self.assertFalse(Selection(source=Source.LOGIN).fits_message(trusted))
        self.assertFalse(Selection(held_for="x").needs_message)
        outside = attrs.evolve(MESSAGE, origin=OUTSIDE)
        self.assertFalse(Selection(vouched=True).fits_message(outside))

    def test_the_null_reverse_path(self) -> None:
        """
        Is spelt as nothing, or as SMTP spells it.
        """
        null = attrs.evolve(MESSAGE, envelope=Envelope(None, ENVELOPE.recipients))
        for text in ("", "<>"):
            self.assertTrue(Selection(sender=text).fits_message(null))
            self.assertFalse(Selection(sender=text).fits_message(MESSAGE))

    def test_pages(self) -> None:
        """
        Hold the first keys, and where to go on if there is more.
        """
        second = attrs.evolve(DELIVERY, domain="c.example")
        both = [second, DELIVERY]
        self.assertEqual(page_of(both, 2), Page((DELIVERY, second), None))
        self.assertEqual(page_of(both, 1), Page((DELIVERY,), (DELIVERY.queue_id, "b.example")))
        self.assertEqual(page_of([], 1), Page((), None))
