"""
Answers as a resolver gives them, and as somebody on the way would like them to be.
"""

from __future__ import annotations

import random
import struct

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rrset import RRset
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.dnssec.validator import Finding
from empath.mail.answer import Security
from tests.dns.dnssec.world import (
    DAY,
    NOW,
    TTL,
    World,
    Zone,
    answer,
    around,
    name,
    nsec3,
    nsec3_hash,
    records,
    told,
    without,
)

NXDOMAIN = dns.rcode.NXDOMAIN


class ValidatorTests(SynchronousTestCase):
    """
    Verdicts over whole messages.
    """

    def setUp(self) -> None:
        self.world = World()
        self.one = self.world.zone("one.test", self.world.test)
        self.world.insecure("two.test", self.world.test)

    def judge(self, message: dns.message.Message) -> Finding:
        """
        Validate.
        """
        return self.world.judge(message)

    def assert_secure(self, message: dns.message.Message) -> None:
        """
        It is.
        """
        found = self.judge(message)
        self.assertEqual((found.security, found.why), (Security.SECURE, ""))

    def assert_insecure(self, message: dns.message.Message) -> None:
        """
        It is, and tells why.
        """
        found = self.judge(message)
        self.assertIs(found.security, Security.INSECURE)
        self.assertTrue(found.why)

    def assert_bogus(self, message: dns.message.Message, why: str) -> None:
        """
        It is, for that reason.
        """
        found = self.judge(message)
        self.assertIs(found.security, Security.BOGUS)
        self.assertIn(why, found.why)

    def within(self, *owners: str) -> None:
        """
        Let these names be names of one.test without a zone of their own.
        """
        for owner in owners:
            denial = [*self.one.soa(), *self.one.nsec(owner, "~.one.test.", "A")]
            self.world.say(answer(owner, "DS", authority=denial))

    def test_secure_records(self) -> None:
        """
        Signed by a zone in the chain of trust.
        """
        self.assert_secure(answer("mx1.one.test", "A", self.one.records("mx1.one.test", "A", "192.0.2.1")))

    def test_lifetime(self) -> None:
        """
        No longer than the signed time to live, what is left of it, and the signature.
        """
        for ttl, end, wanted in ((300, DAY, 300), (9, DAY, 9), (300, 20, 20), (300, -20, 0)):
            shown = self.one.signed(records("mx1.one.test", "A", "192.0.2.1"), NOW - DAY, NOW + end)
            shown[0].ttl = ttl
            self.assertEqual(self.judge(answer("mx1.one.test", "A", shown)).lifetime, wanted)
        shown = self.one.signed(records("mx1.one.test", "A", "192.0.2.1", ttl=60))
        shown[0].ttl = 86400
        self.assertEqual(self.judge(answer("mx1.one.test", "A", shown)).lifetime, 60)

    def test_insecure_records(self) -> None:
        """
        Of a zone that is proved to be unsigned, with signatures or without.
        """
        self.assert_insecure(answer("mx1.two.test", "A", [records("mx1.two.test", "A", "192.0.2.1")]))
        self.assert_insecure(answer("mx1.two.test", "A", Zone("two.test").records("mx1.two.test", "A", "192.0.2.1")))
        self.assert_insecure(answer("nope.two.test", "A", rcode=NXDOMAIN))
        self.assert_insecure(answer("mx1.two.test", "MX", authority=Zone("two.test").soa()))

    def test_signatures_taken_away(self) -> None:
        """
        Unsigned records in a signed zone, or signed by a stranger only.
        """
        self.within("mx1.one.test")
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        self.assert_bogus(answer("mx1.one.test", "A", without(good, "RRSIG")), "not signed, and one.test. is")
        strange = Zone("evil.test").records("mx1.one.test", "A", "192.0.2.66")
        self.assert_bogus(answer("mx1.one.test", "A", strange), "not signed, and one.test. is")

    def test_changed_records(self) -> None:
        """
        What is not as it was signed, or not any more.
        """
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        self.assert_bogus(answer("mx1.one.test", "A", good, rcode=NXDOMAIN), "the name does not exist")
        forged = [records("mx1.one.test", "A", "192.0.2.66"), good[1]]
        self.assert_bogus(answer("mx1.one.test", "A", forged), "mx1.one.test. A: the signature by key")
        old = self.one.signed(good[0], NOW - 9 * DAY, NOW - 5 * DAY)
        self.assert_bogus(answer("mx1.one.test", "A", old), "the signature has expired")

    def test_broken_chain(self) -> None:
        """
        The zone's trouble is the answer's.
        """
        self.world.say(answer("one.test", "DNSKEY"))
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        self.assert_bogus(answer("mx1.one.test", "A", good), "it has no DNSKEY")

    def test_signer_without_zone(self) -> None:
        """
        A signature by a name that is no zone.
        """
        self.within("mx1.one.test")
        strange = Zone("mx1.one.test").records("mx1.one.test", "A", "192.0.2.66")
        self.assert_bogus(answer("mx1.one.test", "A", strange), "signs, and is no zone")

    def test_two_signers(self) -> None:
        """
        A signature that says nothing does not spoil one that holds.
        """
        self.within("mx1.one.test")
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        strange = Zone("mx1.one.test").records("mx1.one.test", "A", "192.0.2.1")
        self.assert_secure(answer("mx1.one.test", "A", [*good, strange[1]]))

    def test_aliases(self) -> None:
        """
        Every alias on the way counts, and so does where it leads; the weakest is the verdict.
        """
        alias = self.one.records("al.one.test", "CNAME", "mx1.one.test.")
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        self.assert_secure(answer("al.one.test", "A", [*alias, *good]))
        out = self.one.records("out.one.test", "CNAME", "mx1.two.test.")
        target = records("mx1.two.test", "A", "192.0.2.1")
        self.assert_insecure(answer("out.one.test", "A", [*out, target]))
        away = records("al.two.test", "CNAME", "mx1.one.test.")
        self.assert_insecure(answer("al.two.test", "A", [away, *good]))
        forged = [records("al.one.test", "CNAME", "mx1.two.test."), alias[1], target]
        self.assert_bogus(answer("al.one.test", "A", forged), "does not hold")
        self.assert_secure(answer("al.one.test", "CNAME", alias))

    def test_alias_that_leads_out_of_the_message(self) -> None:
        """
        What the next question tells is judged by itself; a denial of the target counts here.
        """
        alias = self.one.records("al.one.test", "CNAME", "mx1.one.test.")
        self.assert_secure(answer("al.one.test", "A", alias))
        gap = [*self.one.soa(), *self.one.nsec("mx1.one.test", "z.one.test.", "AAAA")]
        self.assert_secure(answer("al.one.test", "A", alias, gap))
        self.within("mx1.one.test")
        self.assert_bogus(answer("al.one.test", "A", alias, without(self.one.soa(), "RRSIG")), "not signed")
        self.assert_bogus(answer("al.one.test", "A", alias, rcode=NXDOMAIN), "not signed")

    def test_circle(self) -> None:
        """
        Aliases without end are bogus.
        """
        circle = [
            *self.one.records("a.one.test", "CNAME", "b.one.test."),
            *self.one.records("b.one.test", "CNAME", "a.one.test."),
        ]
        self.assert_bogus(answer("a.one.test", "A", circle), "more than 10 aliases")

    def test_renamed_trees(self) -> None:
        """
        A DNAME is signed, the CNAME made from it is not (RFC 6672 §5.3.1): it must be what the DNAME makes.
        """
        dname = self.one.records("old.one.test", "DNAME", "new.one.test.")
        made = records("mx1.old.one.test", "CNAME", "MX1.new.one.test.")
        good = self.one.records("mx1.new.one.test", "A", "192.0.2.1")
        self.assert_secure(answer("mx1.old.one.test", "A", [*dname, made, *good]))
        self.within("mx1.old.one.test", "old.one.test")
        forged = records("mx1.old.one.test", "CNAME", "mx1.two.test.")
        self.assert_bogus(answer("mx1.old.one.test", "A", [*dname, forged]), "not signed")
        self.assert_bogus(answer("mx1.old.one.test", "A", [dname[0], made, *good]), "not signed")
        elsewhere = self.one.records("x.one.test", "DNAME", "new.one.test.")
        self.assert_secure(answer("mx1.old.one.test", "A", [*elsewhere, *dname, made, *good]))
        long = "a" * 63
        far = self.one.records("far.one.test", "DNAME", f"{long}.{long}.{long}.one.test.")
        deep = f"{long}.far.one.test"
        self.within(deep)
        self.assert_bogus(answer(deep, "A", [*far, records(deep, "CNAME", "mx1.one.test.")]), "not signed")

    def wildcard(self, owner: str) -> list[RRset]:
        """
        Make the answer of *.one.test for `owner`.
        """
        return self.one.signed(records("*.one.test", "A", "192.0.2.1"), shown_as=owner)

    def test_wildcards(self) -> None:
        """
        A wildcard's records need the proof that nothing is closer to the name (RFC 4035 §5.3.4).
        """
        gap = self.one.nsec("m.one.test", "x.one.test.", "A")
        shown = self.wildcard("n.one.test")
        self.assert_secure(answer("n.one.test", "A", shown, gap))
        self.assert_bogus(answer("n.one.test", "A", shown), "no proof that the wildcard below one.test. answers")
        self.assert_bogus(answer("y.one.test", "A", self.wildcard("y.one.test"), gap), "no proof")
        self.assert_secure(answer("*.one.test", "A", self.one.records("*.one.test", "A", "192.0.2.1")))

    def test_hashed_wildcards(self) -> None:
        """
        With NSEC3 as well; a gap that was opted out of makes it insecure.
        """
        before, after = around(nsec3_hash("n.one.test"))
        for opt_out, wanted in ((False, Security.SECURE), (True, Security.INSECURE)):
            gap = self.one.signed(nsec3("one.test", before, after, opt_out=opt_out))
            found = self.judge(answer("n.one.test", "A", self.wildcard("n.one.test"), gap))
            self.assertIs(found.security, wanted)

    def test_wildcard_beside_an_unsigned_zone(self) -> None:
        """
        The SOA of another zone, which tells of the alias' target, does not spoil the wildcard's proof.
        """
        self.world.insecure("sub.one.test", self.one)
        alias = self.one.signed(records("*.one.test", "CNAME", "mx1.sub.one.test."), shown_as="n.one.test")
        soa = records("sub.one.test", "SOA", "ns. root. 1 2 3 4 5")
        gap = self.one.nsec("m.one.test", "o.one.test.", "A")
        self.assert_insecure(answer("n.one.test", "AAAA", alias, [*gap, soa]))

    def test_denials(self) -> None:
        """
        No such name, and no such records, with their proofs.
        """
        soa = self.one.soa()
        gap, apex = self.one.nsec("a.one.test", "z.one.test.", "A"), self.one.nsec("one.test", "a.one.test.", "SOA")
        self.assert_secure(answer("n.one.test", "MX", authority=[*soa, *gap, *apex], rcode=NXDOMAIN))
        self.assert_secure(answer("a.one.test", "MX", authority=[*soa, *gap]))
        self.assert_bogus(answer("n.one.test", "MX", authority=[*soa, *gap], rcode=NXDOMAIN), "does not exist")
        self.assert_bogus(answer("n.one.test", "MX", authority=[*soa, *gap, *apex]), "that it has no MX")
        self.assert_bogus(answer("a.one.test", "A", authority=[*soa, *gap]), "that it has no A")
        self.assert_bogus(answer("a.one.test", "MX", authority=soa), "no proof by one.test.")

    def test_denials_without_signatures(self) -> None:
        """
        Nothing is denied without a signature, in a zone that is signed.
        """
        self.within("a.one.test")
        gap = self.one.nsec("a.one.test", "z.one.test.", "A")
        self.assert_bogus(answer("a.one.test", "MX"), "not signed, and one.test. is")
        self.assert_bogus(answer("a.one.test", "MX", rcode=NXDOMAIN), "not signed")
        self.assert_bogus(answer("a.one.test", "MX", authority=without(gap, "RRSIG")), "not signed")
        loose = [*without(self.one.soa(), "RRSIG"), *gap]
        self.assert_bogus(answer("a.one.test", "MX", authority=loose), "one.test. SOA: there is no signature")

    def test_denial_made_from_a_wildcard(self) -> None:
        """
        A wildcard's own NSEC, shown as another name's, denies nothing.
        """
        star = self.one.signed(records("*.one.test", "NSEC", "a.one.test. TXT RRSIG NSEC"), shown_as="mx1.one.test")
        self.assert_bogus(answer("mx1.one.test", "A", authority=[*self.one.soa(), *star]), "no proof")

    def test_opted_out_denial(self) -> None:
        """
        A name in a gap that skips unsigned zones may well exist.
        """
        apex = nsec3("one.test", nsec3_hash("one.test"), around(nsec3_hash("one.test"))[1], "SOA", "NS")
        sets = [apex, nsec3("one.test", *around(nsec3_hash("*.one.test")))]
        for opt_out, wanted in ((False, Security.SECURE), (True, Security.INSECURE)):
            gap = nsec3("one.test", *around(nsec3_hash("n.one.test")), opt_out=opt_out)
            authority = [part for rrset in (*sets, gap) for part in self.one.signed(rrset)]
            found = self.judge(answer("n.one.test", "A", authority=authority, rcode=NXDOMAIN))
            self.assertIs(found.security, wanted)

    def test_parents_denial_of_a_delegated_name(self) -> None:
        """
        The parent's true record about the delegation is no proof about names in the child.
        """
        gap = self.world.test.nsec("one.test", "two.test.", "NS", "DS")
        apex = self.world.test.nsec("test", "a.test.", "SOA", "NS")
        message = answer("mx1.one.test", "A", authority=[*self.world.test.soa(), *gap, *apex], rcode=NXDOMAIN)
        self.assert_bogus(message, "no proof by test.")

    def test_ds_is_the_parents(self) -> None:
        """
        DS records, and that there are none, are judged by the zone above.
        """
        self.assert_secure(self.world.answers[name("one.test"), dns.rdatatype.DS])
        self.assert_secure(self.world.answers[name("two.test"), dns.rdatatype.DS])
        own = self.one.records("one.test", "DS", self.one.ds)
        self.assert_bogus(answer("one.test", "DS", own), "not signed, and test. is")
        self.assert_bogus(answer(".", "DS"), "not signed, and . is")

    def test_not_an_answer(self) -> None:
        """
        A server's trouble is neither good nor bad.
        """
        found = self.judge(answer("mx1.one.test", "A", rcode=dns.rcode.SERVFAIL))
        self.assertEqual((found.security, found.why), (Security.UNCHECKED, "no answer but SERVFAIL"))
        self.assertEqual(self.world.asked, [])

    def test_weaker(self) -> None:
        """
        Bogus before unchecked before insecure before secure, and the shorter time.
        """
        order = Security.BOGUS, Security.UNCHECKED, Security.INSECURE, Security.SECURE
        for index, security in enumerate(order):
            for better in order[index:]:
                one, two = Finding(security, "one", 5), Finding(better, "two", 3)
                self.assertIs(one.weaker(two).security, security)
                self.assertEqual((two.weaker(one).security, two.weaker(one).lifetime), (security, 3))

    def test_work_is_bounded(self) -> None:
        """
        A message full of signatures that match a key's tag ends soon.
        """
        good = self.one.records("mx1.one.test", "A", "192.0.2.1")
        wrong = [good[1][0].replace(signature=struct.pack("!H", n) * 32) for n in range(300)]
        message = answer("mx1.one.test", "A", [good[0], dns.rrset.from_rdata_list(good[0].name, TTL, wrong)])
        self.assert_bogus(message, "too much work")


