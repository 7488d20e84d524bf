"""
What NSEC and NSEC3 records prove, and what somebody would like them to prove.
"""

from __future__ import annotations

from typing import cast

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3
from dns.rrset import RRset
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.dnssec.denial import Denied, NsecProofs, Proofs
from empath.dns.dnssec.hashed import MAX_ITERATIONS, nsec3_proofs
from empath.dns.dnssec.keys import Work
from tests.dns.dnssec.world import around, name, nsec3, nsec3_hash, records

A, DS, MX = RdataType.A, RdataType.DS, RdataType.MX


def plain(*lines: str, zone: str = "test") -> NsecProofs:
    """
    Make proofs of lines such as "one.test two.test A MX".
    """
    found = []
    for line in lines:
        owner, following, types = line.split(" ", 2)
        rrset = records(owner, "NSEC", f"{name(following)} {types}")
        found.append((name(owner), cast(NSEC, rrset[0])))
    return NsecProofs(name(zone), found)


class NsecTests(SynchronousTestCase):
    """
    RFC 4035 §5.4, RFC 6840 §4.
    """

    def denied(self, proofs: Proofs, owner: str, *types: RdataType) -> list[Denied]:
        """
        Ask about each of these types.
        """
        return [proofs.no_data(name(owner), rdtype) for rdtype in types]

    def test_types_of_a_name(self) -> None:
        """
        What its NSEC lists is there, all else is not; an alias could have anything.
        """
        proofs = plain("one.test two.test A CAA TYPE1234", "two.test test CNAME")
        self.assertEqual(self.denied(proofs, "ONE.test", A, MX), [Denied.UNPROVEN, Denied.NO_DATA])
        self.assertEqual(self.denied(proofs, "one.test", RdataType.CAA, RdataType(1234))[0], Denied.UNPROVEN)
        self.assertEqual(self.denied(proofs, "one.test", RdataType(1234), DS), [Denied.UNPROVEN, Denied.NO_DATA])
        self.assertEqual(self.denied(proofs, "two.test", MX, DS), [Denied.UNPROVEN, Denied.UNPROVEN])
        self.assertIs(proofs.no_name(name("one.test")), Denied.UNPROVEN)

    def test_delegations(self) -> None:
        """
        Where a zone is delegated its parent speaks of DS only, and the child of all but DS.
        """
        parent = plain("one.test two.test NS")
        self.assertEqual(self.denied(parent, "one.test", DS, MX), [Denied.DELEGATION, Denied.UNPROVEN])
        child = plain("one.test a.one.test NS SOA A", zone="one.test")
        self.assertEqual(self.denied(child, "one.test", DS, MX), [Denied.UNPROVEN, Denied.NO_DATA])
        root = plain(". a. NS SOA", zone=".")
        self.assertEqual(self.denied(root, ".", DS), [Denied.NO_DATA])
        secure = plain("one.test two.test NS DS")
        self.assertEqual(self.denied(secure, "one.test", DS), [Denied.UNPROVEN])

    def test_empty_name(self) -> None:
        """
        A name that only has names below it exists, and has no records.
        """
        proofs = plain("a.test x.b.test A", "test a.test SOA NS")
        self.assertEqual(self.denied(proofs, "b.test", A, DS), [Denied.NO_DATA] * 2)
        self.assertIs(proofs.no_name(name("b.test")), Denied.UNPROVEN)

    def test_no_such_name(self) -> None:
        """
        Neither the name nor a wildcard that would answer for it, in one record or two, at the zone's end as well.
        """
        name_gap, star_gap = "b.test d.test A", "test a.test SOA NS"
        for proofs in (plain(name_gap, star_gap), plain(star_gap, name_gap)):
            self.assertIs(proofs.no_name(name("c.test")), Denied.NO_NAME)
            self.assertIs(proofs.no_name(name("x.y.c.test")), Denied.NO_NAME)
        self.assertIs(plain(name_gap).no_name(name("c.test")), Denied.UNPROVEN)
        self.assertIs(plain(star_gap).no_name(name("c.test")), Denied.UNPROVEN)
        self.assertIs(plain("b.test test A", star_gap).no_name(name("c.test")), Denied.NO_NAME)
        self.assertIs(plain("test test SOA NS").no_name(name("c.test")), Denied.NO_NAME)

    def test_wildcard_stands_in_the_way(self) -> None:
        """
        With a wildcard that would answer, or has names below it, the name is not proved away.
        """
        gap = "b.test d.test A"
        self.assertIs(plain(gap, "*.test a.test A").no_name(name("c.test")), Denied.UNPROVEN)
        self.assertIs(plain(gap, "test x.*.test SOA NS").no_name(name("c.test")), Denied.UNPROVEN)
        self.assertEqual(self.denied(plain(gap, "*.test a.test A"), "c.test", A, MX)[0], Denied.UNPROVEN)
        self.assertEqual(self.denied(plain(gap, "*.test a.test A"), "c.test", MX), [Denied.NO_DATA])
        self.assertEqual(self.denied(plain(gap, "*.test a.test CNAME"), "c.test", MX), [Denied.UNPROVEN])
        self.assertEqual(self.denied(plain(gap), "c.test", MX), [Denied.UNPROVEN])

    def test_parents_do_not_speak_for_delegated_names(self) -> None:
        """
        The gap after a delegation or a DNAME says nothing of the names below it (RFC 6840 §4.1).
        """
        for types in ("NS DS", "NS", "DNAME"):
            proofs = plain(f"one.test two.test {types}", "test a.test SOA NS")
            self.assertIs(proofs.no_name(name("x.one.test")), Denied.UNPROVEN, types)
            self.assertEqual(self.denied(proofs, "x.one.test", A, DS), [Denied.UNPROVEN] * 2, types)
            self.assertIs(proofs.no_name(name("oneself.test")), Denied.NO_NAME)

    def test_wildcard_is_the_closest(self) -> None:
        """
        A wildcard answers for a name only where nothing lies between them.
        """
        proofs = plain("b.test d.test A")
        self.assertIs(proofs.no_closer(name("c.test"), name("test")), Denied.NO_NAME)
        self.assertIs(proofs.no_closer(name("x.c.test"), name("test")), Denied.NO_NAME)
        self.assertIs(proofs.no_closer(name("x.b.test"), name("test")), Denied.UNPROVEN)
        self.assertIs(proofs.no_closer(name("b.test"), name("test")), Denied.UNPROVEN)
        below = plain("b.test x.c.test A")
        self.assertIs(below.no_closer(name("c.test"), name("test")), Denied.UNPROVEN)

    def test_names_denied_at_the_name_itself(self) -> None:
        """
        Servers that sign while they answer list NXNAME (RFC 9824).
        """
        self.assertIs(plain("one.test \\000.one.test TYPE128").no_name(name("one.test")), Denied.NO_NAME)

    def test_gap_into_another_zone(self) -> None:
        """
        A record that leads out of its zone is nobody's.
        """
        self.assertIs(plain("a.test c.example A", "test a.test SOA").no_name(name("b.test")), Denied.UNPROVEN)


