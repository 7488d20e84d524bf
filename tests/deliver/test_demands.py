"""
What hosts must show, from the DNS, MTA-STS policies and the message to the session.
"""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.config.schema import DeliveryTls
from empath.deliver.tls_sessions import Kept
from empath.interfaces import IStsPolicies
from empath.mail.address import Address
from empath.mail.answer import Answer, Found, MxRecord, Security, TlsaRecord
from empath.mail.life import TlsTried
from empath.mail.message import Message
from empath.mail.wish import REQUIRE_TLS, TLS_REQUIRED
from empath.policy.mta_sts import Mode, StsPolicy
from tests.deliver.fakes import CLOSE, STARTTLS
from tests.deliver.shaking import self_made, tlsa
from tests.deliver.world import SENT, SENT_2, World, message, spell

REQUIRETLS = f"{STARTTLS.replace('250 STARTTLS', '250-STARTTLS')}\r\n250 REQUIRETLS"
UNMET = ["TransientFailure 454 4.7.5"]
BARRED = ["TransientFailure 451 4.7.5"]
BOUNCED = ["PermanentFailure 550 5.7.30"]
ENFORCE = StsPolicy(Mode.ENFORCE, ("mx2.example.org",), 86400, "1", ("version: STSv1",))
TESTING = attrs.evolve(ENFORCE, mode=Mode.TESTING)


@implementer(IStsPolicies)
class Policies:
    """
    One policy for all domains; `slow` ones come later. `doubtful`: there may be another one.
    """

    doubtful = False

    def __init__(self, policy: StsPolicy | None, slow: bool = False) -> None:
        self.policy = policy
        self.slow = slow
        self.asked: list[str] = []
        self.patient = False

    def policy_of(self, domain: str, patient: bool = False) -> Any:
        self.asked.append(domain)
        self.patient = patient
        if not self.slow:
            return self.policy
        waiting: Deferred[StsPolicy | None] = Deferred()
        waiting.callback(self.policy)
        return waiting

    def unsure(self, domain: str) -> bool:
        return self.doubtful


class DemandsCase(SynchronousTestCase):
    """
    A world whose DNS is signed.
    """

    def setUp(self) -> None:
        self.shown = self_made("mx1.example.org")
        self.other = self_made("mx2.example.org")

    def world(self, policy: str = "dane", policies: Any = None, **domain: Any) -> World:
        """
        Make the world: both hosts offer STARTTLS and REQUIRETLS, mx1 shows `shown`, mx2 `other`.
        """
        section = Section(tls=DeliveryTls(default_policy=policy))  # type: ignore[arg-type]  # one of the names
        world = World(section, policies, **domain)
        for number, shown in ((1, self.shown), (2, self.other)):
            server = world.server(number, EHLO=[STARTTLS, REQUIRETLS])
            server.chain = shown.pyopenssl()
            self.secure(world, f"mx{number}.example.org", "A", addresses=(f"192.0.2.{number}",))
        self.secure(world, "example.org", "MX", mx=(MxRecord(10, "mx1.example.org"), MxRecord(20, "mx2.example.org")))
        self.told: list[TlsTried] = []
        return world

    def secure(self, world: World, name: str, rdtype: str, **more: Any) -> None:
        """
        Put a secure answer into the DNS.
        """
        known = {"found": Found.RECORDS, "security": Security.SECURE, **more}
        world.resolver.table[name, rdtype] = Answer(name, rdtype, **known)

    def tlsa(self, world: World, host: str, *records: TlsaRecord, **more: Any) -> None:
        """
        Put TLSA records into the DNS.
        """
        self.secure(world, f"_25._tcp.{host}", "TLSA", tlsa=records, **more)

    def collect(self, world: World) -> None:
        """
        Record how TLS ended.
        """
        world.agent.collect(self.told.append)

    def results(self) -> list[tuple[str, str, str]]:
        """
        Tell what was collected.
        """
        return [(event.host, event.policy, event.result) for event in self.told]