class ForgeryTests(SynchronousTestCase):
    """
    Whatever is done to an answer on its way.
    """

    def setUp(self) -> None:
        self.world = World()
        one = self.world.zone("one.test", self.world.test)
        shown = [
            *one.records("al.one.test", "CNAME", "mx1.one.test."),
            *one.records("mx1.one.test", "A", "192.0.2.1", "192.0.2.2"),
        ]
        self.positive = answer("al.one.test", "A", shown)
        gaps = [*one.nsec("a.one.test", "z.one.test.", "A"), *one.nsec("one.test", "a.one.test.", "SOA")]
        self.negative = answer("n.one.test", "A", authority=[*one.soa(), *gaps], rcode=NXDOMAIN)

    @settings(max_examples=200, deadline=None)
    @given(seed=st.integers(0, 2**32), negative=st.booleans())
    def test_any_change(self, seed: int, negative: bool) -> None:
        """
        A message of which some octets were changed is no more secure if it says something else, and none is an error.
        """
        chance = random.Random(seed)
        original = self.negative if negative else self.positive
        wire = bytearray(original.to_wire())
        for _ in range(chance.choice((1, 1, 2, 5))):
            wire[chance.choice((3, chance.randrange(12 + len("al.one.test") + 6, len(wire))))] = chance.randrange(256)
        try:
            changed = dns.message.from_wire(bytes(wire), ignore_trailing=True)
        except (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, TypeError, struct.error):
            return
        if self.world.judge(changed).security is Security.SECURE:
            sets, end = told(changed)
            allowed, ended = told(original)
            self.assertLessEqual(sets, allowed)
            self.assertIn((end, changed.rcode()), {(ended, original.rcode()), ("alias", dns.rcode.NOERROR)})
