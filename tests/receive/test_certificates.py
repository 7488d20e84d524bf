"""
Requirements on the TLS of listeners: whom it serves with what, and how certificates are replaced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import KeyPair
from empath.config.units import File
from empath.errors import ConfigError
from empath.receive.tls import ServerTls, channel_bindings, described
from tests.receive.certificates import Handshake, client_context, serial_of, server_tls, write_pair

NOBODY = 65534
CENTURY = 100 * 366 * 86400.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class CertificateCase(SynchronousTestCase):
    """
    A folder with the certificate of mx.example.org.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()
        self.ca = trustme.CA()
        self.pair = write_pair(self.folder, "mx", self.ca, "mx.example.org")
        self.clock = Clock()
        issued = x509.load_pem_x509_certificate(Path(self.pair.certificate).read_bytes()).not_valid_before_utc
        self.clock.advance(issued.timestamp() + 86400)

    def context(self, newest: int, own: trustme.LeafCert | None = None) -> SSL.Context:
        """
        Make a client that speaks versions of TLS up to `newest`.
        """
        context = client_context(self.ca, own)
        context.set_max_proto_version(newest)
        return context


class HandshakeTests(CertificateCase):
    """
    Handshakes with one certificate.
    """

    def setUp(self) -> None:
        super().setUp()
        self.tls = server_tls(self.clock, self.pair)
        self.tls.load()

    def test_provides(self) -> None:
        """
        Twisted's startTLS takes what `creator` gives.
        """
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, self.tls.creator()))

    def test_a_modern_client_is_served(self) -> None:
        """
        By TLS 1.3, with a certificate that it can verify; `described` tells of it.
        """
        done = Handshake(self.tls, client_context(self.ca), "mx.example.org").shake()
        self.assertEqual(done.serial, serial_of(self.pair))
        version, cipher, subject = described(done.server)
        self.assertEqual((version, cipher[:4], subject), ("TLSv1.3", "TLS_", ""))

    def test_tls_1_2_has_forward_secrecy_and_authenticated_encryption_only(self) -> None:
        """
        A client without any such cipher is turned away.
        """
        done = Handshake(self.tls, self.context(SSL.TLS1_2_VERSION)).shake()
        self.assertEqual(described(done.server)[:2], ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))
        for weak in (b"ECDHE-ECDSA-AES128-SHA", b"ECDHE-ECDSA-AES128-SHA256", b"AES128-GCM-SHA256"):
            context = self.context(SSL.TLS1_2_VERSION)
            context.set_cipher_list(weak)
            self.assertRaises(SSL.Error, Handshake(self.tls, context).shake)

    def test_older_protocols_are_refused(self) -> None:
        """
        TLS 1.1 is no more (RFC 8996).
        """
        context = self.context(SSL.TLS1_1_VERSION)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        self.assertRaises(SSL.Error, Handshake(self.tls, context).shake)

    def test_cleartext_is_an_error_of_this_handshake(self) -> None:
        """
        Somebody who speaks no TLS.
        """
        server = Handshake(self.tls, client_context(None)).server
        server.bio_write(b"EHLO client.example\r\n")
        self.assertRaises(SSL.Error, server.do_handshake)

    def test_clients_do_not_renegotiate(self) -> None:
        """
        It costs us more than them, and nobody needs it.
        """
        done = Handshake(self.tls, self.context(SSL.TLS1_2_VERSION)).shake()
        done.client.renegotiate()
        with contextlib.suppress(SSL.Error):
            done.client.do_handshake()
            done.pump()
        self.assertEqual(done.server.total_renegotiations(), 0)

    def test_sessions_are_resumed(self) -> None:
        """
        A handshake that is spared is half a millisecond.
        """
        self.assertTrue(_resumes(self.tls, self.context(SSL.TLS1_2_VERSION)))

    def test_channel_bindings_agree(self) -> None:
        """
        Both ends export the same (RFC 9266); the end point is the certificate's hash (RFC 5929).
        """
        done = Handshake(self.tls, client_context(self.ca)).shake()
        bindings = channel_bindings(done.server)
        exported = bytes(done.client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""))
        self.assertEqual(bindings["tls-exporter"], exported)
        self.assertEqual(len(bindings["tls-server-end-point"]), 32)


