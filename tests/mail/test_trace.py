"""
The Received field says what RFC 5321 §4.4 asks for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.trace import format_date, received_field

USUAL = {
    "name": "client.example",
    "peer": "192.0.2.7",
    "hostname": "mx.example.org",
    "protocol": "ESMTP",
    "queue_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "recipient": "user@example.org",
}


def field(**changes: str) -> str:
    """
    Make a field at a known second.
    """
    return received_field(**(USUAL | changes), seconds=1795257600.9).decode()


class ReceivedTests(SynchronousTestCase):
    """
    The field.
    """

    def test_whole(self) -> None:
        """
        from, by, with, id, for and the date in UTC, folded.
        """
        self.assertEqual(
            field(),
            "Received: from client.example ([192.0.2.7]) by mx.example.org with ESMTP\r\n"
            "        id 01ARZ3NDEKTSV4RRFFQ69G5FAV for <user@example.org>;\r\n"
            "        Sat, 21 Nov 2026 10:40:00 +0000\r\n",
        )

    def test_several_recipients(self) -> None:
        """
        No recipient is named to another.
        """
        self.assertNotIn("for", field(recipient=""))
        self.assertIn("FAV; Sat,", field(recipient=""))

    def test_peers(self) -> None:
        """
        IPv6 addresses are tagged; a UNIX socket has no address.
        """
        self.assertIn("([IPv6:2001:db8::1])", field(peer="2001:db8::1"))
        self.assertIn("from client.example by", field(peer="unix"))

    def test_hostile_name(self) -> None:
        """
        What the client calls itself cannot break out of its place.
        """
        self.assertIn("from a?b????c ([192.0.2.7])", field(name="a(b)<>;c"))

    @settings(max_examples=100, deadline=None)
    @given(st.from_regex(r"[!-~]{1,255}", fullmatch=True), st.from_regex(r"[a-z]{1,200}", fullmatch=True))
    def test_folded(self, name: str, recipient: str) -> None:
        """
        No line is longer than it should be but for a word that is, and each but the first is folded.
        """
        lines = field(name=name, recipient=recipient).removesuffix("\r\n").split("\r\n")
        for line in lines:
            self.assertTrue(len(line) <= 78 or name in line or "?" in line or recipient in line or "from" in line, line)
        self.assertTrue(all(line.startswith("        ") for line in lines[1:]))


class DateTests(SynchronousTestCase):
    """
    The date.
    """

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 4102444800))
    def test_is_rfc_5322(self, seconds: int) -> None:
        """
        The same as the standard library writes.
        """
        expected = format_datetime(datetime.fromtimestamp(seconds, UTC)).replace(", 0", ", ")
        self.assertEqual(format_date(seconds), expected)