class DaneTests(DemandsCase):
    """
    DANE.
    """

    def test_match(self) -> None:
        """
        A host whose certificate its TLSA records mean gets the mail; the attempt tells what vouched for it.
        """
        world = self.world()
        self.tlsa(world, "mx1.example.org", tlsa(self.shown.chain[0]))
        self.collect(world)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.security, "dane")
        self.assertEqual(self.results(), [("mx1.example.org", "tlsa", "")])
        event = self.told[0]
        self.assertEqual((event.domain, event.address, event.source), ("example.org", "192.0.2.1", "198.51.100.1"))

    def test_mismatch(self) -> None:
        """
        Another certificate: that host hears no more than STARTTLS, nothing goes in cleartext, the next one is tried.
        """
        world = self.world()
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]))
        self.collect(world)
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual(world.mx1.verbs(), ["EHLO", "STARTTLS"])
        self.assertEqual(world.attempt.security, "encrypted")
        expected = [("mx1.example.org", "tlsa", "tlsa-invalid"), ("mx2.example.org", "no-policy-found", "")]
        self.assertEqual(self.results(), expected)
        self.tlsa(world, "mx2.example.org", tlsa(self.shown.chain[0]))
        self.assertEqual(world.deliver(), UNMET)

    def test_no_session_where_tls_failed(self) -> None:
        """
        After a handshake that failed, perhaps for the session that was offered, none is offered.
        """
        world = self.world("required")
        self.assertEqual(world.deliver(), SENT)
        target, kept = world.mx1.transports[0].protocol.target, world.agent._tls_sessions._kept
        kept[target] = Kept(cast(Any, None), cast(Any, None), 0.0)
        world.reactor.advance(3000)
        world.mx1.answers["STARTTLS"] = ["454 4.7.0 no"]
        self.assertEqual(world.deliver(), SENT_2)
        self.assertNotIn(target, kept)

    def test_no_tls(self) -> None:
        """
        A host with TLSA records that offers no STARTTLS, or fails at it, gets nothing.
        """
        for answers in ({"EHLO": "250 mx"}, {"EHLO": STARTTLS, "STARTTLS": "454 4.7.0 no"}, {"EHLO": STARTTLS}):
            world = self.world()
            world.server(1, **answers).shakes = False
            self.tlsa(world, "mx1.example.org", tlsa(self.shown.chain[0]))
            self.collect(world)
            self.assertEqual(world.deliver(), SENT_2)
            self.assertNotIn("MAIL", world.mx1.verbs())
            offered = answers["EHLO"] == STARTTLS
            self.assertEqual(self.told[0].result, "validation-failure" if offered else "starttls-not-supported")

    def test_no_records(self) -> None:
        """
        Without secure records DANE is opportunistic, cleartext included.
        """
        world = self.world()
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]), security=Security.INSECURE)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.security, "encrypted")
        world = self.world()
        world.server(1, EHLO="250 mx")
        self.collect(world)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.security, "")
        self.assertEqual(self.results(), [("mx1.example.org", "no-policy-found", "starttls-not-supported")])

    def test_no_records_with_require_tls(self) -> None:
        """
        With require_tls there is no cleartext, records or not.
        """
        world = self.world(require_tls=True)
        world.server(1, EHLO="250 mx")
        self.assertEqual(world.deliver(), SENT_2)

    def test_records_of_no_use(self) -> None:
        """
        Records that cannot be used mean TLS with any certificate.
        """
        world = self.world()
        for host in ("mx1.example.org", "mx2.example.org"):
            self.tlsa(world, host, tlsa(self.other.chain[0], 1))
        world.server(1, EHLO="250 mx")
        self.collect(world)
        self.assertEqual(world.deliver(), SENT_2)
        expected = [("mx1.example.org", "starttls-not-supported"), ("mx2.example.org", "tlsa-invalid")]
        self.assertEqual([(event.host, event.result) for event in self.told], expected)

    def test_failed_look_up(self) -> None:
        """
        A host whose TLSA look-up failed, or is bogus, is passed over without a connection; if all are, mail waits.
        """
        for answer in ({"found": Found.FAILED}, {"security": Security.BOGUS}):
            world = self.world()
            self.tlsa(world, "mx1.example.org", **answer)
            self.collect(world)
            self.assertEqual(world.deliver(), SENT_2)
            self.assertEqual(world.mx1.transports, [])
            self.assertEqual(self.results()[0], ("mx1.example.org", "tlsa", "dnssec-invalid"))
            self.tlsa(world, "mx2.example.org", **answer)
            self.assertEqual(world.deliver(), BARRED)

    def test_bogus_addresses(self) -> None:
        """
        So is a host whose addresses are bogus, and all of them where the MX records are.
        """
        world = self.world()
        self.secure(world, "mx1.example.org", "A", addresses=("192.0.2.1",), security=Security.BOGUS)
        self.assertEqual(world.deliver(), SENT_2)
        self.secure(world, "example.org", "MX", mx=(MxRecord(10, "mx1.example.org"),), security=Security.BOGUS)
        self.assertEqual(world.deliver(), BARRED)

    def test_bogus_denials(self) -> None:
        """
        Nobody who forges that there is no domain, no host, or no mail wanted has it returned; but where nobody goes by
        DNSSEC it counts for nothing.
        """
        forged: list[tuple[str, str, dict[str, Any]]] = [
            ("example.org", "MX", {"found": Found.NO_NAME}),
            ("example.org", "MX", {"mx": (MxRecord(0, ""),)}),
            ("mx1.example.org", "A", {"found": Found.NO_NAME}),
        ]
        for name, rdtype, answer in forged:
            for policy, kind in (("dane", "TransientFailure 451 4.7.5"), ("opportunistic", "PermanentFailure")):
                world = self.world(policy)
                self.secure(world, "example.org", "MX", mx=(MxRecord(10, "mx1.example.org"),))
                self.secure(world, name, rdtype, **answer, security=Security.BOGUS)
                told = world.deliver()
                self.assertTrue(all(each.startswith(kind) for each in told), (name, answer, policy, told))

    def test_two_addresses(self) -> None:
        """
        A host that is passed over is so with all its addresses.
        """
        world = self.world()
        self.secure(world, "mx1.example.org", "A", addresses=("192.0.2.1", "192.0.2.3"))
        self.tlsa(world, "mx1.example.org", found=Found.FAILED)
        self.collect(world)
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual([event.host for event in self.told], ["mx1.example.org", "mx2.example.org"])

    def test_hosts_that_are_passed_over_take_no_place(self) -> None:
        """
        However many addresses they have: the host behind them is tried.
        """
        world = self.world()
        for number, host in enumerate("abcd", 1):
            addresses = tuple(f"203.0.113.{number}{last}" for last in range(4))
            self.secure(world, f"{host}.example.org", "A", addresses=addresses)
            self.tlsa(world, f"{host}.example.org", found=Found.FAILED)
        hosts = [f"{host}.example.org" for host in "abcd"]
        records = [MxRecord(n, host) for n, host in enumerate([*hosts, "mx1.example.org"])]
        self.secure(world, "example.org", "MX", mx=tuple(records))
        self.collect(world)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual([event.host for event in self.told], [*hosts, "mx1.example.org"])

    def test_only_what_is_tried_is_asked_about(self) -> None:
        """
        However many hosts a domain has: each of them may keep us waiting for its TLSA records.
        """
        world = self.world()
        for found, most in ((Found.NO_NAME, 5), (Found.FAILED, 10)):
            hosts = [f"h{number}.example.org" for number in range(50)]
            for number, host in enumerate(hosts):
                self.secure(world, host, "A", addresses=(f"203.0.113.{number}",))
                self.tlsa(world, host, found=found)
            self.secure(world, "example.org", "MX", mx=tuple(MxRecord(10, host) for host in hosts))
            world.resolver.asked.clear()
            world.deliver()
            self.assertEqual(sum(rdtype == "TLSA" for _, rdtype in world.resolver.asked), most)

    def test_alias(self) -> None:
        """
        TLSA records are looked for below the end of a secure alias, then below the host's own name.
        """
        world = self.world()
        self.secure(world, "mx1.example.org", "A", addresses=("192.0.2.1",), canonical="real.example.net")
        self.tlsa(world, "real.example.net", tlsa(self.shown.chain[0]))
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]))
        self.assertEqual(world.deliver(), SENT)
        self.tlsa(world, "real.example.net", found=Found.NO_DATA)
        self.assertEqual(world.deliver(), SENT_2)

    def test_alias_into_an_unsigned_zone(self) -> None:
        """
        Where the alias leads out of signed zones, the records are below the host's own name, if its alias is secure.
        """
        world = self.world()
        unsigned = {"addresses": ("192.0.2.1",), "canonical": "real.example.net", "security": Security.INSECURE}
        self.secure(world, "mx1.example.org", "A", **unsigned)
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]))
        self.assertEqual(world.deliver(), SENT)
        self.secure(world, "mx1.example.org", "CNAME", canonical="real.example.net")
        self.assertEqual(world.deliver(), SENT_2)

    def test_alias_that_cannot_be_told(self) -> None:
        """
        Where nobody tells whether the alias is secure, or it is bogus, there may be records: the host is passed over.
        """
        unsigned = {"addresses": ("192.0.2.1",), "canonical": "real.example.net", "security": Security.INSECURE}
        for answer in ({"found": Found.FAILED, "security": Security.UNCHECKED}, {"security": Security.BOGUS}):
            world = self.world()
            self.secure(world, "mx1.example.org", "A", **unsigned)
            self.secure(world, "mx1.example.org", "CNAME", **answer)
            self.collect(world)
            self.assertEqual(world.deliver(), SENT_2)
            self.assertEqual(world.mx1.transports, [])
            self.assertEqual(self.results()[0], ("mx1.example.org", "tlsa", "dnssec-invalid"))

    def test_unsigned_addresses(self) -> None:
        """
        Hosts in zones that are not signed are not asked for TLSA records (RFC 7672 §2.2.2); nor are IP addresses.
        """
        world = self.world()
        for number in (1, 2):
            self.secure(
                world, f"mx{number}.example.org", "A", addresses=(f"192.0.2.{number}",), security=Security.INSECURE
            )
        self.assertEqual(world.deliver(), SENT)
        world = self.world(mx_override=("192.0.2.1",))
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 192.0.2.1"])
        self.assertEqual([asked for asked in world.resolver.asked if asked[1] == "TLSA"], [])

    def test_slow_answers(self) -> None:
        """
        Look-ups may take their time.
        """
        world = self.world()
        self.tlsa(world, "mx1.example.org", tlsa(self.shown.chain[0]))
        world.resolver.slow = []
        delivery = world.start()
        while world.resolver.slow:
            waiting, answer = world.resolver.slow.pop(0)
            waiting.callback(answer)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)

    def test_configured_hosts(self) -> None:
        """
        A host that the operator named is asked for TLSA records at its own port, and is not barred by MTA-STS.
        """
        world = self.world(mx_override=("mx1.example.org:26",), policies=Policies(ENFORCE))
        world.reactor.servers["192.0.2.1:26"] = world.mx1
        self.secure(world, "_26._tcp.mx1.example.org", "TLSA", tlsa=(tlsa(self.shown.chain[0]),))
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.security, "dane")

    def test_probes(self) -> None:
        """
        A probe asks for the same.
        """
        world = self.world()
        for host in ("mx1.example.org", "mx2.example.org"):
            self.tlsa(world, host, tlsa(self_made("x").chain[0]))
        answer = world.agent.verify(Address("b", "example.org", "b@example.org"))
        world.reactor.run()
        self.assertEqual(self.successResultOf(answer).enhanced, "4.7.5")

    def test_nobody_collects(self) -> None:
        """
        Collecting may begin and end at any time.
        """
        world = self.world()
        self.collect(world)
        world.agent.collect(None)
        self.tlsa(world, "mx1.example.org", found=Found.FAILED)
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual(self.told, [])