def hashed(*sets: RRset, zone: str = "test", work: Work | None = None) -> Proofs:
    """
    Make proofs of NSEC3 records, of the first chain.
    """
    found = [(rrset.name, cast(NSEC3, rdata)) for rrset in sets for rdata in rrset]
    return nsec3_proofs(name(zone), found, work or Work())[0]


def gap(owner: str, *, opt_out: bool = False) -> RRset:
    """
    Make the record of a gap that just holds `owner`.
    """
    return nsec3("test", *around(nsec3_hash(owner)), opt_out=opt_out)


def at(owner: str, *types: str, opt_out: bool = False) -> RRset:
    """
    Make the record of a name, with nothing close to it.
    """
    digest = nsec3_hash(owner)
    return nsec3("test", digest, around(digest)[1], *types, opt_out=opt_out)


class Nsec3Tests(SynchronousTestCase):
    """
    RFC 5155 §8.
    """

    def test_types_of_a_name(self) -> None:
        """
        As with NSEC: what is listed is there.
        """
        proofs = hashed(at("one.test", "A"), at("cut.test", "NS"), at("alias.test", "CNAME"))
        self.assertIs(proofs.no_data(name("One.test"), MX), Denied.NO_DATA)
        self.assertIs(proofs.no_data(name("one.test"), A), Denied.UNPROVEN)
        self.assertIs(proofs.no_data(name("cut.test"), DS), Denied.DELEGATION)
        self.assertIs(proofs.no_data(name("cut.test"), A), Denied.UNPROVEN)
        self.assertIs(proofs.no_data(name("alias.test"), A), Denied.UNPROVEN)

    def test_no_such_name(self) -> None:
        """
        The closest name that exists, a gap for the next one, and a gap for the wildcard: all three.
        """
        apex, next_gap, star_gap = at("test", "SOA", "NS"), gap("c.test"), gap("*.test")
        self.assertIs(hashed(apex, next_gap, star_gap).no_name(name("c.test")), Denied.NO_NAME)
        self.assertIs(hashed(apex, next_gap, star_gap).no_name(name("x.c.test")), Denied.NO_NAME)
        for left in ([apex, next_gap], [apex, star_gap], [next_gap, star_gap]):
            self.assertIs(hashed(*left).no_name(name("c.test")), Denied.UNPROVEN)
        self.assertIs(hashed(apex).no_name(name("test")), Denied.UNPROVEN)

    def test_opted_out(self) -> None:
        """
        A gap that skips unsigned zones proves nothing, and what it may hide is not secure.
        """
        apex, star = at("test", "SOA", "NS"), gap("*.test")
        skipping = hashed(apex, gap("c.test", opt_out=True), star)
        self.assertIs(skipping.no_name(name("c.test")), Denied.SKIPPED)
        self.assertIs(skipping.no_data(name("c.test"), DS), Denied.SKIPPED)
        self.assertIs(skipping.no_closer(name("c.test"), name("test")), Denied.SKIPPED)
        strict = hashed(apex, gap("c.test"), star)
        self.assertIs(strict.no_data(name("c.test"), DS), Denied.UNPROVEN)
        self.assertIs(strict.no_closer(name("c.test"), name("test")), Denied.NO_NAME)
        self.assertIs(strict.no_closer(name("d.test"), name("test")), Denied.UNPROVEN)

    def test_wildcard_without_the_type(self) -> None:
        """
        The closest name, a gap for the next one, and the wildcard itself.
        """
        sets = at("test", "SOA", "NS"), gap("c.test"), at("*.test", "A")
        self.assertIs(hashed(*sets).no_data(name("c.test"), MX), Denied.NO_DATA)
        self.assertIs(hashed(*sets).no_data(name("c.test"), A), Denied.UNPROVEN)
        self.assertIs(hashed(*sets[1:]).no_data(name("c.test"), MX), Denied.UNPROVEN)
        self.assertIs(hashed(*sets).no_name(name("c.test")), Denied.UNPROVEN)

    def test_parents_do_not_speak_for_delegated_names(self) -> None:
        """
        A delegation or a DNAME is no closest name (RFC 5155 §8.3).
        """
        for types in (("NS", "DS"), ("NS",), ("DNAME",)):
            sets = at("one.test", *types), gap("x.one.test", opt_out=True), gap("*.one.test")
            self.assertIs(hashed(*sets).no_name(name("x.one.test")), Denied.UNPROVEN)
            self.assertIs(hashed(*sets).no_data(name("x.one.test"), DS), Denied.UNPROVEN)

    def test_last_gap(self) -> None:
        """
        The last record leads to the first one, and a zone of one name has one gap.
        """
        first, last = b"\x10" * 20, b"\xf0" * 20
        for owner in ("a.test", "b.test", "c.test", "d.test"):
            digest = nsec3_hash(owner)
            outside = digest < first or digest > last
            told = hashed(nsec3("test", last, first)).no_closer(name(owner), name("test"))
            self.assertIs(told, Denied.NO_NAME if outside else Denied.UNPROVEN)
        alone = hashed(nsec3("test", first, first))
        self.assertIs(alone.no_closer(name("c.test"), name("test")), Denied.NO_NAME)

    def test_too_many_iterations(self) -> None:
        """
        More than 150 make a zone as good as unsigned, and cost nothing (RFC 9276 §3.2).
        """
        digest = nsec3_hash("one.test", MAX_ITERATIONS)
        fair = hashed(nsec3("test", digest, around(digest)[1], "A", iterations=MAX_ITERATIONS))
        self.assertIs(fair.no_data(name("one.test"), MX), Denied.NO_DATA)
        dear = hashed(
            nsec3("test", digest, around(digest)[1], "A", iterations=MAX_ITERATIONS + 1), work=Work(digests=0)
        )
        self.assertIs(dear.no_data(name("one.test"), MX), Denied.SKIPPED)
        self.assertIs(dear.no_name(name("one.test")), Denied.SKIPPED)
        self.assertIs(dear.no_closer(name("one.test"), name("test")), Denied.SKIPPED)

    def test_not_understood(self) -> None:
        """
        Other algorithms and flags, and owners that are no hashes of this zone, are left out (RFC 5155 §8.1, §8.2).
        """
        digest = nsec3_hash("one.test")
        good = at("one.test", "A")
        rdata = cast(NSEC3, good[0])
        found = [
            (good.name, cast(NSEC3, rdata.replace(algorithm=2))),
            (good.name, cast(NSEC3, rdata.replace(flags=2))),
            (name("zzz.test"), rdata),
            (name("one.test"), rdata),
            (nsec3("a.test", digest, digest).name, rdata),
            (nsec3("example", digest, digest).name, rdata),
            (name("test"), rdata),
        ]
        self.assertEqual(nsec3_proofs(name("test"), found, Work()), [])

    def test_two_chains(self) -> None:
        """
        While a zone changes its parameters, each chain is taken by itself.
        """
        digest = nsec3_hash("one.test", 3)
        other = nsec3("test", digest, around(digest)[1], "A", iterations=3)
        found = [(rrset.name, cast(NSEC3, rrset[0])) for rrset in (at("two.test", "A"), other)]
        chains = nsec3_proofs(name("test"), found, Work())
        self.assertEqual([chain.no_data(name("one.test"), MX) for chain in chains], [Denied.UNPROVEN, Denied.NO_DATA])

    def test_hashing_is_bounded(self) -> None:
        """
        A name of a hundred labels under a chain that shows nothing is given up (CVE-2023-50868).
        """
        work = Work()
        deep = name("a." * 100 + "test")
        self.assertIs(hashed(gap("c.test"), work=work).no_name(deep), Denied.UNPROVEN)
        self.assertLess(work.digests, 0)
