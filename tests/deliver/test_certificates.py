"""
Certificates held against TLSA records.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from empath.deliver.certificates import MISNAMED, NO_MATCH, misnamed, rejected, vouched
from empath.mail.answer import TlsaRecord
from empath.policy.tls import Asker, Demand, Policy
from tests.deliver.shaking import ODD_NAMES, PAST, Authority, Shown, oddly_named, self_made, tlsa

HOST, DOMAIN = "mx.example.org", "example.org"


class VouchedTests(SynchronousTestCase):
    """
    RFC 6698 §2.1, RFC 7672 §3.
    """

    def setUp(self) -> None:
        self.authority = Authority()
        self.middle = self.authority.ca.create_child_ca()
        self.shown = self.authority.issue(HOST, ca=self.middle, root=True)

    def result(self, shown: Shown, *records: TlsaRecord, names: tuple[str, ...] = (HOST,)) -> str:
        """
        Tell the type of failure, "" where a record vouches for the chain.
        """
        rejection = vouched(Demand(Policy.DANE, names, records, Asker.DANE), shown.pyopenssl())
        return "" if rejection is None else rejection.result

    def test_end_entity(self) -> None:
        """
        Usage 3, with every selector and matching type, means the server's certificate and no other of the chain.
        """
        for selector in (0, 1):
            for matching in (0, 1, 2):
                self.assertEqual(self.result(self.shown, tlsa(self.shown.chain[0], 3, selector, matching)), "")
                issuer = tlsa(self.shown.chain[1], 3, selector, matching)
                self.assertEqual(self.result(self.shown, issuer), "tlsa-invalid")

    def test_names_and_dates(self) -> None:
        """
        Names and dates count for usage 2, not for usage 3 (RFC 7672 §3.1.1, §3.1.2).
        """
        ended = self.authority.issue(HOST, root=True, not_before=PAST, not_after=PAST.replace(year=2021))
        for shown, result in (
            (ended, "certificate-expired"),
            (self.authority.issue("elsewhere.example", root=True), "certificate-host-mismatch"),
        ):
            self.assertEqual(self.result(shown, tlsa(shown.chain[0])), "")
            self.assertEqual(self.result(shown, tlsa(self.authority.root, 2)), result)

    def test_odd_names(self) -> None:
        """
        A certificate without names, or with such as nobody can read, is for nobody; usage 3 needs none.
        """
        for names in ODD_NAMES:
            shown = oddly_named(names)
            [odd] = shown.pyopenssl()
            self.assertEqual(misnamed(odd, (HOST,)), MISNAMED)
            refused = ("certificate-host-mismatch", "certificate-not-trusted")  # unreadable: whom it is for, either
            self.assertIn(self.result(shown, tlsa(shown.chain[0], 2, 0, 0)), refused)
            self.assertEqual(self.result(shown, tlsa(shown.chain[0])), "")

    def test_trust_anchor(self) -> None:
        """
        Usage 2 means an issuer at any distance, with every selector and matching type.
        """
        for anchor in self.shown.chain[1:]:
            for selector in (0, 1):
                for matching in (0, 1, 2):
                    self.assertEqual(self.result(self.shown, tlsa(anchor, 2, selector, matching)), "")
        own = tlsa(self.shown.chain[0], 2)
        self.assertEqual(self.result(self.shown, own), "tlsa-invalid", "the server is no issuer of its own")

    def test_domain(self) -> None:
        """
        The certificate may name any of the names that count.
        """
        shown = self.authority.issue(DOMAIN, root=True)
        anchor = tlsa(self.authority.root, 2)
        self.assertEqual(self.result(shown, anchor), "certificate-host-mismatch")
        self.assertEqual(self.result(shown, anchor, names=(HOST, DOMAIN)), "")

    def test_anchor_that_is_not_shown(self) -> None:
        """
        An issuer that the server does not show can vouch if the record holds it, whole or its key (RFC 7671 §5.2); a
        digest of it cannot.
        """
        shown = self.authority.issue(HOST)
        root = self.authority.root
        for selector in (0, 1):
            self.assertEqual(self.result(shown, tlsa(root, 2, selector, 0)), "")
            for matching in (1, 2):
                self.assertEqual(self.result(shown, tlsa(root, 2, selector, matching)), "tlsa-invalid")

    def test_key_of_any_kind(self) -> None:
        """
        A key that a record holds may be of any kind that signs certificates.
        """
        for key, digest in (
            (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
            (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
            (ed25519.Ed25519PrivateKey.generate(), None),
        ):
            shown = self_made(HOST, key, digest=digest)
            other = self_made(HOST, key, digest=digest)
            self.assertEqual(self.result(shown, tlsa(other.chain[0], 2, 1, 0)), "")
            for foreign in (self_made(HOST), self.shown):
                self.assertEqual(self.result(foreign, tlsa(shown.chain[0], 2, 1, 0)), "tlsa-invalid")

    def test_key_of_no_use(self) -> None:
        """
        Keys that sign no certificates of ours, and what is no key or certificate at all, vouch for nothing.
        """
        public = (
            dsa.generate_private_key(1024).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
        for association in (public, b"\x30\x03\x02\x01\x01"):
            for selector in (0, 1):
                record = TlsaRecord(2, selector, 0, association)
                self.assertEqual(self.result(self.shown, record), "tlsa-invalid")

    def test_not_for_servers(self) -> None:
        """
        A certificate that is for clients only is no server's, whoever issued it.
        """
        shown = self_made(HOST, client_only=True)
        self.assertEqual(self.result(shown, tlsa(shown.chain[0], 2, 1, 0)), "certificate-not-trusted")
        self.assertEqual(self.result(shown, tlsa(shown.chain[0])), "")

    def test_several_records(self) -> None:
        """
        One record that vouches is enough: the old and the new one stand side by side in a rollover.
        """
        new = self_made(HOST)
        records = (tlsa(new.chain[0]), tlsa(self.shown.chain[0]), tlsa(self.authority.root, 2))
        for shown in (new, self.shown):
            self.assertEqual(self.result(shown, *records), "")
        self.assertEqual(self.result(self_made(HOST), *records), "tlsa-invalid")

    def test_stranger_behind_an_anchor(self) -> None:
        """
        An anchor that is shown beside a certificate which it did not issue vouches for nothing.
        """
        stranger = self_made(HOST)
        shown = Shown((*stranger.chain, self.authority.root), stranger.key)
        self.assertEqual(self.result(shown, tlsa(self.authority.root, 2)), "certificate-not-trusted")

    def test_nothing_shown(self) -> None:
        """
        A server without a certificate shows nothing.
        """
        demand = Demand(Policy.DANE, (HOST,), (tlsa(self.shown.chain[0]),), Asker.DANE)
        self.assertIs(vouched(demand, []), NO_MATCH)

    def test_openssl_numbers(self) -> None:
        """
        OpenSSL's numbers are words where we know them.
        """
        self.assertEqual(rejected(10).result, "certificate-expired")
        self.assertEqual(rejected(18).reason, "the certificate is self-signed")
        self.assertIn("4711", rejected(4711).reason)
