"""
What hosts must show, by all who have a say.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.answer import Answer, Found, Security, TlsaRecord
from empath.mail.outcome import PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.mail.wish import Wish
from empath.policy.demand import (
    NOT_KNOWN_YET,
    UNSECURED,
    Assurance,
    Barred,
    Destination,
    Tlsa,
    alias_bases,
    assurance,
    bounced,
    read_tlsa,
    tlsa_bases,
    usual,
)
from empath.policy.mta_sts import Mode, StsPolicy
from empath.policy.tls import CLEARTEXT, LOWERED, OPPORTUNISTIC, REQUIRED, Asker, Demand, Policy

DOMAIN, HOST = "example.org", "mx.example.org"
RECORD = TlsaRecord(3, 1, 1, sha256(b"key").digest())
SECURE = Tlsa(HOST, (RECORD,))
USELESS = Tlsa(HOST, (TlsaRecord(1, 1, 1, sha256(b"key").digest()),))
FAILED = Barred(TransientFailure(Reply(451, "4.7.5", ("failed",)), Scope.HOST), "dnssec-invalid")
ENFORCE = StsPolicy(Mode.ENFORCE, ("*.example.org",), 86400, "1", ("version: STSv1", "mode: enforce"))
ELSEWHERE = StsPolicy(Mode.ENFORCE, ("mx.example.net",), 86400)
TESTING = StsPolicy(Mode.TESTING, ("mx.example.org",), 86400)
TESTING_ELSEWHERE = StsPolicy(Mode.TESTING, ("mx.example.net",), 86400)
NO_MORE = StsPolicy(Mode.NONE, (), 86400)
VERIFIED = Demand(Policy.VERIFIED, (HOST,), named=True)
DANE = Demand(Policy.DANE, (HOST, DOMAIN), (RECORD,), Asker.DANE, named=True)
STS = Demand(Policy.VERIFIED, (HOST,), (), Asker.MTA_STS, named=True)


class DemandTests(SynchronousTestCase):
    """
    Precedence.
    """

    def of(self, local: Policy, tlsa: Tlsa | Barred | None = None, host: str = HOST, **known: Any) -> Assurance:
        """
        Tell what is asked of a host whose domain's MX records are secure, unless it is said otherwise.
        """
        return assurance(Destination(DOMAIN, local, **{"mx": Security.SECURE, **known}), host, tlsa)

    def test_local_policy(self) -> None:
        """
        Where nobody else has a say, our operator's policy is what is asked; DANE without records is opportunistic.
        """
        for local, demand in (
            (Policy.DISABLED, CLEARTEXT),
            (Policy.OPPORTUNISTIC, OPPORTUNISTIC),
            (Policy.REQUIRED, REQUIRED),
            (Policy.VERIFIED, VERIFIED),
            (Policy.DANE, OPPORTUNISTIC),
        ):
            self.assertEqual(self.of(local), Assurance(demand))

    def test_usual(self) -> None:
        """
        What asks the same of every host is there without looking at them.
        """
        for local in Policy:
            told = usual(local)
            self.assertIn(told, (None, self.of(local)))
            self.assertEqual(told is None, local in (Policy.VERIFIED, Policy.DANE))

    def test_accept_invalid_certs(self) -> None:
        """
        accept_invalid_certs turns "verified" into "required", and nothing else into anything.
        """
        self.assertIs(self.of(Policy.VERIFIED, lowered=True).demand, LOWERED)
        for local in (Policy.DISABLED, Policy.OPPORTUNISTIC, Policy.REQUIRED, Policy.DANE):
            self.assertEqual(self.of(local, lowered=True), self.of(local))
        self.assertEqual(self.of(Policy.DANE, SECURE, lowered=True).demand, DANE)
        self.assertEqual(self.of(Policy.VERIFIED, lowered=True, sts=ENFORCE).demand, STS)
        required = self.of(Policy.VERIFIED, lowered=True, wish=Wish.REQUIRE).demand
        self.assertIs(required.policy, Policy.VERIFIED)

    def test_dane(self) -> None:
        """
        Secure TLSA records that can be used are what is asked; where the MX records are secure, the certificate may
        name the domain, too, and what it is an alias of (RFC 7672 §3.2.2).
        """
        self.assertEqual(self.of(Policy.DANE, SECURE).demand, DANE)
        self.assertEqual(self.of(Policy.DANE, SECURE, aliases=("a.example",)).demand.names, (HOST, DOMAIN, "a.example"))
        for mx in (Security.INSECURE, Security.UNCHECKED, None):
            self.assertEqual(self.of(Policy.DANE, SECURE, mx=mx).demand.names, (HOST,))
        alias = Tlsa("real.example.net", (RECORD,))
        self.assertEqual(self.of(Policy.DANE, alias).demand.names, ("real.example.net", HOST, DOMAIN))

    def test_guarded(self) -> None:
        """
        REQUIRETLS may be said to a host that has to prove itself and that somebody vouches for: the operator, DNSSEC or
        an MTA-STS policy (RFC 8689 §2), whoever it is that asks.
        """
        for local, tlsa in ((Policy.VERIFIED, None), (Policy.DANE, SECURE)):
            self.assertTrue(self.of(local, tlsa).demand.guarded)
            self.assertTrue(self.of(local, tlsa, mx=None).demand.guarded)
            self.assertFalse(self.of(local, tlsa, mx=Security.INSECURE).demand.guarded)
            self.assertTrue(self.of(local, tlsa, mx=Security.INSECURE, sts=TESTING).demand.guarded)
        self.assertTrue(self.of(Policy.OPPORTUNISTIC, mx=Security.INSECURE, sts=ENFORCE).demand.guarded)
        for local in (Policy.DISABLED, Policy.OPPORTUNISTIC, Policy.REQUIRED, Policy.DANE):
            self.assertFalse(self.of(local).demand.guarded)

    def test_useless_records(self) -> None:
        """
        Secure TLSA records of which none can be used still mean TLS (RFC 7672 §2.2).
        """
        told = self.of(Policy.DANE, USELESS)
        self.assertIs(told.demand, REQUIRED)
        self.assertEqual(told.remark[0], "tlsa-invalid")
        self.assertEqual(self.of(Policy.DANE, USELESS, sts=ENFORCE).demand, STS)

    def test_require_tls(self) -> None:
        """
        A stricter local policy is added: DANE without records, but with require_tls, is "required".
        """
        self.assertIs(self.of(Policy.DANE, encrypted=True).demand, REQUIRED)
        self.assertEqual(self.of(Policy.DANE, SECURE, encrypted=True).demand, DANE)

    def test_failed_look_up(self) -> None:
        """
        A failed or bogus TLSA look-up bars the host, whatever else is there: MTA-STS never rescues it.
        """
        for sts in (None, ENFORCE, TESTING):
            told = self.of(Policy.DANE, FAILED, sts=sts)
            self.assertEqual(told.barred, FAILED)
            self.assertTrue(told.demand.judged)
            self.assertEqual(told.basis.policy, "tlsa")

    def test_bogus_mx(self) -> None:
        """
        Bogus MX records bar all hosts where DANE counts (RFC 7672 §2.1.1); elsewhere dnssec_enforce decides.
        """
        told = self.of(Policy.DANE, mx=Security.BOGUS)
        assert told.barred is not None
        self.assertEqual(told.barred.result, "dnssec-invalid")
        self.assertEqual(told.barred.failure.reply.enhanced, "4.7.5")
        self.assertIsNone(self.of(Policy.VERIFIED, mx=Security.BOGUS).barred)

    def test_mta_sts(self) -> None:
        """
        An MTA-STS policy that is enforced outranks "opportunistic" and "required", and not "disabled".
        """
        for local in (Policy.OPPORTUNISTIC, Policy.REQUIRED, Policy.VERIFIED, Policy.DANE):
            told = self.of(local, sts=ENFORCE, mx=Security.UNCHECKED)
            self.assertEqual(told.demand, STS)
            self.assertEqual((told.basis.policy, told.basis.lines), ("sts", ENFORCE.lines))
            self.assertEqual(told.basis.patterns, ENFORCE.mx)
        self.assertEqual(self.of(Policy.DISABLED, sts=ENFORCE), Assurance(CLEARTEXT))

    def test_host_that_the_policy_does_not_name(self) -> None:
        """
        Such a host gets nothing (RFC 8461 §4.1), unless DANE vouches for it and DNSSEC for the MX records.
        """
        told = self.of(Policy.OPPORTUNISTIC, sts=ELSEWHERE)
        assert told.barred is not None
        self.assertEqual((told.barred.result, told.barred.failure.reply.enhanced), ("validation-failure", "4.7.5"))
        self.assertIsInstance(told.barred.failure, TransientFailure)
        self.assertEqual(self.of(Policy.DANE, SECURE, sts=ELSEWHERE).demand, DANE)
        self.assertIsNotNone(self.of(Policy.DANE, SECURE, sts=ELSEWHERE, mx=Security.INSECURE).barred)
        self.assertIsNotNone(self.of(Policy.DANE, USELESS, sts=ELSEWHERE).barred)
        self.assertIsNone(self.of(Policy.DISABLED, sts=ELSEWHERE).barred)

    def test_dane_outranks_mta_sts(self) -> None:
        """
        Where there are TLSA records, MTA-STS adds nothing.
        """
        told = self.of(Policy.DANE, SECURE, sts=ENFORCE)
        self.assertEqual(told.demand, DANE)
        self.assertEqual((told.basis.policy, told.basis.lines), ("tlsa", (f"3 1 1 {RECORD.association.hex()}",)))

    def test_testing(self) -> None:
        """
        In testing mode nothing is asked; if somebody collects, the certificate is looked at, and a host that is not
        named is remarked on.
        """
        for local in (Policy.OPPORTUNISTIC, Policy.REQUIRED):
            quiet = self.of(local, sts=TESTING)
            self.assertEqual(quiet.demand, self.of(local).demand)
            self.assertEqual(self.of(local, sts=TESTING, collected=True).demand, Demand(local, (HOST,)))
        self.assertEqual(self.of(Policy.VERIFIED, sts=TESTING, collected=True).demand, VERIFIED)
        self.assertEqual(self.of(Policy.OPPORTUNISTIC, sts=TESTING).remark, ("", ""))
        self.assertEqual(self.of(Policy.OPPORTUNISTIC, sts=TESTING_ELSEWHERE).remark[0], "validation-failure")
        self.assertEqual(self.of(Policy.DANE, SECURE, sts=TESTING_ELSEWHERE).remark, ("", ""))

    def test_no_policy_any_more(self) -> None:
        """
        Mode "none" is no policy.
        """
        self.assertEqual(self.of(Policy.OPPORTUNISTIC, sts=NO_MORE), Assurance(OPPORTUNISTIC))

    def test_tls_required_no(self) -> None:
        """
        TLS-Required: No puts aside what the recipients' domain asks, not what our operator does (RFC 8689 §5).
        """
        optional: dict[str, Any] = {"wish": Wish.OPTIONAL}
        self.assertIs(self.of(Policy.OPPORTUNISTIC, sts=ENFORCE, **optional).demand, OPPORTUNISTIC)
        self.assertIsNone(self.of(Policy.OPPORTUNISTIC, sts=ELSEWHERE, **optional).barred)
        self.assertFalse(Destination(DOMAIN, Policy.DANE, wish=Wish.OPTIONAL).asks_tlsa)
        self.assertIs(self.of(Policy.DANE, **optional).demand, OPPORTUNISTIC)
        self.assertIsNone(self.of(Policy.DANE, mx=Security.BOGUS, **optional).barred)
        self.assertEqual(self.of(Policy.VERIFIED, **optional).demand, VERIFIED)
        self.assertIs(self.of(Policy.REQUIRED, **optional).demand, REQUIRED)

    def test_requiretls(self) -> None:
        """
        REQUIRETLS needs a certificate that WebPKI or DANE vouches for, whatever our policy is.
        """
        for local in Policy:
            self.assertEqual(Destination(DOMAIN, local, wish=Wish.REQUIRE).asks_tlsa, local is not Policy.VERIFIED)
            required: dict[str, Any] = {"wish": Wish.REQUIRE}
            demand = Demand(Policy.VERIFIED, (HOST,), (), Asker.REQUIRETLS, named=True)
            self.assertEqual(self.of(local, **required).demand, demand)
            dane = self.of(local, SECURE, **required).demand
            self.assertEqual(dane, Demand(Policy.DANE, (HOST, DOMAIN), (RECORD,), Asker.REQUIRETLS, named=True))

    def test_requiretls_takes_nothing_back(self) -> None:
        """
        Where our operator wants WebPKI's word, TLSA records do not stand in for it, unless any certificate would do.
        """
        self.assertFalse(Destination(DOMAIN, Policy.VERIFIED, wish=Wish.REQUIRE).asks_tlsa)
        self.assertTrue(Destination(DOMAIN, Policy.VERIFIED, lowered=True, wish=Wish.REQUIRE).asks_tlsa)
        bogus = self.of(Policy.VERIFIED, mx=Security.BOGUS, wish=Wish.REQUIRE).barred
        assert bogus is not None
        self.assertIsInstance(bogus.failure, TransientFailure)

    def test_requiretls_needs_a_host_that_is_vouched_for(self) -> None:
        """
        The host's name comes from DNSSEC, an MTA-STS policy that names it, the operator, or is the domain itself; else
        the message is bounced (RFC 8689 §4.2.1).
        """
        for mx in (Security.UNCHECKED, Security.INSECURE):
            known: dict[str, Any] = {"wish": Wish.REQUIRE, "mx": mx}
            for sts in (None, NO_MORE, TESTING_ELSEWHERE):
                self.assertEqual(self.of(Policy.OPPORTUNISTIC, sts=sts, **known).barred, Barred(UNSECURED))
            self.assertEqual(self.of(Policy.OPPORTUNISTIC, unsure=True, **known).barred, Barred(NOT_KNOWN_YET))
            for sts in (ENFORCE, TESTING):
                self.assertIsNone(self.of(Policy.DISABLED, sts=sts, **known).barred)
            self.assertIsNone(self.of(Policy.OPPORTUNISTIC, host=DOMAIN, **known).barred)
        self.assertIsNone(self.of(Policy.OPPORTUNISTIC, mx=None, wish=Wish.REQUIRE).barred)
        bogus = self.of(Policy.OPPORTUNISTIC, mx=Security.BOGUS, wish=Wish.REQUIRE).barred
        assert bogus is not None
        self.assertIsInstance(bogus.failure, TransientFailure)
        self.assertEqual((UNSECURED.reply.enhanced, UNSECURED.scope), ("5.7.30", Scope.HOST))

    def test_bounced(self) -> None:
        """
        A host that falls short of REQUIRETLS is the last word of 5.7.30 if no other one does better.
        """
        failure = bounced(TransientFailure(Reply(454, "4.7.4", ("no TLS",)), Scope.HOST))
        said = "the sender requires TLS: no TLS"
        self.assertEqual(failure, PermanentFailure(Reply(550, "5.7.30", (said,)), Scope.HOST))


class TlsaLookUpTests(SynchronousTestCase):
    """
    Where TLSA records are looked for, and what the answers mean.
    """

    def address(self, security: Security, **more: Any) -> Answer:
        """
        Make the answer for an address.
        """
        return Answer(HOST, "A", Found.RECORDS, addresses=("192.0.2.1",), security=security, **more)

    def test_bases(self) -> None:
        """
        Records lie below the end of a secure chain of aliases, else below the name itself; where the addresses are not
        secure there are none, unless an alias leads out of a signed zone.
        """
        nothing = Answer(HOST, "AAAA", Found.NO_DATA, security=Security.INSECURE)
        self.assertEqual(tlsa_bases(HOST, [nothing, self.address(Security.SECURE)]), (HOST,))
        alias = self.address(Security.SECURE, canonical="real.example")
        self.assertEqual(tlsa_bases(HOST, [alias]), ("real.example", HOST))
        for security in (Security.INSECURE, Security.UNCHECKED):
            self.assertEqual(tlsa_bases(HOST, [self.address(security)]), ())
            self.assertIsNone(tlsa_bases(HOST, [self.address(security, canonical="real.example")]))

    def test_bogus_addresses(self) -> None:
        """
        Addresses that are bogus bar the host.
        """
        told = tlsa_bases(HOST, [self.address(Security.SECURE), self.address(Security.BOGUS)])
        self.assertIsInstance(told, Barred)

    def test_answers(self) -> None:
        """
        Only secure records count; a look-up that failed, or is bogus, bars the host.
        """
        good = Answer("_25._tcp.mx", "TLSA", Found.RECORDS, tlsa=(RECORD,), security=Security.SECURE)
        self.assertEqual(read_tlsa(HOST, good), Tlsa(HOST, (RECORD,)))
        for security in (Security.INSECURE, Security.UNCHECKED):
            self.assertIsNone(read_tlsa(HOST, Answer("x", "TLSA", Found.RECORDS, tlsa=(RECORD,), security=security)))
        for found in (Found.NO_DATA, Found.NO_NAME):
            self.assertIsNone(read_tlsa(HOST, Answer("x", "TLSA", found, security=Security.SECURE)))
            self.assertIsInstance(read_tlsa(HOST, Answer("x", "TLSA", found, security=Security.BOGUS)), Barred)
        failed = read_tlsa(HOST, Answer("x", "TLSA", Found.FAILED, detail="SERVFAIL"))
        assert isinstance(failed, Barred)
        self.assertIn("SERVFAIL", failed.failure.reply.lines[0])
        bogus = Answer("x", "TLSA", Found.RECORDS, tlsa=(RECORD,), security=Security.BOGUS)
        self.assertIsInstance(read_tlsa(HOST, bogus), Barred)

    def test_alias_of_the_host(self) -> None:
        """
        Its own name counts where its alias is secure; an answer that failed, or is bogus, bars the host.
        """
        for security, bases in ((Security.SECURE, (HOST,)), (Security.INSECURE, ()), (Security.UNCHECKED, ())):
            self.assertEqual(alias_bases(HOST, Answer(HOST, "CNAME", Found.RECORDS, security=security)), bases)
        for found, security in ((Found.FAILED, Security.UNCHECKED), (Found.RECORDS, Security.BOGUS)):
            self.assertIsInstance(alias_bases(HOST, Answer(HOST, "CNAME", found, security=security)), Barred)
