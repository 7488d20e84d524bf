"""
Requirements on whose domain a message is of.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dkim.author import LONGEST, addresses_in, author_domain
from empath.mail.dkim.fields import fields_of

READ = {
    "a@example.org": ["a@example.org"],
    "<a@example.org>": ["a@example.org"],
    "A B <a@example.org>": ["a@example.org"],
    '"B, A" <a@example.org>': ["a@example.org"],
    '"B \\" <x@y.example>" <a@example.org>': ["a@example.org"],
    "a@example.org (A; <B>, C)": ["a@example.org"],
    'a@example.org (5" (nested \\) one) long)': ["a@example.org"],
    "(before) A <(in it)a@example.org> (after)": ["a@example.org"],
    '"a b"@example.org': ['"a b"@example.org'],
    '<"a>b"@example.org>': ['"a>b"@example.org'],
    "a@example.org, B <b@example.net>": ["a@example.org", "b@example.net"],
    "fake@one.example <a@example.org>": ["a@example.org"],
    "": [""],
    "a@example.org,": ["a@example.org", ""],
}
REFUSED = (
    "Group: a@example.org;",
    "undisclosed-recipients:;",
    "<@relay.example:a@example.org>",
    "<@a.example,@b.example:a@example.org>",
    "<a@example.org> b",
    "<a@example.org> <b@example.org>",
    "<a@example.org",
    "a@example.org>",
    "<a@example.org>>",
    "<<a@example.org>",
    "(a@example.org",
    "a@example.org)",
    '"a@example.org',
    "a@example.org; b",
)


class AuthorTests(SynchronousTestCase):
    """
    From, and Sender.
    """

    def test_addresses_are_found_in_every_form(self) -> None:
        """
        RFC 5322 §3.4, comments and quoted strings included.
        """
        self.assertEqual({value: addresses_in(value) for value in READ}, READ)

    def test_what_is_no_list_of_mailboxes_is_refused(self) -> None:
        """
        Groups (RFC 6854) and routes are none here.
        """
        for value in REFUSED:
            self.assertRaises(ValueError, addresses_in, value)

    def test_the_author_is_who_from_names(self) -> None:
        """
        The domain is as `Address.domain` has it, U-labels as A-labels.
        """
        for value, domain in {
            "From: A <a@Example.ORG>": "example.org",
            "from : a@bücher.example": "xn--bcher-kva.example",
            "From:\r\n a@example.org": "example.org",
            "Sender: b@example.net\r\nFrom: a@example.org": "example.org",
            "From: a@example.org, b@example.com\r\nSender: c@example.net": "example.net",
        }.items():
            self.assertEqual(author_domain(fields_of(f"{value}\r\n".encode()) or ()), domain)

    def test_a_name_in_another_charset_hides_no_address(self) -> None:
        """
        Old programs write names as they like, and everybody reads the same address behind them.
        """
        for block in (b"From: J\xfcrgen <a@example.org>\r\n", b"From: a@example.org (\x93\xfa\x96{)\r\n"):
            self.assertEqual(author_domain(fields_of(block) or ()), "example.org", block)
        self.assertIsNone(author_domain(fields_of(b"From: J <\xfc@example.org>\r\n") or ()))

    @settings(max_examples=200)
    @given(st.text(alphabet='ab@.,:;<>()[]"\\ \u00e9\n', max_size=40))
    def test_whatever_stands_there_is_read_or_refused(self, value: str) -> None:
        """
        Nothing else happens.
        """
        author_domain(fields_of(f"From: {value}\r\n".encode()) or ())

    def test_where_it_cannot_be_told_for_sure_there_is_none(self) -> None:
        """
        None or two From fields, several authors without a Sender, what cannot be read.
        """
        for block in (
            b"Subject: x\r\n",
            b"Sender: a@example.org\r\n",
            b"From: a@example.org\r\nFrom: a@example.org\r\n",
            b"From: a@example.org, b@example.org\r\n",
            b"From: a@example.org, b@example.org\r\nSender: a@example.org, b@example.org\r\n",
            b"From: a@example.org, b@example.org\r\nSender: a@example.org\r\nSender: a@example.org\r\n",
            b"From: \xff@example.org\r\n",
            b"From: undisclosed:;\r\n",
            b"From: nobody\r\n",
            b"From:\r\n",
            b"From: " + b"\\" * LONGEST + b" <a@example.org>\r\n",
        ):
            self.assertIsNone(author_domain(fields_of(block) or ()), block)
