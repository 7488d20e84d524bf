"""
From the anchor down to a name, over secure, insecure, broken and silent zones.
"""

from __future__ import annotations

import dns.name
import dns.rcode
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.dnssec import chain
from empath.dns.dnssec.anchors import read_anchors
from empath.dns.dnssec.chain import Standing
from empath.mail.answer import Security
from tests.dns.dnssec.world import DAY, NOW, World, Zone, answer, name, records, without


class ChainTests(SynchronousTestCase):
    """
    The standing of names.
    """

    def setUp(self) -> None:
        self.world = World()
        self.chain = self.world.validator.chain
        self.one = self.world.zone("one.test", self.world.test)

    def start(self, owner: str) -> Deferred[Standing]:
        """
        Begin to find out.
        """
        return Deferred.fromCoroutine(self.chain.standing(name(owner)))

    def standing(self, owner: str) -> Standing:
        """
        Find out at once.
        """
        return self.successResultOf(self.start(owner))

    def assert_bogus(self, owner: str, why: str) -> None:
        """
        It is, and says so.
        """
        found = self.standing(owner)
        self.assertEqual((found.security, found.zone), (Security.BOGUS, None))
        self.assertIn(why, found.why)

    def test_secure_zone(self) -> None:
        """
        Every zone from the root on is asked for its keys and its parent for their digests, once.
        """
        found = self.standing("one.test")
        self.assertIs(found.security, Security.SECURE)
        assert found.zone is not None
        self.assertEqual((found.zone.name, len(found.zone.keys)), (self.one.name, 1))
        asked = [("one.test.", "DS"), ("test.", "DS"), (".", "DNSKEY"), ("test.", "DNSKEY"), ("one.test.", "DNSKEY")]
        self.assertEqual(self.world.asked, asked)
        self.standing("one.test")
        self.standing("test")
        self.assertEqual((self.world.asked, self.chain.asked, len(self.chain)), (asked, 5, 3))

    def test_name_within_a_zone(self) -> None:
        """
        A name without a zone of its own is its zone's; the names between them cost nothing.
        """
        denial = [*self.one.soa(), *self.one.nsec("a.b.c.one.test", "z.one.test.", "A")]
        self.world.say(answer("a.b.c.one.test", "DS", authority=denial))
        found = self.standing("a.b.c.one.test")
        self.assertTrue(found.zone is not None and found.zone.name == self.one.name)
        self.assertNotIn(("b.c.one.test.", "DS"), self.world.asked)

    def test_alias_is_no_zone(self) -> None:
        """
        A name that is an alias lies in its zone, if the alias is really there.
        """
        alias = self.one.records("al.one.test", "CNAME", "mx1.one.test.")
        self.world.say(answer("al.one.test", "DS", alias))
        found = self.standing("al.one.test")
        self.assertTrue(found.zone is not None and found.zone.name == self.one.name)
        self.world.say(answer("no.one.test", "DS", without(alias, "RRSIG")))
        self.assert_bogus("no.one.test", "no proof")

    def test_no_such_name(self) -> None:
        """
        Nor does one that does not exist begin a zone.
        """
        denial = [*self.one.soa(), *self.one.nsec("one.test", "one.test.", "SOA", "NS")]
        self.world.say(answer("x.one.test", "DS", authority=denial, rcode=dns.rcode.NXDOMAIN))
        self.assertIs(self.standing("x.one.test").security, Security.SECURE)

    def test_insecure_delegation(self) -> None:
        """
        A delegation without DS, proved, and everything below it, whatever is signed there.
        """
        self.world.insecure("two.test", self.world.test)
        for owner in ("two.test", "mx1.two.test", "a.b.two.test"):
            found = self.standing(owner)
            self.assertEqual((found.security, found.zone), (Security.INSECURE, None))
        self.world.zone("island.two.test", Zone("two.test"))
        self.assertIs(self.standing("island.two.test").security, Security.INSECURE)

    def test_unknown_algorithm(self) -> None:
        """
        A zone that is signed only in ways that we do not know is as good as not signed (RFC 4035 §5.2).
        """
        ds = self.world.test.records("new.test", "DS", f"1 200 2 {'00' * 32}")
        self.world.say(answer("new.test", "DS", ds))
        self.assertIs(self.standing("new.test").security, Security.INSECURE)

    def test_missing_proof(self) -> None:
        """
        A secure parent that shows neither DS nor why there is none.
        """
        self.assert_bogus("two.test", "two.test.: no proof by test. that it has no DS")
        denial = self.world.test.nsec("x.test", "z.test.", "NS")
        self.world.say(answer("y.test", "DS", authority=without(denial, "RRSIG")))
        self.assert_bogus("y.test", "no proof by test.")

    def test_wrong_signature_above(self) -> None:
        """
        DS records and denials whose signatures do not hold.
        """
        wrong = Zone("test", 2)
        self.world.say(answer("three.test", "DS", wrong.records("three.test", "DS", Zone("three.test").ds)))
        self.assert_bogus("three.test", "three.test. DS: there is no key")
        self.world.say(answer("four.test", "DS", authority=wrong.nsec("four.test", "z.test.", "NS")))
        self.assert_bogus("four.test", "four.test. NSEC: there is no key")

    def test_wrong_keys(self) -> None:
        """
        Keys that nobody vouches for, that did not sign themselves, that have expired, or that are not there.
        """
        other = Zone("one.test", 2)
        self.world.say(answer("one.test", "DNSKEY", other.signed(self.world.key_set(other))))
        self.assert_bogus("one.test", "vouches for")
        both = self.world.key_set(self.one, other)
        for keys, why in (
            (other.signed(both), "there is no key"),
            (self.one.signed(both, NOW - 9 * DAY, NOW - 8 * DAY), "expired"),
            ([], "it has no DNSKEY"),
        ):
            self.chain.clear()
            self.world.say(answer("one.test", "DNSKEY", keys))
            self.assert_bogus("one.test", why)
        self.chain.clear()
        self.world.say(answer("one.test", "DNSKEY", self.one.signed(both)))
        self.assertIs(self.standing("one.test").security, Security.SECURE)

    def test_broken_zone_breaks_what_is_below(self) -> None:
        """
        Below a bogus zone nothing is any better.
        """
        self.world.say(answer("one.test", "DNSKEY"))
        self.world.zone("sub.one.test", self.one)
        self.assert_bogus("sub.one.test", "one.test.: the zone above says")

    def test_signer_that_is_no_zone(self) -> None:
        """
        A signature by a name that is no zone counts as none.
        """
        within = Zone("b.one.test")
        self.world.say(answer("b.one.test", "DS", authority=self.one.nsec("b.one.test", "z.one.test.", "A")))
        self.world.say(answer("a.b.one.test", "DS", within.records("a.b.one.test", "DS", Zone("a.b.one.test").ds)))
        self.assert_bogus("a.b.one.test", "there is no signature by one.test.")

    def test_silence(self) -> None:
        """
        No answer, or SERVFAIL, is bogus for a few seconds only.
        """
        self.world.silent.add("one.test.")
        self.assert_bogus("one.test", "no answer for DS")
        self.world.silent.clear()
        self.assert_bogus("one.test", "no answer for DS")
        self.world.clock.advance(chain.SILENCE)
        self.assertIs(self.standing("one.test").security, Security.SECURE)
        self.world.say(answer("fail.test", "DS", rcode=dns.rcode.SERVFAIL))
        self.assert_bogus("fail.test", "no answer")
        self.world.zone("keyless.test", self.world.test)
        self.world.say(answer("keyless.test", "DNSKEY", rcode=dns.rcode.REFUSED))
        self.assert_bogus("keyless.test", "no answer for DNSKEY")

    def test_time(self) -> None:
        """
        What was proved is proved again when its records are over, and what was broken after a minute.
        """
        self.standing("one.test")
        asked = len(self.world.asked)
        self.world.clock.advance(299)
        self.standing("one.test")
        self.assertEqual(len(self.world.asked), asked)
        self.world.clock.advance(1)
        self.standing("one.test")
        self.assertEqual(len(self.world.asked), 2 * asked)
        self.assert_bogus("two.test", "no proof")
        self.world.insecure("two.test", self.world.test)
        self.assert_bogus("two.test", "no proof")
        self.world.clock.advance(chain.BOGUS)
        self.assertIs(self.standing("two.test").security, Security.INSECURE)

    def test_asked_once_for_many(self) -> None:
        """
        Who needs a zone that is being looked up waits for that.
        """
        self.world.held = []
        waiting = [self.start("one.test") for _ in range(5)]
        self.assertEqual(len(self.world.asked), 1)
        self.world.release()
        self.assertEqual({self.successResultOf(each).security for each in waiting}, {Security.SECURE})
        self.assertEqual(len(self.world.asked), 5)

    def test_cancelled(self) -> None:
        """
        When the one who asks is cancelled the next who waits begins anew; one who waits disturbs nobody.
        """
        self.world.held = []
        first, second, third = (self.start("one.test") for _ in range(3))
        second.cancel()
        self.failureResultOf(second)
        first.cancel()
        self.failureResultOf(first)
        self.assertEqual(len(self.world.asked), 2)
        self.world.release()
        self.assertIs(self.successResultOf(third).security, Security.SECURE)

    def test_trouble_of_our_own(self) -> None:
        """
        What the asking raises goes to the one who asked, and nobody waits for ever.
        """
        self.world.held = []
        first, second = self.start("one.test"), self.start("one.test")
        held = self.world.held
        held[0][0].errback(ZeroDivisionError())
        self.failureResultOf(first, ZeroDivisionError)
        self.world.release()
        self.assertIs(self.successResultOf(second).security, Security.SECURE)

    def test_deep_names(self) -> None:
        """
        Nobody looks for zones at a hundred levels.
        """
        self.assert_bogus("a." * 100 + "test", "more than 40 labels")
        self.assertEqual(self.world.asked, [])

    def test_bounded_memory(self) -> None:
        """
        The least recently used name is forgotten first.
        """
        self.patch(chain, "KEPT", 3)
        for text in ("a", "b", "c"):
            self.world.insecure(f"{text}.test", self.world.test)
            self.standing(f"{text}.test")
        self.assertEqual(len(self.chain), 3)

    def test_anchors(self) -> None:
        """
        The closest anchor counts; without one above nothing is secure, and nothing broken either.
        """
        own = read_anchors(f"one.test. IN DS {self.one.ds}")
        self.chain = self.world.make_validator(own).chain
        self.assertIs(self.standing("one.test").security, Security.SECURE)
        self.assertIs(self.standing("test").security, Security.INSECURE)
        self.assertIs(self.standing(".").security, Security.INSECURE)
        wrong = read_anchors(f". IN DS {self.world.root.ds}\none.test. IN DS {Zone('one.test', 2).ds}")
        self.chain = self.world.make_validator(wrong).chain
        self.assert_bogus("one.test", "vouches for")
        self.assertIs(self.standing("test").security, Security.SECURE)

    def test_not_asked_by_the_child(self) -> None:
        """
        A zone's own word that it has no DS is not its parent's.
        """
        denial = [*self.one.soa(), *self.one.nsec("one.test", "a.one.test.", "SOA", "NS")]
        self.world.say(answer("one.test", "DS", authority=denial))
        self.assert_bogus("one.test", "no proof by test.")

    def test_any_set_of_records(self) -> None:
        """
        The root's own standing needs no DS, and an empty set of names is asked for nothing.
        """
        self.assertEqual(self.standing(".").security, Security.SECURE)
        self.assertEqual(self.world.asked, [(".", "DNSKEY")])
        self.assertEqual(records(".", "NS", "a.").name, dns.name.root)
