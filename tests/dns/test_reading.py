"""
What a server's bytes mean.
"""

from __future__ import annotations

from itertools import pairwise

import attrs
import dns.flags
import dns.name
import dns.rcode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.question import Manner, Question, query, question_of
from empath.dns.reading import MAX_CHAIN, MAX_IN_MESSAGE, read
from empath.dns.records import MAX_ASSOCIATIONS, MAX_RECORDS, MAX_TEXT, host_text
from empath.dns.told import Alias, Cut, Heard, NotUnderstood, Reading, Useless
from empath.mail.answer import Found, MxRecord, TlsaRecord
from tests.dns.fakes import SOA, answer_to

IDENT = 4711
MAIL = question_of("example.org", "MX")
ADDRESS = question_of("example.org", "A")
SIX = question_of("example.org", "AAAA")


def told(question: Question, *records: str, authority: tuple[str, ...] = (), rcode: int = 0) -> Reading | None:
    """
    Read the answer with these records.
    """
    asked = query(question, IDENT, Manner())
    return read(answer_to(asked, *records, authority=authority, rcode=rcode), IDENT, question)


class PositiveTests(SynchronousTestCase):
    """
    Records.
    """

    def test_mx(self) -> None:
        """
        MX hosts come best first, in lower case without the final dot.
        """
        heard = told(MAIL, "EXAMPLE.org. 300 IN MX 20 Mx2.Example.ORG.", "example.org. 300 IN MX 10 mx1.example.org.")
        self.assertEqual(
            heard, Heard(Found.RECORDS, 300, (MxRecord(10, "mx1.example.org"), MxRecord(20, "mx2.example.org")))
        )

    def test_texts(self) -> None:
        """
        A TXT record is its strings joined; octets that are no UTF-8 are replaced, what is too long is left out.
        """
        asked = question_of("example.org", "TXT")
        heard = told(asked, 'example.org. 60 IN TXT "v=spf1 " "-all"', r'example.org. 60 IN TXT "\255"')
        assert isinstance(heard, Heard)
        self.assertEqual(sorted(heard.texts), ["v=spf1 -all", "\ufffd"])
        strings = " ".join(f'"{"x" * 255}"' for _ in range(MAX_TEXT // 255 + 1))
        heard = told(asked, 'example.org. 60 IN TXT "a"', f"example.org. 60 IN TXT {strings}")
        self.assertEqual(heard, Heard(Found.RECORDS, 60, texts=("a",), detail="only 1 of 2 texts kept"))

    def test_associations(self) -> None:
        """
        TLSA records come as they are, usable or not, digests first; what is too long is left out, and said.
        """
        asked = question_of("_25._tcp.mx.example.org", "TLSA")
        record = "_25._tcp.mx.example.org. 60 IN TLSA "
        digest = "ab" * 32
        heard = told(asked, record + "3 0 0 " + "00" * 40, record + f"2 1 1 {digest}", record + "255 7 9 01020304")
        assert isinstance(heard, Heard)
        self.assertEqual(
            heard.tlsa,
            (TlsaRecord(255, 7, 9, b"\1\2\3\4"), TlsaRecord(2, 1, 1, b"\xab" * 32), TlsaRecord(3, 0, 0, bytes(40))),
        )
        heard = told(asked, record + f"3 1 1 {digest}", record + "3 0 0 " + "00" * MAX_ASSOCIATIONS)
        cut = "only 1 of 2 TLSA records kept"
        self.assertEqual(heard, Heard(Found.RECORDS, 60, detail=cut, tlsa=(TlsaRecord(3, 1, 1, b"\xab" * 32),)))

    def test_associations_that_are_none(self) -> None:
        """
        A record whose data are not what its matching type says is as unusable as any other, and harms none of them;
        what is too short to be a record at all is left out, and said.
        """
        asked = question_of("_25._tcp.mx.example.org", "TLSA")
        wrong, short, good = r"\# 5 030101abcd", r"\# 2 0301", r"\# 35 030101" + "ee" * 32
        unread = [f"_25._tcp.mx.example.org. 60 IN TYPE65280 {data}" for data in (wrong, short, good)]
        wire = answer_to(query(asked, IDENT, Manner()), *unread).replace(b"\xff\x00\x00\x01", b"\x00\x34\x00\x01")
        self.assertEqual(
            read(wire, IDENT, asked),
            Heard(
                Found.RECORDS,
                60,
                detail="only 2 of 3 TLSA records kept",
                tlsa=(TlsaRecord(3, 1, 1, b"\xab\xcd"), TlsaRecord(3, 1, 1, b"\xee" * 32)),
            ),
        )
        broken = read(wire[:-1], IDENT, asked)
        assert isinstance(broken, Useless)
        self.assertEqual(broken.kind, "malformed")

    def test_alias_asked_for(self) -> None:
        """
        Who asks for the alias itself is told where it leads; a target that is no host name is none.
        """
        asked = question_of("example.org", "CNAME")
        alias = "example.org. 60 IN CNAME "
        self.assertEqual(told(asked, alias + "MX.example."), Heard(Found.RECORDS, 60, canonical="mx.example"))
        self.assertEqual(told(asked, alias + r"a\010b.example."), Heard(Found.RECORDS, 60))

    def test_authentic(self) -> None:
        """
        The AD bit is told, of records, of their absence, and of an alias.
        """
        for records in (["example.org. 60 IN A 192.0.2.1"], [], ["example.org. 60 IN CNAME other.example."]):
            wire = answer_to(query(ADDRESS, IDENT, Manner()), *records, flags=dns.flags.AD)
            reading = read(wire, IDENT, ADDRESS)
            assert isinstance(reading, Heard | Alias)
            self.assertTrue(reading.authentic)

    def test_pointers(self) -> None:
        """
        A PTR record is the name it points to, unless that is no host name.
        """
        asked = question_of("7.2.0.192.in-addr.arpa", "PTR")
        record = "7.2.0.192.in-addr.arpa. 60 IN PTR "
        heard = told(asked, record + "Mail.Example.org.", record + r"a\010b.example.org.", record + ".")
        self.assertEqual(heard, Heard(Found.RECORDS, 60, texts=("mail.example.org",)))

    def test_null_mx(self) -> None:
        """
        The null MX is the host "" (RFC 7505).
        """
        self.assertEqual(told(MAIL, "example.org. 300 IN MX 0 ."), Heard(Found.RECORDS, 300, (MxRecord(0, ""),)))

    def test_addresses(self) -> None:
        """
        Addresses are texts in their canonical form.
        """
        self.assertEqual(
            told(ADDRESS, "example.org. 60 IN A 192.0.2.1"), Heard(Found.RECORDS, 60, addresses=("192.0.2.1",))
        )
        self.assertEqual(
            told(SIX, "example.org. 60 IN AAAA 2001:DB8:0::1"), Heard(Found.RECORDS, 60, addresses=("2001:db8::1",))
        )

    def test_address_is_written_in_one_way(self) -> None:
        """
        IPv6 addresses are written without IPv4's dots, so that two that are equal look so.
        """
        heard = told(SIX, "example.org. 5 IN AAAA ::1.2.3.4", "example.org. 5 IN AAAA 2001:DB8:0::1")
        assert isinstance(heard, Heard)
        self.assertEqual(sorted(heard.addresses), ["2001:db8::1", "::102:304"])

    def test_alias_in_the_answer(self) -> None:
        """
        Aliases are followed whatever their case and order, and the shortest time of the chain counts.
        """
        heard = told(
            ADDRESS,
            "last.example.org. 500 IN A 192.0.2.9",
            "b.example.org. 400 IN CNAME LAST.example.org.",
            "Example.org. 7 IN CNAME B.example.org.",
        )
        self.assertEqual(heard, Heard(Found.RECORDS, 7, addresses=("192.0.2.9",), canonical="last.example.org"))

    def test_records_of_others_do_not_count(self) -> None:
        """
        Records of a name that no alias leads to are not the answer.
        """
        self.assertEqual(told(ADDRESS, "evil.example. 60 IN A 192.0.2.66"), Heard(Found.NO_DATA, 0))

    def test_unusable_mx_host(self) -> None:
        """
        An MX host that can be no host name is dropped, and said to be, without repeating it.
        """
        heard = told(
            MAIL,
            "example.org. 300 IN MX 5 a\\013\\010b.example.org.",
            "example.org. 300 IN MX 6 a\\.b.example.org.",
            "example.org. 300 IN MX 10 _x.mx-1.example.org.",
        )
        assert isinstance(heard, Heard)
        self.assertEqual(heard.mx, (MxRecord(10, "_x.mx-1.example.org"),))
        self.assertEqual(heard.detail, "2 of 3 MX records dropped: not host names, or too many")

    def test_no_usable_mx_host(self) -> None:
        """
        Where no MX host is usable nothing is known: mail must not fall back to the domain's own address.
        """
        self.assertIsInstance(told(MAIL, "example.org. 300 IN MX 5 a\\000b."), Useless)

    def test_too_many_records(self) -> None:
        """
        A zone cannot fill our memory: the best MX and the first addresses are kept.
        """
        heard = told(MAIL, *(f"example.org. 300 IN MX {999 - number} mx{number}.example.org." for number in range(200)))
        assert isinstance(heard, Heard)
        self.assertEqual((len(heard.mx), heard.mx[0].preference), (MAX_RECORDS, 800))
        self.assertTrue(heard.detail)
        heard = told(ADDRESS, *(f"example.org. 300 IN A 192.0.2.{number}" for number in range(200)))
        assert isinstance(heard, Heard)
        self.assertEqual((len(heard.addresses), bool(heard.detail)), (MAX_RECORDS, True))

    def test_other_types(self) -> None:
        """
        Any type of record can be asked for: that there are some is the answer.
        """
        text = question_of("example.org", "CAA")
        self.assertEqual(told(text, 'example.org. 30 IN CAA 0 issue "x"'), Heard(Found.RECORDS, 30))


class NegativeTests(SynchronousTestCase):
    """
    No records (RFC 2308).
    """

    def test_no_name_and_no_data(self) -> None:
        """
        NXDOMAIN and an empty answer are told apart; the SOA's minimum and its own time bound both.
        """
        self.assertEqual(told(MAIL, authority=(SOA,), rcode=dns.rcode.NXDOMAIN), Heard(Found.NO_NAME, 120))
        self.assertEqual(told(MAIL, authority=(SOA.replace(" 300 ", " 20 "),)), Heard(Found.NO_DATA, 20))

    def test_without_soa(self) -> None:
        """
        Without the SOA of a zone above the name there is no time to live.
        """
        self.assertEqual(told(MAIL, rcode=dns.rcode.NXDOMAIN), Heard(Found.NO_NAME, 0))
        self.assertEqual(
            told(MAIL, authority=(SOA.replace("example.org. 300", "other.org. 300"),)), Heard(Found.NO_DATA, 0)
        )

    def test_alias_to_nothing(self) -> None:
        """
        An alias of a name that is not, or has no such record, is answered for the target.
        """
        alias = "example.org. 50 IN CNAME t.example.org."
        gone = Heard(Found.NO_NAME, 50, canonical="t.example.org")
        self.assertEqual(told(MAIL, alias, authority=(SOA,), rcode=dns.rcode.NXDOMAIN), gone)
        self.assertEqual(told(MAIL, alias, authority=(SOA,)), attrs.evolve(gone, found=Found.NO_DATA))

    def test_alias_that_was_not_followed(self) -> None:
        """
        An alias without proof of anything about its target is to be asked for.
        """
        self.assertEqual(told(MAIL, "example.org. 50 IN CNAME t.net."), Alias(dns.name.from_text("t.net."), 50))

    def test_circle(self) -> None:
        """
        Aliases in a circle, or too many of them, end.
        """
        self.assertIsInstance(told(MAIL, "example.org. 5 IN CNAME example.org."), Useless)
        names = ["example.org.", *(f"n{number}.example.org." for number in range(MAX_CHAIN + 1))]
        chain = [f"{a} 5 IN CNAME {b}" for a, b in pairwise(names)]
        self.assertIsInstance(told(MAIL, *chain), Useless)
        self.assertIsInstance(told(MAIL, *chain[:-1]), Alias)

    def test_referral(self) -> None:
        """
        A server that only names other servers does not say that there is no data.
        """
        reading = told(MAIL, authority=("org. 300 IN NS ns.example.net.",))
        assert isinstance(reading, Useless)
        self.assertEqual(reading.kind, "referral")


class TroubleTests(SynchronousTestCase):
    """
    No answer in the answer.
    """

    def test_rcodes(self) -> None:
        """
        SERVFAIL and REFUSED have a kind of their own, FORMERR, NOTIMP and BADVERS may be about EDNS.
        """
        for rcode, kind in [
            (dns.rcode.SERVFAIL, "servfail"),
            (dns.rcode.REFUSED, "refused"),
            (dns.rcode.YXDOMAIN, "rcode"),
            (3000, "rcode"),
        ]:
            reading = told(MAIL, rcode=rcode)
            assert isinstance(reading, Useless)
            self.assertEqual(reading.kind, kind)
        for rcode in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS):
            self.assertEqual(told(MAIL, rcode=rcode), NotUnderstood())

    def test_records_with_nxdomain(self) -> None:
        """
        An answer that contradicts itself is not believed.
        """
        self.assertIsInstance(told(MAIL, "example.org. 5 IN MX 1 a.", rcode=dns.rcode.NXDOMAIN), Useless)

    def test_cut(self) -> None:
        """
        TC wins over what did fit.
        """
        wire = answer_to(query(MAIL, IDENT, Manner()), "example.org. 5 IN MX 1 a.", flags=dns.flags.TC)
        self.assertEqual(read(wire, IDENT, MAIL), Cut())

    def test_huge(self) -> None:
        """
        A message of very many records is not even read: it would hold up all other work.
        """
        records = [f"example.org. 5 IN MX {number} a." for number in range(MAX_IN_MESSAGE)]
        self.assertIsInstance(told(MAIL, *records[:-1]), Heard)  # and the OPT record
        self.assertIsInstance(told(MAIL, *records), Useless)

    def test_header_alone(self) -> None:
        """
        An error may come without the question, anything else may not.
        """
        for flags, expected in [
            (0x8081, NotUnderstood()),
            (0x8082, Useless("servfail", "said SERVFAIL")),
            (0x8080, None),
        ]:
            wire = IDENT.to_bytes(2, "big") + flags.to_bytes(2, "big") + bytes(8)
            self.assertEqual(read(wire, IDENT, MAIL), expected)

    def test_broken_after_the_question(self) -> None:
        """
        What begins as our answer and breaks off is of no use.
        """
        wire = answer_to(query(MAIL, IDENT, Manner()), "example.org. 5 IN MX 1 a.example.org.")
        for length in range(12 + 17, len(wire)):
            self.assertIsInstance(read(wire[:length], IDENT, MAIL), Useless)


class StrayTests(SynchronousTestCase):
    """
    What is not our answer.
    """

    def test_strays_are_none(self) -> None:
        """
        Another id, question, type or class, a query, another opcode and fragments are not our answer.
        """
        record = "example.org. 5 IN MX 1 a."
        good = answer_to(query(MAIL, IDENT, Manner()), record)
        asked = slice(12, 12 + 17)
        strays = [
            answer_to(query(MAIL, IDENT + 1, Manner()), record),
            answer_to(query(question_of("example.net", "MX"), IDENT, Manner()), record),
            answer_to(query(ADDRESS, IDENT, Manner()), record),
            good[: asked.stop - 1] + b"\x03" + good[asked.stop :],
            query(MAIL, IDENT, Manner()),
            good[:2] + bytes([good[2] | 0x28]) + good[3:],
            good[:4] + b"\x00\x02" + good[6:],
            good[:12],
            good[:20],
            b"",
        ]
        for stray in strays:
            self.assertIsNone(read(stray, IDENT, MAIL), stray)

    @given(st.binary(max_size=600))
    @settings(max_examples=200)
    @example(b"\x12\x67\x81\x80\x00\x01\xff\xff\xff\xff\xff\xff\xc0\x0c")
    def test_any_bytes(self, wire: bytes) -> None:
        """
        No bytes raise, and none without our id and question are an answer.
        """
        reading = read(wire, IDENT, MAIL)
        self.assertTrue(reading is None or wire[:2] == IDENT.to_bytes(2, "big"))

    @given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))
    @settings(max_examples=200)
    def test_any_damage(self, place: int, damage: bytes) -> None:
        """
        However an answer is damaged, nothing raises, and no record that results holds a control character.
        """
        good = answer_to(query(MAIL, IDENT, Manner()), "example.org. 5 IN MX 1 mail.example.org.", authority=(SOA,))
        place %= len(good)
        reading = read(good[:place] + damage + good[place + len(damage) :], IDENT, MAIL)
        if isinstance(reading, Heard):
            self.assertTrue(all(record.host.isprintable() for record in reading.mx))

    @given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
    @settings(max_examples=200)
    def test_host_text(self, labels: list[bytes]) -> None:
        """
        A name becomes text only if that text is the same name again.
        """
        text = host_text(dns.name.Name([*labels, b""]))
        if text is not None:
            self.assertEqual(text.encode(), b".".join(labels).lower())
            self.assertRegex(text, r"\A[a-z0-9_.-]*\Z")
