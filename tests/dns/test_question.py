"""
From a name to the bytes of a query.
"""

from __future__ import annotations

import dns.flags
import dns.message
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.question import PAYLOAD, Manner, NoName, NoType, query, question_of


class QuestionTests(SynchronousTestCase):
    """
    What is asked.
    """

    def test_key_is_normal(self) -> None:
        """
        Case, a final dot and the script of a name do not matter: the key is one.
        """
        for name in ("Example.ORG", "example.org.", "example.org"):
            self.assertEqual(question_of(name, "mx").key, ("example.org", "MX"))
        self.assertEqual(question_of("MÜLLER.example", "A").key, ("xn--mller-kva.example", "A"))

    def test_names_are_absolute(self) -> None:
        """
        There is no search list: a single label is asked for as it stands.
        """
        self.assertEqual(question_of("localhost", "A").name.to_text(), "localhost.")

    def test_no_name(self) -> None:
        """
        What can be nobody's name is refused before anyone is asked.
        """
        for name in (
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\r\nb",
            "a\\.b",
            "a/b",
            "x" * 64,
            "x." * 127 + "x",
            "[192.0.2.1]",
            "a\x00",
            "\u2028",
            "é" * 70,
            "example.org..",
        ):
            self.assertRaises(NoName, question_of, name, "A")

    def test_no_type(self) -> None:
        """
        Types that are no records, or none at all, are refused.
        """
        for rdtype in ("ANY", "AXFR", "OPT", "NONSENSE", "", "TYPE99999", "TYPE0"):
            self.assertRaises(NoType, question_of, "example.org", rdtype)

    def test_query(self) -> None:
        """
        The query has the id, asks for recursion, and carries EDNS0 with 1232 octets unless it is not to.
        """
        question = question_of("example.org", "MX")
        message = dns.message.from_wire(query(question, 4711, Manner()))
        self.assertEqual((message.id, message.edns, message.payload), (4711, 0, PAYLOAD))
        self.assertEqual(int(message.flags), int(dns.flags.RD))
        self.assertEqual(message.question[0].to_text(), "example.org. IN MX")
        self.assertEqual(dns.message.from_wire(query(question, 0, Manner(edns=False))).edns, -1)

    def test_query_with_bits(self) -> None:
        """
        DNSSEC's bits are set as wanted: AD, CD, and DO where there is an EDNS0 record to hold it.
        """
        question = question_of("example.org", "TLSA")
        message = dns.message.from_wire(query(question, 1, Manner(authentic=True, signatures=True, unchecked=True)))
        self.assertEqual(message.flags, dns.flags.RD | dns.flags.AD | dns.flags.CD)
        self.assertEqual(message.ednsflags, dns.flags.DO)
        message = dns.message.from_wire(query(question, 1, Manner(edns=False, authentic=True, signatures=True)))
        self.assertEqual((message.flags, message.edns), (dns.flags.RD | dns.flags.AD, -1))

    @given(st.text())
    def test_any_text_is_a_question_or_no_name(self, name: str) -> None:
        """
        No text makes it raise anything but NoName, and what passes can be sent.
        """
        try:
            question = question_of(name, "A")
        except NoName:
            return
        self.assertTrue(query(question, 1, Manner()))