class MtaStsTests(DemandsCase):
    """
    MTA-STS.
    """

    def test_provider(self) -> None:
        """
        The fake keeps the interface.
        """
        verifyObject(IStsPolicies, Policies(None))

    def test_enforce(self) -> None:
        """
        Hosts that the policy does not name get nothing; the others must be verified.
        """
        for slow in (False, True):
            world = self.world("opportunistic", Policies(ENFORCE, slow))
            self.collect(world)
            self.assertEqual(world.deliver(), SENT_2)
            self.assertEqual(world.attempt.security, "mta-sts")
            self.assertEqual(world.mx1.transports, [])
            expected = [("mx1.example.org", "sts", "validation-failure"), ("mx2.example.org", "sts", "")]
            self.assertEqual(self.results(), expected)
            self.assertEqual(self.told[1].policy_string, ENFORCE.lines)
        world = self.world("opportunistic", Policies(ENFORCE))
        world.server(2, EHLO="250 mx")
        self.assertEqual(world.deliver(), ["TransientFailure 454 4.7.4"])

    def test_testing(self) -> None:
        """
        In testing mode mail goes as without a policy, and reports tell what would have been.
        """
        world = self.world("opportunistic", Policies(TESTING))
        self.collect(world)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(self.results(), [("mx1.example.org", "sts", "validation-failure")])
        world = self.world("opportunistic", Policies(TESTING))
        world.server(1, EHLO="250 mx")
        self.assertEqual(world.deliver(), SENT)

    def test_not_asked(self) -> None:
        """
        Policies are not asked for where they cannot count: switched off, with TLS disabled, for configured hosts.
        """
        for policy, domain in (("disabled", {}), ("opportunistic", {"mx_override": ("192.0.2.1",)})):
            policies = Policies(ENFORCE)
            self.world(policy, policies, **domain).deliver()
            self.assertEqual(policies.asked, [])
        policies = Policies(ENFORCE)
        world = self.world("opportunistic", policies)
        world.agent.reconfigure(Section(tls=DeliveryTls(mta_sts=False)))
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(policies.asked, [])


