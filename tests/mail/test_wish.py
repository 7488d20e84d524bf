"""
What senders want of TLS.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.envelope import Envelope
from empath.mail.message import Message
from empath.mail.wish import Wish, noted, wishes

ALICE = Address("alice", "x.test", "alice@x.test")


def wish(parameters: dict[str, str], sender: Address | None = ALICE) -> Wish:
    return wishes(Message("Q", 0.0, Envelope(sender, (), parameters), b"", b"", None, 0, False))


class WishTests(SynchronousTestCase):
    def test_of_the_envelope(self) -> None:
        """
        REQUIRETLS wants TLS, the note of TLS-Required makes it optional; nothing else wants anything.
        """
        self.assertIs(wish({}), Wish.NONE)
        self.assertIs(wish({"BODY": "8BITMIME"}), Wish.NONE)
        self.assertIs(wish({"REQUIRETLS": ""}), Wish.REQUIRE)
        self.assertIs(wish({"TLS-REQUIRED": "No"}), Wish.OPTIONAL)

    def test_both(self) -> None:
        """
        REQUIRETLS counts (RFC 8689 §4.1).
        """
        self.assertIs(wish({"TLS-REQUIRED": "No", "REQUIRETLS": ""}), Wish.REQUIRE)

    def test_of_a_bounce(self) -> None:
        """
        It is not lost because its next hop does not know REQUIRETLS (RFC 8689 §5).
        """
        self.assertIs(wish({"REQUIRETLS": ""}, None), Wish.NONE)
        self.assertIs(wish({"TLS-REQUIRED": "No"}, None), Wish.OPTIONAL)


class NoteTests(SynchronousTestCase):
    def said(self, header: bytes) -> bool:
        """
        Tell whether a header block is noted to make TLS optional.
        """
        before = {"RET": "HDRS"}
        after = noted(before, header)
        self.assertEqual(before, {"RET": "HDRS"})
        self.assertIn(after, (before, {"RET": "HDRS", "TLS-REQUIRED": "No"}))
        return after != before

    def test_the_field(self) -> None:
        """
        In any case of letters, folded, anywhere in the header block.
        """
        self.assertTrue(self.said(b"TLS-Required: No\r\n"))
        self.assertTrue(self.said(b"From: a\r\ntls-required:no \r\nTo: b\r\n"))
        self.assertTrue(self.said(b"From: a\r\nTLS-REQUIRED :\r\n NO\r\n"))

    def test_what_is_none(self) -> None:
        """
        Another word, the words in another place, or more than one field say nothing (RFC 8689 §3).
        """
        for header in (
            b"",
            b"Subject: hello\r\n",
            b"TLS-Required: Yes\r\n",
            b"TLS-Required:\r\n",
            b"TLS-Required: No thanks\r\n",
            b"Subject: TLS-Required: No\r\n",
            b"Subject: a\r\n TLS-Required: No\r\n",
            b"X-TLS-Required: No\r\n",
            b"TLS-Required: No\r\nTLS-Required: No\r\n",
            b"TLS-Required: No\r\nTLS-Required: Yes\r\n",
            b"TLS-Required: N\xc3\xb6\r\n",
        ):
            self.assertFalse(self.said(header), header)

    def test_beside_the_parameter(self) -> None:
        """
        The field is passed over.
        """
        self.assertEqual(noted({"REQUIRETLS": ""}, b"TLS-Required: No\r\n"), {"REQUIRETLS": ""})
