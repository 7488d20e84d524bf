"""
Keys and signatures, good ones and others.
"""

from __future__ import annotations

from typing import Any, cast

import dns.rdata
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rrset import RRset
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.dnssec.keys import (
    SKEW,
    Work,
    expanded,
    known_digests,
    signatures_of,
    usable_keys,
    verify,
    vouched_keys,
)
from tests.dns.dnssec.world import DAY, NOW, TTL, Zone, name, records


def ds(text: str) -> DS:
    """
    Read a DS record.
    """
    return cast(DS, dns.rdata.from_text("IN", "DS", text))


class KeyTests(SynchronousTestCase):
    """
    Which keys count.
    """

    def test_zone_keys_only(self) -> None:
        """
        No zone flag, revoked, another protocol, an algorithm that we do not know: not used (RFC 4034 §2.1, RFC 5011).
        """
        good = Zone("test").dnskey
        bad = [good.replace(flags=0), good.replace(flags=0x181), good.replace(protocol=2), good.replace(algorithm=12)]
        self.assertEqual([key.rdata for key in usable_keys([good, *bad])], [good])

    def test_rsa_within_bounds(self) -> None:
        """
        RSA keys that are slow to check, or no keys, are not used: long moduli, long exponents, nothing.
        """

        def rsa(key: bytes) -> DNSKEY:
            return cast(DNSKEY, Zone("test").dnskey.replace(algorithm=8, key=key))

        self.assertEqual(len(usable_keys([rsa(b"\3\1\0\1" + b"\xff" * 512)])), 1)
        wrong = [b"", b"\0\1\0" + b"\xff" * 300, b"\x20" + b"\xff" * 200, b"\3\1\0\1" + b"\xff" * 1024]
        self.assertEqual(usable_keys([rsa(key) for key in wrong]), ())

    def test_sha1_only_where_nothing_is_better(self) -> None:
        """
        A DS with SHA-1 counts only without one with SHA-2 (RFC 4509 §3); unknown digests and algorithms never.
        """
        weak, strong = ds(f"1 15 1 {'00' * 20}"), ds(f"1 15 2 {'00' * 32}")
        unknown = [ds(f"1 15 3 {'00' * 32}"), ds(f"1 200 2 {'00' * 32}")]
        self.assertEqual(known_digests([weak, strong, *unknown]), (strong,))
        self.assertEqual(known_digests([weak, *unknown]), (weak,))
        self.assertEqual(known_digests(unknown), ())

    def test_vouching(self) -> None:
        """
        A DS vouches for the key with that tag, algorithm and digest at that name.
        """
        zone = Zone("one.test")
        right = ds(zone.ds)
        self.assertEqual(len(vouched_keys(zone.name, [right], zone.keys, Work())), 1)
        self.assertEqual(vouched_keys(name("two.test"), [right], zone.keys, Work()), ())
        for field, value in (("key_tag", right.key_tag ^ 1), ("algorithm", 13), ("digest", b"\0" * 32)):
            wrong = cast(DS, right.replace(**cast(dict[str, Any], {field: value})))
            self.assertEqual(vouched_keys(zone.name, [wrong], zone.keys, Work()), (), field)
        self.assertEqual(vouched_keys(zone.name, [right], zone.keys, Work(digests=0)), ())


