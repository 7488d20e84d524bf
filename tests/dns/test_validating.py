"""
Checking signatures ourselves: what is asked for it, what comes of it, and what is done with what is bogus.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial

import attrs
import dns.flags
import dns.message
import dns.rcode
from dns.rrset import RRset
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dns
from empath.config.units import File, seconds
from empath.dns.cache import BOGUS_TTL, FAILURE_TTL
from empath.errors import ConfigError
from empath.mail.answer import Answer, Found, Security
from empath.mail.life import LookedUp
from tests.dns.dnssec.world import DAY, NOW, TTL, World, records
from tests.dns.dnssec.world import answer as answered
from tests.dns.fakes import FIRST, Bench, FakeSocket


@attrs.define(eq=False)
class WorldSocket(FakeSocket):
    """
    A socket towards a server that knows a world, and answers at once unless a name is silent.
    """

    world: World = attrs.field(kw_only=True)

    def send(self, datagram: bytes) -> None:
        """
        Answer.
        """
        super().send(datagram)
        asked = self.query.question[0]
        owner, kind = asked.name.to_text(), asked.rdtype
        self.world.asked.append((owner, kind.name))
        if owner not in self.world.silent:
            said = self.world.answers.get((asked.name, kind)) or answered(owner, kind.name)
            self.say(datagram[:2] + said.to_wire(max_size=65535)[2:])


class ValidatingTests(SynchronousTestCase):
    """
    `dnssec = "validate"`.
    """

    def setUp(self) -> None:
        self.world = World()
        self.zone = self.world.zone("signed.test.", self.world.test)
        self.anchors = os.path.abspath(self.mktemp())
        with open(self.anchors, "w", encoding="ascii") as file:
            file.write(f". IN DS {self.world.root.ds}\n")
        self.begin()

    def begin(self, enforce: bool = False) -> None:
        """
        Make a resolver.
        """
        section = Dns(timeout=seconds(5), dnssec="validate", dnssec_enforce=enforce, trust_anchor=File(self.anchors))
        self.bench = Bench([FIRST], section, make=partial(WorldSocket, world=self.world))
        self.bench.reactor.rightNow = float(NOW)
        self.resolver = self.bench.resolver

    def say(self, owner: str, rdtype: str, answers: Iterable[RRset] = (), authority: Iterable[RRset] = ()) -> None:
        """
        Let the world answer so.
        """
        self.world.say(answered(owner, rdtype, answers, authority))

    def look_up(self, name: str, rdtype: str) -> Answer:
        """
        Ask for what is not known yet.
        """
        asked = self.resolver.lookup(name, rdtype)
        assert isinstance(asked, Deferred)
        return self.successResultOf(asked)

    def test_secure(self) -> None:
        """
        A chain of signatures from the anchor makes it secure.
        """
        self.say("signed.test.", "MX", self.zone.records("signed.test.", "MX", "10 mx.signed.test."))
        answer = self.look_up("signed.test", "MX")
        self.assertEqual((answer.security, answer.mx[0].host, answer.detail), (Security.SECURE, "mx.signed.test", ""))
        keys = [(name, kind) for name in ("signed.test.", "test.") for kind in ("DNSKEY", "DS")]
        self.assertEqual(sorted(self.world.asked), sorted([*keys, (".", "DNSKEY"), ("signed.test.", "MX")]))

    def test_put(self) -> None:
        """
        Every question is put with DO and CD.
        """
        self.world.silent.add("signed.test.")
        self.resolver.lookup("signed.test", "MX")
        self.assertEqual(self.bench.datagrams.sockets[-1].query.flags, dns.flags.RD | dns.flags.CD)
        self.assertEqual(self.bench.datagrams.sockets[-1].query.ednsflags, dns.flags.DO)
        self.bench.reactor.advance(5)
        self.assertEqual([socket.query.ednsflags for socket in self.bench.datagrams.sockets], [dns.flags.DO] * 2)

    def test_ends_with_its_signatures(self) -> None:
        """
        Nothing that is signed is believed for longer than its signatures hold.
        """
        exchangers = records("signed.test.", "MX", "10 mx.signed.test.")
        self.say("signed.test.", "MX", self.zone.signed(exchangers, NOW - DAY, NOW + 90))
        self.assertEqual(self.look_up("signed.test", "MX").expires, NOW + 90)

    def test_insecure(self) -> None:
        """
        A zone that its parent says is not signed is insecure.
        """
        self.world.insecure("plain.signed.test.", self.zone)
        self.say("plain.signed.test.", "MX", [records("plain.signed.test.", "MX", "10 mx.signed.test.")])
        answer = self.look_up("plain.signed.test", "MX")
        self.assertEqual((answer.security, answer.found), (Security.INSECURE, Found.RECORDS))

    def test_denial(self) -> None:
        """
        That there is no TLSA record is secure if it is proved.
        """
        denial = [*self.zone.soa(), *self.zone.nsec("signed.test.", "zz.signed.test.", "MX")]
        self.say("_25._tcp.signed.test", "TLSA", authority=denial)
        answer = self.look_up("_25._tcp.signed.test", "TLSA")
        self.assertEqual((answer.found, answer.security), (Found.NO_DATA, Security.BOGUS))
        self.world.say(answered("_25._tcp.signed.test", "TLSA", authority=denial, rcode=dns.rcode.NXDOMAIN))
        self.resolver.clear()
        answer = self.look_up("_25._tcp.signed.test", "TLSA")
        self.assertEqual((answer.found, answer.security), (Found.NO_NAME, Security.SECURE))

    def test_alias_out_of_a_signed_zone(self) -> None:
        """
        A chain that is asked for link by link is worth as much as its weakest link.
        """
        self.world.insecure("plain.signed.test.", self.zone)
        self.say("signed.test.", "A", self.zone.records("signed.test.", "CNAME", "plain.signed.test."))
        self.say("plain.signed.test.", "A", [records("plain.signed.test.", "A", "192.0.2.1")])
        answer = self.look_up("signed.test", "A")
        self.assertEqual((answer.security, answer.canonical), (Security.INSECURE, "plain.signed.test"))
        self.assertEqual(answer.addresses, ("192.0.2.1",))

    def tamper(self) -> None:
        """
        Let the MX records bear no signature.
        """
        self.say("signed.test.", "MX", [records("signed.test.", "MX", "10 evil.test.")])

    def test_bogus(self) -> None:
        """
        What is bogus is used where that is not refused, says so and why, and is asked for again soon.
        """
        self.tamper()
        answer = self.look_up("signed.test", "MX")
        self.assertEqual((answer.security, answer.found), (Security.BOGUS, Found.RECORDS))
        self.assertTrue(answer.detail.startswith("bogus: "), answer.detail)
        self.assertEqual(answer.expires, NOW + BOGUS_TTL)

    def test_bogus_refused(self) -> None:
        """
        Where it must not be used the look-up has failed; that is kept for a minute, and told of.
        """
        self.begin(enforce=True)
        self.tamper()
        answer = self.look_up("signed.test", "MX")
        self.assertEqual((answer.security, answer.found, answer.mx), (Security.BOGUS, Found.FAILED, ()))
        self.assertTrue(answer.detail.startswith("bogus: "), answer.detail)
        self.assertEqual(answer.expires, NOW + BOGUS_TTL)
        event = self.bench.events[-1]
        assert isinstance(event, LookedUp)
        self.assertIs(event.answer, answer)

    def test_nothing_stands_in_for_what_is_bogus(self) -> None:
        """
        An old answer is for servers that are silent, not for those that lie.
        """
        self.begin(enforce=True)
        self.say("signed.test.", "MX", self.zone.records("signed.test.", "MX", "10 mx.signed.test."))
        self.look_up("signed.test", "MX")
        self.bench.reactor.advance(TTL + 1)
        self.tamper()
        self.assertIs(self.look_up("signed.test", "MX").found, Found.FAILED)

    def test_keys_are_known(self) -> None:
        """
        The keys of a zone are asked for once; after a command to forget or to fetch they are asked for again.
        """
        for owner in ("a.signed.test", "b.signed.test", "c.signed.test", "d.signed.test"):
            self.say(owner, "A", self.zone.records(owner, "A", "192.0.2.1"))
        self.look_up("a.signed.test", "A")
        self.world.asked.clear()
        self.look_up("b.signed.test", "A")
        self.assertNotIn(("signed.test.", "DNSKEY"), self.world.asked)
        self.resolver.clear("c.signed.test")
        self.look_up("c.signed.test", "A")
        self.assertEqual(self.world.asked.count(("signed.test.", "DNSKEY")), 1)
        self.successResultOf(Deferred.fromCoroutine(self.resolver.refresh("d.signed.test")))
        self.assertEqual(self.world.asked.count(("signed.test.", "DNSKEY")), 2)

    def test_keys_are_silent(self) -> None:
        """
        Where nobody tells the keys nothing is proved, within the bound of a look-up; it is asked for again soon.
        """
        self.say("signed.test.", "MX", self.zone.records("signed.test.", "MX", "10 mx.signed.test."))
        for enforce, found in ((False, Found.RECORDS), (True, Found.FAILED)):
            self.begin(enforce)
            answer = self.unproven()
            self.assertEqual((answer.found, answer.detail.partition(":")[0]), (found, "unproven"))
            self.assertEqual(answer.expires, self.bench.reactor.seconds() + FAILURE_TTL)
        self.bench.reactor.advance(FAILURE_TTL)
        self.world.silent.clear()
        self.assertIs(self.look_up("signed.test", "MX").security, Security.SECURE)

    def test_old_answer_stands_in_for_what_is_unproven(self) -> None:
        """
        Silence of those who know the keys is silence.
        """
        self.begin(enforce=True)
        self.say("signed.test.", "MX", self.zone.records("signed.test.", "MX", "10 mx.signed.test."))
        self.look_up("signed.test", "MX")
        self.bench.reactor.advance(TTL + 1)
        self.assertEqual((self.unproven().stale, self.unproven().secure), (True, True))

    def unproven(self) -> Answer:
        """
        Look up while nobody tells the root's keys.
        """
        self.world.silent.add(".")
        asked = self.resolver.lookup("signed.test", "MX")
        if isinstance(asked, Answer):
            return asked
        begun = self.bench.reactor.seconds()
        while not asked.called:
            self.bench.reactor.advance(1)
        self.assertLessEqual(self.bench.reactor.seconds() - begun, 20)
        return self.successResultOf(asked)

    def test_reload(self) -> None:
        """
        What is known was judged otherwise once the judgement changes.
        """
        self.tamper()
        self.look_up("signed.test", "MX")
        section = Dns(timeout=seconds(5), dnssec="validate", dnssec_enforce=True, trust_anchor=File(self.anchors))
        self.resolver.reconfigure(section)
        self.assertIs(self.look_up("signed.test", "MX").found, Found.FAILED)
        self.resolver.reconfigure(Dns(timeout=seconds(5)))
        self.assertIs(self.look_up("signed.test", "MX").security, Security.UNCHECKED)

    def test_anchors(self) -> None:
        """
        The shipped anchors are used where no file is given; a file that cannot be read stops the start, and nothing
        else.
        """
        Bench([FIRST], Dns(dnssec="validate"))
        for path, text in [(self.mktemp(), None), (self.mktemp(), ""), (self.mktemp(), ". IN A 192.0.2.1\n")]:
            if text is not None:
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            section = Dns(dnssec="validate", trust_anchor=File(os.path.abspath(path)))
            with self.assertRaises(ConfigError) as caught:
                Bench([FIRST], section)
            self.assertIn(path, str(caught.exception))
            self.assertRaises(ConfigError, self.resolver.reconfigure, section)
        self.say("signed.test.", "MX", self.zone.records("signed.test.", "MX", "10 mx.signed.test."))
        self.assertIs(self.look_up("signed.test", "MX").security, Security.SECURE)
