"""
Who may send as whom.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.policy.senders import ANYONE, NOT_OWNED, read_senders

FILE = """
# who: as whom
tim: tim@example.org Tim.Tester@EXAMPLE.org
Ursel: @example.com
ursel: "ursel"@example.net u@bücher.example
"""


class SendersTests(SynchronousTestCase):
    """
    [auth] senders.
    """

    def setUp(self) -> None:
        self.senders = read_senders(FILE)

    def allowed(self, login: str, address: str) -> bool:
        """
        Ask for one address.
        """
        return self.senders.allows(login, parse_address(address))

    def test_own_addresses(self) -> None:
        """
        What is listed, in any case, and nothing else.
        """
        for address in ("tim@example.org", "TIM@example.org", "tim.tester@example.org"):
            self.assertTrue(self.allowed("tim", address))
            self.assertTrue(self.allowed("TIM", address))
        for address in ("tim@example.com", "ursel@example.org", "tim@sub.example.org"):
            self.assertFalse(self.allowed("tim", address))

    def test_domains_and_several_lines(self) -> None:
        """
        "@domain" is everybody in it, not below; lines of one login add up; U-labels are read.
        """
        for address in ("x@example.com", "ursel@example.net", "u@xn--bcher-kva.example"):
            self.assertTrue(self.allowed("ursel", address))
        for address in ("x@example.net", "x@sub.example.com"):
            self.assertFalse(self.allowed("ursel", address))

    def test_what_is_not_ascii(self) -> None:
        """
        Local parts that are not ASCII may be owned, and none becomes another's that is.
        """
        senders = read_senders("tim: j\u00f6rg@example.org kim@example.org")
        for text, owned in (("J\u00d6RG", True), ("KIM", True), ("\u212aim", False), ("j\u00f6r\u0261", False)):
            address = parse_address(f"{text}@example.org", utf8=not text.isascii())
            self.assertIs(senders.allows("tim", address), owned, text)

    def test_logins_are_found_however_they_are_written(self) -> None:
        """
        A line binds its login in whatever form of Unicode the file has it.
        """
        senders = read_senders("jo\u0308rg: a@example.org\n\uff54\uff49\uff4d: a@example.org")
        for login in ("j\u00f6rg", "tim"):
            self.assertFalse(senders.allows(login, parse_address("b@example.org")), login)

    def test_the_unlisted(self) -> None:
        """
        A login without a line sends as anyone, and everybody sends reports.
        """
        self.assertTrue(self.allowed("kurt", "x@example.com"))
        self.assertTrue(ANYONE.allows("tim", parse_address("x@example.com")))
        self.assertTrue(self.senders.allows("tim", None))

    def test_verdict(self) -> None:
        """
        553 5.7.1, as the contract says.
        """
        self.assertIsNone(self.senders.judge("tim", parse_address("tim@example.org")))
        verdict = self.senders.judge("tim", parse_address("x@example.org"))
        self.assertIs(verdict, NOT_OWNED)
        self.assertEqual(str(NOT_OWNED.reply), "553 5.7.1 sender address not owned by the login")

    def test_every_wrong_line_is_named(self) -> None:
        """
        All at once, by their numbers.
        """
        text = "tim\n: a@example.org\ntim:\nok: a@example.org\ntim: nobody\ntim: @-\ntim: @"
        with self.assertRaises(ValueError) as caught:
            read_senders(text)
        numbers = [line.partition(":")[0] for line in str(caught.exception).splitlines()]
        self.assertEqual(numbers, ["line 1", "line 2", "line 3", "line 5", "line 6", "line 7"])

    @given(st.text(max_size=200))
    def test_any_text(self, text: str) -> None:
        """
        Any text is read, or refused with ValueError.
        """
        try:
            read_senders(text)
        except ValueError as error:
            assert str(error).startswith("line ")