class VerifyTests(SynchronousTestCase):
    """
    Which signatures hold.
    """

    def setUp(self) -> None:
        self.zone = Zone("one.test")
        self.rrset = records("mx1.one.test", "A", "192.0.2.1", "192.0.2.2")
        self.rrsig = cast(RRSIG, self.zone.signature(self.rrset))

    def verify(self, *signatures: RRSIG, rrset: RRset | None = None, now: float = NOW) -> RRSIG | str:
        """
        Check as the zone's.
        """
        chosen = signatures or (self.rrsig,)
        return verify(rrset or self.rrset, chosen, self.zone.name, self.zone.keys, now, Work())

    def test_right_one(self) -> None:
        """
        Whatever the case of the owner, the order of the records and what is left of their time to live.
        """
        self.assertEqual(self.verify(), self.rrsig)
        shown = records("MX1.One.Test", "A", "192.0.2.2", "192.0.2.1", ttl=7)
        self.assertEqual(self.verify(rrset=shown), self.rrsig)

    def test_changed_records(self) -> None:
        """
        One more, one less, another name or type: refused, in words.
        """
        for rrset in (
            records("mx1.one.test", "A", "192.0.2.1"),
            records("mx1.one.test", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3"),
            records("mx2.one.test", "A", "192.0.2.1", "192.0.2.2"),
        ):
            self.assertIn("does not hold", str(self.verify(rrset=rrset)))

    def test_time(self) -> None:
        """
        From inception to expiration, and a little around them for clocks that are wrong.
        """
        for off in (-DAY - SKEW, DAY + SKEW):
            self.assertEqual(self.verify(now=NOW + off), self.rrsig)
        self.assertEqual(self.verify(now=NOW + DAY + SKEW + 1), "the signature has expired")
        self.assertEqual(self.verify(now=NOW - DAY - SKEW - 1), "the signature is not valid yet")
        inverted = cast(RRSIG, self.zone.signature(self.rrset, NOW + 5, NOW - 5))
        self.assertIn("does not hold", str(self.verify(inverted)))

    def test_other_signers(self) -> None:
        """
        Another zone's signature is none, and one by a key that is not there neither.
        """
        self.assertIn("no signature by", str(self.verify(cast(RRSIG, Zone("test").signature(self.rrset)))))
        self.assertIn("there is no key", str(self.verify(cast(RRSIG, Zone("one.test", 2).signature(self.rrset)))))
        self.assertIn("no signature by", str(verify(self.rrset, [], self.zone.name, self.zone.keys, NOW, Work())))

    def test_one_good_one_is_enough(self) -> None:
        """
        As while keys or algorithms are changed.
        """
        wrong = cast(RRSIG, self.rrsig.replace(signature=b"\0" * 64))
        self.assertEqual(self.verify(wrong, self.rrsig), self.rrsig)

    def test_broken_signatures(self) -> None:
        """
        Whatever stands in a signature or a key, nothing is raised.
        """
        for octets in (b"", b"\0", b"\xff" * 64, b"\0" * 500):
            self.assertIn("does not hold", str(self.verify(cast(RRSIG, self.rrsig.replace(signature=octets)))))
        for algorithm in (5, 7, 8, 10, 13, 14, 15, 16):
            for octets in (b"\1\3\5", b"\3\1\0\1" + b"\xff" * 64, b"\0" * 32, b"\xff" * 57, b"\0" * 64, b"\x08" * 97):
                dnskey = cast(DNSKEY, self.zone.dnskey.replace(algorithm=algorithm, key=octets))
                for key in usable_keys([dnskey]):
                    rrsig = cast(RRSIG, self.rrsig.replace(algorithm=algorithm, key_tag=key.tag))
                    told = verify(self.rrset, [rrsig], self.zone.name, [key], NOW, Work())
                    self.assertIn("does not hold", str(told))

    def test_wildcards(self) -> None:
        """
        Records made from a wildcard hold, and tell what they were made from; the wildcard's own are no such.
        """
        star = records("*.one.test", "A", "192.0.2.1")
        rrsig = cast(RRSIG, self.zone.signature(star))
        self.assertIsNone(expanded(star, rrsig))
        shown = records("a.b.one.test", "A", "192.0.2.1")
        self.assertEqual(self.verify(rrsig, rrset=shown), rrsig)
        self.assertEqual(expanded(shown, rrsig), name("one.test"))

    def test_no_wildcard_around_the_zone(self) -> None:
        """
        Labels that are fewer than the zone's, or more than the owner's, are nonsense.
        """
        for labels in (1, 4):
            told = self.verify(cast(RRSIG, self.rrsig.replace(labels=labels)))
            self.assertEqual(told, "the signature is for another name")

    def test_work_is_bounded(self) -> None:
        """
        Signatures and keys that all bear the same tag keep nobody busy (CVE-2023-50387).
        """
        wrong = [cast(RRSIG, self.rrsig.replace(signature=bytes([n]) * 64)) for n in range(200)]
        keys = self.zone.keys * 50
        work = Work()
        told = verify(self.rrset, wrong, self.zone.name, keys, NOW, work)
        self.assertEqual(told, "it would take too much work to check")

    def test_signatures_are_found_by_name_and_type(self) -> None:
        """
        Only those over this very set.
        """
        here = dns.rrset.from_rdata(self.rrset.name, TTL, self.rrsig)
        other = records("mx1.one.test", "TXT", '"x"')
        section = [self.rrset, here, dns.rrset.from_rdata(other.name, TTL, self.zone.signature(other))]
        self.assertEqual(signatures_of(section, self.rrset), [self.rrsig])
        self.assertEqual(signatures_of(section, records("mx2.one.test", "A", "192.0.2.1")), [])