class NameTests(CertificateCase):
    """
    Which certificate a client sees.
    """

    def setUp(self) -> None:
        super().setUp()
        self.other = write_pair(self.folder, "other", self.ca, "mail.example.net", "*.example.com")
        self.third = write_pair(self.folder, "third", self.ca, "mail.example.net", "mx.example.com")
        self.tls = server_tls(self.clock, self.pair, self.other, self.third)
        self.tls.load()

    def seen(self, name: str) -> int:
        """
        Tell the serial number of the certificate for a name.
        """
        return Handshake(self.tls, client_context(None), name).shake().serial

    def test_the_name_that_is_asked_for_decides(self) -> None:
        """
        Whatever its case; an exact name before a wildcard, the first of two before the second.
        """
        self.assertEqual(self.seen("mx.example.org"), serial_of(self.pair))
        self.assertEqual(self.seen("mail.example.net"), serial_of(self.other))
        self.assertEqual(self.seen("MAIL.Example.NET"), serial_of(self.other))
        self.assertEqual(self.seen("any.example.com"), serial_of(self.other))
        self.assertEqual(self.seen("mx.example.com"), serial_of(self.third))

    def test_others_get_the_first_certificate(self) -> None:
        """
        A client without a name, with an unknown one, or with one that a wildcard does not reach.
        """
        for name in ("", "elsewhere.example", "example.com", "a.b.example.com", "x" * 200, "\xff\x01"):
            self.assertEqual(self.seen(name), serial_of(self.pair), name)


class ClientCertificateTests(CertificateCase):
    """
    Certificates of clients.
    """

    def setUp(self) -> None:
        super().setUp()
        authority = self.folder / "clients.pem"
        authority.write_bytes(self.ca.cert_pem.bytes())
        self.tls = server_tls(self.clock, self.pair, client_ca=str(authority))
        self.tls.load()

    def test_a_verified_client_is_named(self) -> None:
        """
        By its certificate's subject, whose control characters no log has to bear.
        """
        own = self.ca.issue_cert("client.example", common_name="client.example", organization_name="A\nB, C")
        subject = described(Handshake(self.tls, client_context(self.ca, own)).shake().server)[2]
        self.assertIn("CN=client.example", subject)
        self.assertIn("O=A\\0AB\\, C", subject)

    def test_a_client_may_go_without(self) -> None:
        """
        It just has no subject.
        """
        self.assertEqual(described(Handshake(self.tls, client_context(self.ca)).shake().server)[2], "")

    def test_a_strangers_certificate_ends_the_handshake(self) -> None:
        """
        Under either version of TLS; so does an expired one.
        """
        expired = self.ca.issue_cert("client.example", not_before=LONG_AGO, not_after=LONG_AGO)
        for own in (trustme.CA().issue_cert("client.example"), expired):
            for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
                self.assertRaises(SSL.Error, Handshake(self.tls, self.context(version, own)).shake)

    def test_nothing_is_resumed(self) -> None:
        """
        A resumed session would not be verified again.
        """
        own = self.ca.issue_cert("client.example")
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            self.assertFalse(_resumes(self.tls, self.context(version, own)))

    def test_without_an_authority_no_certificate_is_asked_for(self) -> None:
        """
        And none is believed.
        """
        tls = server_tls(self.clock, self.pair)
        tls.load()
        own = trustme.CA().issue_cert("client.example")
        self.assertEqual(described(Handshake(tls, client_context(self.ca, own)).shake().server)[2], "")


