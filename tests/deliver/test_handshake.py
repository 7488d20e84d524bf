"""
TLS handshakes with real certificates: judged by names, by TLSA records, or not at all.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.deliver.certificates import MISNAMED
from empath.deliver.contexts import TlsContexts
from empath.deliver.handshake import Handshake, why_failed
from empath.net.tls_files import Identity
from empath.policy.tls import CLEARTEXT, OPPORTUNISTIC, REQUIRED, Asker, Demand, Policy
from tests.deliver.shaking import (
    ODD_NAMES,
    PAST,
    Authority,
    Shaken,
    Shown,
    contexts,
    hear,
    oddly_named,
    self_made,
    shake,
    tlsa,
)

HOST = "mx.example.org"
VERIFIED = Demand(Policy.VERIFIED, (HOST,))
TRIAL = Demand(Policy.OPPORTUNISTIC, (HOST,))


class HandshakeTests(SynchronousTestCase):
    """
    What ends a session, and what is only seen.
    """

    def setUp(self) -> None:
        self.authority = Authority()
        self.good = self.authority.issue(HOST)
        self.contexts = contexts(self.authority.trust_root())

    def shake(self, demand: Demand, shown: Shown, host: str = HOST) -> tuple[Handshake, Shaken]:
        """
        Shake hands with a server.
        """
        handshake = self.contexts.handshake(demand, host)
        told = shake(handshake, shown.context())
        if told.error is None:
            handshake.judge(told.client)
        return handshake, told

    def test_unjudged(self) -> None:
        """
        Opportunistic and required take any certificate, and tell the server its name.
        """
        for demand in (OPPORTUNISTIC, REQUIRED, CLEARTEXT):
            for shown in (self.good, self_made("elsewhere.example", ended=True)):
                handshake, told = self.shake(demand, shown)
                self.assertIsNone(told.error)
                self.assertIsNone(handshake.judge(told.client))
                self.assertEqual((told.name, handshake.security), (HOST.encode(), "encrypted"))

    def test_verified(self) -> None:
        """
        Verified: a certificate for the name, from whom we trust.
        """
        handshake, told = self.shake(VERIFIED, self.good)
        self.assertIsNone(told.error)
        self.assertIsNone(handshake.judge(told.client))
        self.assertEqual(handshake.security, "verified")
        wildcard = self.authority.issue("*.example.org")
        self.assertIsNone(self.shake(VERIFIED, wildcard)[1].error)
        by_sts = Demand(Policy.VERIFIED, (HOST,), (), Asker.MTA_STS)
        self.assertEqual(self.shake(by_sts, self.good)[0].security, "mta-sts")

    def test_not_verified(self) -> None:
        """
        Another name, another issuer, a date that is over: the handshake fails, and says why.
        """
        for shown, result in (
            (self.authority.issue("mx2.example.org"), "certificate-host-mismatch"),
            (self_made(HOST), "certificate-not-trusted"),
            (Authority().issue(HOST), "certificate-not-trusted"),
            (self.authority.issue(HOST, not_before=PAST, not_after=PAST.replace(year=2021)), "certificate-expired"),
        ):
            handshake, told = self.shake(VERIFIED, shown)
            self.assertIsNotNone(told.error)
            assert handshake.rejection is not None
            self.assertEqual(handshake.rejection.result, result)
            self.assertIsNotNone(told.server_error, "the server is to hear of it")

    def test_names(self) -> None:
        """
        What cannot be in a certificate is in none; an address can.
        """
        for name in ("a" * 64 + ".example.org", "mx_.example.org", "[192.0.2.1]", "[nonsense]", ""):
            handshake, told = self.shake(Demand(Policy.VERIFIED, (name,)), self.good, name)
            self.assertIsNotNone(told.error)
            assert handshake.rejection is not None
            self.assertEqual(handshake.rejection.result, "certificate-host-mismatch")
        addresses = self.authority.issue("192.0.2.1", "2001:db8::1")
        for name in ("192.0.2.1", "[192.0.2.1]", "2001:db8::1", "[IPv6:2001:DB8:0::1]"):
            handshake, told = self.shake(Demand(Policy.VERIFIED, (name,)), addresses, name)
            self.assertIsNone(told.error, name)
            self.assertIsNone(told.name, "an address is no server name")

    def test_odd_names(self) -> None:
        """
        A certificate without names, or with such as nobody can read, is refused as any other for another name; where
        it is only looked at, that is seen, and nothing follows.
        """
        for names in ODD_NAMES:
            shown = oddly_named(names)
            root = TwistedCertificate.loadPEM(shown.chain[0].public_bytes(Encoding.PEM))
            self.contexts = contexts(trustRootFromCertificates([root]))
            handshake, told = self.shake(VERIFIED, shown)
            self.assertIsInstance(told.error, SSL.Error)
            self.assertEqual(handshake.rejection, MISNAMED)
            handshake, told = self.shake(TRIAL, shown)
            self.assertIsNone(told.error)
            self.assertEqual(handshake.rejection, MISNAMED)

    def test_nobody_demanded(self) -> None:
        """
        A demand without names is met by nobody, rather than by everybody.
        """
        self.assertIsNotNone(self.shake(Demand(Policy.VERIFIED), self.good)[1].error)

    def test_looked_at(self) -> None:
        """
        In MTA-STS's testing mode the same is seen, and nothing follows.
        """
        for shown, result in (
            (self.good, None),
            (self.authority.issue("mx2.example.org"), "certificate-host-mismatch"),
            (self_made(HOST), "certificate-not-trusted"),
        ):
            handshake, told = self.shake(TRIAL, shown)
            self.assertIsNone(told.error)
            self.assertIsNone(handshake.judge(told.client))
            self.assertEqual(handshake.rejection and handshake.rejection.result, result)
            self.assertEqual(handshake.security, "encrypted")

    def test_dane(self) -> None:
        """
        DANE: the server is told the name that its TLSA records lie below (RFC 7672 §8.1), and must have a certificate
        that they mean; its name, its dates and its issuer do not matter for usage 3 (§3.1.1).
        """
        shown = self_made("elsewhere.example", ended=True)
        demand = Demand(Policy.DANE, ("real.example.net", HOST), (tlsa(shown.chain[0]),), Asker.DANE)
        handshake, told = self.shake(demand, shown)
        self.assertIsNone(told.error)
        self.assertIsNone(handshake.judge(told.client))
        self.assertEqual((told.name, handshake.security), (b"real.example.net", "dane"))
        handshake, told = self.shake(demand, self.good)
        self.assertIsNone(told.error)
        rejection = handshake.judge(told.client)
        assert rejection is not None
        self.assertEqual(rejection.result, "tlsa-invalid")

    def test_resumed(self) -> None:
        """
        A session is resumed only in the context that it was made in; a chain that DANE judged is judged again, and
        nothing is resumed where a certificate is looked at for a report.
        """
        for demand in (VERIFIED, Demand(Policy.DANE, (HOST,), (tlsa(self.good.chain[0]),), Asker.DANE), TRIAL):
            server = self.good.context()
            server.set_session_id(b"test")
            first = self.contexts.handshake(demand, HOST)
            told = shake(first, server)
            hear(told)
            session = told.client.get_session()
            assert session is not None
            again = self.contexts.handshake(demand, HOST)
            again.resume(session, told.client.get_context())
            resumed = shake(again, server)
            self.assertIsNone(resumed.error)
            self.assertIsNone(again.judge(resumed.client))
            self.assertEqual(again.resumable, demand is not TRIAL)
            other = TlsContexts(lambda _: None, self.authority.trust_root()).handshake(demand, HOST)
            other.resume(session, told.client.get_context())
            self.assertIsNone(shake(other, server).error)

    def test_certificate_of_ours(self) -> None:
        """
        A server that asks gets the certificate of the route, with its chain; a renewed one from then on; others none.
        """
        for name in ("client.example", "renewed.example"):
            child = self.authority.ca.create_child_ca()
            shown = self.authority.issue(name, ca=child)
            ours = contexts(file=Identity(shown.chain, shown.key, ()))
            handshake = ours.handshake(OPPORTUNISTIC, HOST, "file")
            told = shake(handshake, self.good.context())
            shown_to_it = [told.server.get_peer_certificate(), *(told.server.get_peer_cert_chain() or [])]
            self.assertEqual([each and each.to_cryptography() for each in shown_to_it], list(shown.chain))
        told = shake(self.contexts.handshake(OPPORTUNISTIC, HOST), self.good.context())
        self.assertIsNone(told.server.get_peer_certificate())

    def test_renewed(self) -> None:
        """
        A certificate that changed makes a new context; otherwise contexts are shared.
        """
        shown = self_made("client.example")
        found = {"file": Identity(shown.chain, shown.key, ())}
        ours = TlsContexts(found.get)

        def context() -> object:
            return ours.handshake(OPPORTUNISTIC, HOST, "file").clientConnectionForTLS(None).get_context()

        first = context()
        self.assertIs(context(), first)
        found["file"] = Identity(shown.chain, shown.key, ())
        self.assertIsNot(context(), first)

    def test_why_failed(self) -> None:
        """
        A handshake that failed without a certificate to blame is told in OpenSSL's words, or as a lost connection.
        """
        self.assertEqual(why_failed(Failure(ConnectionLost())), "connection lost")
        told = shake(self.contexts.handshake(VERIFIED, HOST), self_made(HOST).context())
        assert told.error is not None
        self.assertIn("verify failed", why_failed(Failure(told.error)))