class WishTests(DemandsCase):
    """
    What the sender says of TLS (RFC 8689).
    """

    def wishing(self, parameter: str) -> Message:
        """
        Make a message with a wish.
        """
        plain = message()
        return attrs.evolve(plain, envelope=attrs.evolve(plain.envelope, parameters={parameter: ""}))

    def test_requiretls(self) -> None:
        """
        REQUIRETLS goes on to a host that proves itself and offers it.
        """
        world = self.world("opportunistic")
        self.tlsa(world, "mx1.example.org", tlsa(self.shown.chain[0]))
        self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), SENT)
        self.assertTrue(any(line.endswith("REQUIRETLS") for line in world.mx1.commands))
        self.assertEqual(world.attempt.security, "dane")

    def test_no_host_is_good_enough(self) -> None:
        """
        Where every host falls short, in whatever way, the message is bounced at once, with 5.7.30, even if there are
        more hosts than sessions in an attempt.
        """
        for answers, shown in (
            ({"EHLO": "250 mx"}, self.shown),
            ({"EHLO": STARTTLS}, self.shown),
            ({"EHLO": [STARTTLS, REQUIRETLS]}, self.other),
        ):
            world = self.world("opportunistic")
            names = [f"mx{number}.example.org" for number in (1, 2, 3)]
            self.secure(world, "example.org", "MX", mx=tuple(MxRecord(10, name) for name in names))
            for number, name in enumerate(names, 1):
                steps = {step: list(text) if isinstance(text, list) else text for step, text in answers.items()}
                server = world.server(number, **steps)
                server.chain = shown.pyopenssl()
                self.secure(world, name, "A", addresses=(f"192.0.2.{number}",))
                self.tlsa(world, name, tlsa(self.shown.chain[0]))
            outcomes = world.deliver(self.wishing(REQUIRE_TLS))
            self.assertEqual([outcome.split(" mx")[0] for outcome in outcomes], BOUNCED)
            self.assertEqual(len(world.reactor.connectors), 3)
            for server in (world.mx1, world.mx2):
                self.assertNotIn("MAIL", server.verbs())

    def test_one_host_may_do(self) -> None:
        """
        As long as one host could not be asked, the message waits; and it goes to the one that is good enough.
        """
        for first in ({"GREETING": CLOSE}, {"EHLO": "250 mx"}):
            for order in ((1, 2), (2, 1)):
                world = self.world("opportunistic")
                short, other = order
                for number in order:
                    self.tlsa(world, f"mx{number}.example.org", tlsa((self.shown, self.other)[number - 1].chain[0]))
                world.server(short, EHLO="250 mx")
                if first.get("GREETING"):
                    world.server(other, GREETING=CLOSE)
                    self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), ["TransientFailure 421 4.4.2"])
                else:
                    sent = SENT if other == 1 else SENT_2
                    self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), sent)

    def test_names_that_nobody_vouches_for(self) -> None:
        """
        Without DNSSEC and MTA-STS there is nobody to send to.
        """
        world = self.world("verified")
        self.secure(world, "example.org", "MX", mx=(MxRecord(10, "mx1.example.org"),), security=Security.UNCHECKED)
        self.collect(world)
        self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), BOUNCED)
        self.assertEqual((world.reactor.connectors, self.told), ([], []))

    def test_policies_that_cannot_be_had(self) -> None:
        """
        Where an MTA-STS policy may vouch for hosts later on, mail waits for it, rather than to bounce.
        """
        for doubtful, becomes in ((True, BARRED), (False, BOUNCED)):
            policies = Policies(None)
            policies.doubtful = doubtful
            world = self.world("opportunistic", policies)
            self.secure(world, "example.org", "MX", mx=(MxRecord(10, "mx1.example.org"),), security=Security.INSECURE)
            self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), becomes)
            self.assertEqual(world.deliver(), SENT)

    def test_slow_policies(self) -> None:
        """
        Only mail that would bounce without a policy waits for one as long as it takes.
        """
        policies = Policies(attrs.evolve(ENFORCE, mx=("mx1.example.org",)))
        world = self.world("opportunistic", policies)
        self.assertEqual(world.deliver(), SENT)
        self.assertFalse(policies.patient)
        world.deliver(self.wishing(REQUIRE_TLS))
        self.assertTrue(policies.patient)

    def test_nobody_shares_a_connection_that_proved_less(self) -> None:
        """
        Idle connections to the same host serve only who demands the very same; other TLSA records are another demand.
        """
        world = self.world()
        self.tlsa(world, "mx1.example.org", tlsa(self.shown.chain[0]))
        usual, sent = message(), []
        for carried in (self.wishing(TLS_REQUIRED), usual, self.wishing(REQUIRE_TLS)):
            for _ in range(2):
                self.assertEqual(world.deliver(carried), SENT)
            sent.append(len(world.mx1.transports))
        self.assertEqual(sent, [1, 2, 3])
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]))
        self.assertEqual(world.deliver(usual), SENT_2)
        self.assertEqual(world.deliver(self.wishing(REQUIRE_TLS)), SENT_2)
        self.assertEqual(world.deliver(self.wishing(TLS_REQUIRED)), SENT)
        self.assertEqual(len(world.mx1.transports), 5)

    def test_tls_required_no(self) -> None:
        """
        TLS-Required: No goes where the recipients' domain would not have it.
        """
        policies = Policies(ENFORCE)
        world = self.world("dane", policies)
        self.tlsa(world, "mx1.example.org", tlsa(self.other.chain[0]))
        self.assertEqual(world.deliver(self.wishing(TLS_REQUIRED)), SENT)
        self.assertEqual((world.attempt.security, policies.asked), ("encrypted", []))
        world = self.world("dane", policies)
        world.server(1, EHLO="250 mx")
        self.assertEqual(world.deliver(self.wishing(TLS_REQUIRED)), SENT)


class LocalTests(DemandsCase):
    """
    Our operator's word.
    """

    def test_accept_invalid_certs(self) -> None:
        """
        accept_invalid_certs makes "verified" of a domain "required"; the log tells at each connection.
        """
        world = self.world("verified", accept_invalid_certs=True)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.security, "encrypted")

    def test_domain_wins(self) -> None:
        """
        A domain's accept_invalid_certs wins over the general one either way.
        """
        for general, own, lowered in (
            (True, None, True),
            (True, False, False),
            (False, True, True),
            (False, None, False),
        ):
            world = World(Section(accept_invalid_certs=general), accept_invalid_certs=own)
            self.assertEqual(world.routing.find("example.org").lowered, lowered)
            self.assertEqual(world.routing.find("example.com").lowered, general)
