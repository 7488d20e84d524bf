"""
The Received field says what RFC 5321 §4.4 asks for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.trace import format_date, received_field, with_protocol

USUAL = {
    "name": "client.example",
    "peer": "192.0.2.7",
    "hostname": "mx.example.org",
    "protocol": "ESMTP",
    "queue_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "recipient": "user@example.org",
}
BASES: Final[tuple[Literal["SMTP", "ESMTP", "LMTP"], ...]] = ("SMTP", "ESMTP", "LMTP")
KINDS: Final = ("ESMTP", "LMTP", "UTF8SMTP", "UTF8LMTP")


def field(priority: int = 0, **changes: str) -> str:
    """
    Make a field at a known second.
    """
    return received_field(**(USUAL | changes), seconds=1795257600.9, priority=priority).decode()


def words(text: str) -> str:
    """
    Unfold a field.
    """
    return " ".join(text.split())


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

    def test_a_client_without_a_name(self) -> None:
        """
        The place of the name is never empty.
        """
        self.assertIn("from unknown ([192.0.2.7])", field(name=""))

    def test_long_name(self) -> None:
        """
        No name is longer than a domain can be.
        """
        self.assertIn(f"from {'a' * 255} (", field(name="a" * 256))

    def test_tls(self) -> None:
        """
        Version and suite stand in a comment, which they cannot leave.
        """
        given = words(field(protocol="ESMTPS", tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"))
        self.assertIn("with ESMTPS (TLSv1.3 with cipher TLS_AES_256_GCM_SHA384) id 01ARZ", given)
        self.assertIn("(a??b with cipher ?c)", words(field(tls="a\r\nb", cipher=")c")))
        self.assertIn("(TLSv1.2 with cipher unknown)", words(field(tls="TLSv1.2")))

    def test_utf8_recipient(self) -> None:
        """
        A recipient that is not ASCII is named in a transaction with SMTPUTF8 only.
        """
        self.assertIn("for <ü@example.org>;", field(recipient="ü@example.org", protocol="UTF8SMTPSA"))
        self.assertEqual(field(recipient="ü@example.org"), field(recipient=""))

    def test_recipient_that_would_break_out(self) -> None:
        """
        One with control characters is not named, wherever it came from.
        """
        for recipient in ('"a\r\nb"@example.org', '"a\u2028b"@example.org', '"a\0b"@example.org'):
            self.assertEqual(field(recipient=recipient, protocol="UTF8SMTP"), field(recipient="", protocol="UTF8SMTP"))

    def test_priority(self) -> None:
        """
        A priority that is not the usual one is told last (RFC 6710, RFC 5321 §4.4).
        """
        self.assertIn("for <user@example.org> priority -3; Sat,", words(field(priority=-3)))
        self.assertIn("FAV priority 9; Sat,", words(field(priority=9, recipient="")))

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=80), st.text(max_size=300))
    def test_nothing_breaks_out(self, name: str, tls: str, cipher: str, recipient: str) -> None:
        """
        Whatever the client says, the field is one field, its comments are closed and its date comes last.
        """
        given = field(name=name, tls=tls, cipher=cipher, recipient=recipient.replace("(", "").replace(")", ""))
        self.assertEqual(given.replace("\r\n        ", "").count("\r"), 1)
        self.assertEqual(given.replace("\r\n        ", "").count("\n"), 1)
        self.assertEqual(given.count("("), given.count(")"))
        self.assertEqual(given.count("("), 2 if tls else 1)
        self.assertTrue(words(given).endswith("; Sat, 21 Nov 2026 10:40:00 +0000"))

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


class ProtocolTests(SynchronousTestCase):
    """
    The word after "with".
    """

    def test_words(self) -> None:
        """
        Those of RFC 3848 and RFC 6531 §4.3, and no others.
        """
        registered = {"SMTP"} | {f"{kind}{tls}{login}" for kind in KINDS for tls in ("", "S") for login in ("", "A")}
        told = {
            with_protocol(base, tls, login, utf8)
            for base in BASES
            for tls in (False, True)
            for login in (False, True)
            for utf8 in (False, True)
        }
        self.assertEqual(told, registered)

    def test_each_letter(self) -> None:
        """
        S is for TLS, A for a login, UTF8 for SMTPUTF8.
        """
        self.assertEqual(with_protocol("ESMTP", True, True, False), "ESMTPSA")
        self.assertEqual(with_protocol("ESMTP", False, True, True), "UTF8SMTPA")
        self.assertEqual(with_protocol("LMTP", True, False, False), "LMTPS")
        self.assertEqual(with_protocol("LMTP", False, False, True), "UTF8LMTP")
        self.assertEqual(with_protocol("SMTP", True, False, False), "SMTP")


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