def _resumes(tls: ServerTls, context: SSL.Context) -> bool:
    """
    Tell whether a session is resumed, which pyOpenSSL does not.
    """
    first = Handshake(tls, context).shake()
    session = first.client.get_session()
    for connection in (first.client, first.server):
        connection.shutdown()  # what ends without is not resumed anyhow
    again = Handshake(tls, context)
    if session is not None:
        again.client.set_session(session)
    again.shake()
    return bool(lib.SSL_session_reused(again.client._ssl))


class ReloadTests(CertificateCase):
    """
    Certificates that change while we run.
    """

    def setUp(self) -> None:
        super().setUp()
        self.tls = server_tls(self.clock, self.pair)
        self.tls.load()
        self.first = serial_of(self.pair)

    def seen(self) -> int:
        """
        Tell the serial number that a new client sees.
        """
        return Handshake(self.tls, client_context(None)).shake().serial

    def errors(self, looks: int = 2) -> list[str]:
        """
        Let clients come, who all see the first certificate; tell what is logged as an error meanwhile.
        """
        with capturedLogs() as events:
            for _ in range(looks):
                self.clock.advance(2)
                self.assertEqual(self.seen(), self.first)
        return [formatEvent(event) for event in events if event["log_level"] is LogLevel.error]

    def test_a_renewed_certificate_is_served_to_new_clients(self) -> None:
        """
        Without a restart, after a second at the latest; handshakes under way go on with the old one.
        """
        under_way = Handshake(self.tls, client_context(self.ca))
        write_pair(self.folder, "mx", self.ca, "mx.example.org")
        self.assertEqual(self.seen(), self.first)
        self.clock.advance(1)
        self.assertEqual(self.seen(), serial_of(self.pair))
        self.assertEqual(under_way.shake().serial, self.first)

    def test_a_certificate_without_its_key_is_not_used(self) -> None:
        """
        The old one stays, one line says why, and once the key is there the new one is used.
        """
        new = write_pair(self.folder, "new", self.ca, "mx.example.org")
        shutil.copyfile(new.certificate, self.pair.certificate)
        (error,) = self.errors(looks=3)
        self.assertIn("smtp.listeners[0].private_key", error)
        self.assertIn("not the key of the first certificate", error)
        shutil.copyfile(new.private_key, self.pair.private_key)
        self.clock.advance(2)
        self.assertEqual(self.seen(), serial_of(new))

    def test_files_that_vanish_or_break_change_nothing(self) -> None:
        """
        One error line for each change.
        """
        os.unlink(self.pair.certificate)
        self.assertEqual(len(self.errors()), 1)
        Path(self.pair.certificate).write_text("garbage")
        self.assertEqual(len(self.errors()), 1)
        Path(self.pair.certificate).write_bytes(b"x" * 2_000_000)
        self.assertEqual(len(self.errors()), 1)
        self.assertEqual(self.errors(), [])

    def test_all_files_of_a_listener_are_looked_at(self) -> None:
        """
        Those of its further certificates as well.
        """
        other = write_pair(self.folder, "other", self.ca, "other.example")
        tls = server_tls(self.clock, self.pair, other)
        tls.load()
        write_pair(self.folder, "other", self.ca, "other.example")
        self.clock.advance(1)
        self.assertEqual(Handshake(tls, client_context(None), "other.example").shake().serial, serial_of(other))

    def test_a_key_that_only_root_may_read(self) -> None:
        """
        It keeps serving while it stays the same; a new one is missed, and the line says as whom.
        """
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        self.pair = write_pair(folder, "mx", self.ca, "mx.example.org")
        os.chmod(self.pair.private_key, 0o600)
        self.tls = server_tls(self.clock, self.pair)
        self.tls.load()
        self.first = serial_of(self.pair)
        with Path(self.pair.certificate).open("ab") as certificate:
            certificate.write(b"# a renewal with the same key\n")
        with _as_nobody():
            self.assertEqual(self.errors(), [])
        write_pair(folder, "mx", self.ca, "mx.example.org")
        os.chmod(self.pair.private_key, 0o600)
        with _as_nobody():
            (error,) = self.errors()
        self.assertIn(f"Permission denied for user id {NOBODY}", error)
        self.assertIn("stay in use", error)


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class LoadTests(CertificateCase):
    """
    What keeps a listener from starting.
    """

    def problem(self, pair: KeyPair, *others: KeyPair, client_ca: str = "") -> str:
        """
        Tell why TLS cannot be had, in one line.
        """
        with self.assertRaises(ConfigError) as caught:
            server_tls(self.clock, pair, *others, client_ca=client_ca).load()
        (line,) = caught.exception.problems
        self.assertNotIn("\n", line)
        return str(line)

    def file(self, content: bytes) -> File:
        """
        Write a file.
        """
        path = self.folder / f"file{len(list(self.folder.iterdir()))}"
        path.write_bytes(content)
        return File(str(path))

    def test_what_is_missing_is_named(self) -> None:
        """
        The key in the configuration, the file, and what is wrong with it.
        """
        missing = File(str(self.folder / "missing.pem"))
        self.assertEqual(
            self.problem(KeyPair(missing, self.pair.private_key)),
            f'smtp.listeners[0].certificate: found "{missing}": No such file or directory',
        )
        self.assertIn("private_key", self.problem(KeyPair(self.pair.certificate, missing)))
        self.assertIn("certificates[0].certificate", self.problem(self.pair, KeyPair(missing, missing)))
        self.assertIn("client_ca", self.problem(self.pair, client_ca=missing))
        self.assertIn("Is a directory", self.problem(KeyPair(File(str(self.folder)), missing)))
        os.mkfifo(self.folder / "pipe")
        self.assertIn("not a regular file", self.problem(KeyPair(File(str(self.folder / "pipe")), missing)))

    def test_what_is_no_certificate_or_key_is_refused(self) -> None:
        """
        Garbage, a key for a certificate, a certificate for a key, an encrypted key.
        """
        garbage = self.file(b"garbage")
        key = load_pem_private_key(Path(self.pair.private_key).read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        broken = self.file(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        for wrong in (
            KeyPair(garbage, self.pair.private_key),
            KeyPair(self.pair.private_key, self.pair.private_key),
            KeyPair(self.pair.certificate, garbage),
            KeyPair(self.pair.certificate, broken),
            KeyPair(self.pair.certificate, self.pair.certificate),
        ):
            self.assertIn("in PEM that can be read", self.problem(wrong))
        self.assertIn("password", self.problem(KeyPair(self.pair.certificate, self.file(locked))))

    def test_a_key_is_that_of_its_certificate(self) -> None:
        """
        Also where both are of different kinds.
        """
        for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)):
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            said = self.problem(KeyPair(self.pair.certificate, self.file(pem)))
            self.assertIn("not the key of the first certificate", said)

    def test_a_key_too_short_for_openssl_is_refused(self) -> None:
        """
        With OpenSSL's own words.
        """
        key = rsa.generate_private_key(65537, 1024)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example.org")])
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(1).not_valid_before(LONG_AGO).not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        certificate = self.file(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
        pem = self.file(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.assertIn(f'certificate: found "{certificate}": OpenSSL', self.problem(KeyPair(certificate, pem)))

    def test_a_certificate_out_of_its_time_is_a_warning(self) -> None:
        """
        Some clients do not look; mail must not stop for it.
        """
        for years, said in ((CENTURY * 200, "expired on"), (-30 * 365 * 86400.0, "not valid before")):
            clock = Clock()
            clock.advance(self.clock.seconds() + years)
            with capturedLogs() as events:
                tls = server_tls(clock, self.pair)
                tls.load()
            self.assertIn(said, " ".join(map(formatEvent, events)))
            self.assertTrue(Handshake(tls, client_context(None)).shake().serial)
