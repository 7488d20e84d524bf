"""
TLS handshakes in memory: a server with a certificate of any kind, and what a client makes of it.
"""

from __future__ import annotations

import datetime
from hashlib import sha256, sha512
from typing import Any

import attrs
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import trustRootFromCertificates

from empath.deliver.contexts import TlsContexts
from empath.deliver.handshake import Handshake
from empath.mail.answer import TlsaRecord
from empath.net.tls_files import Identity

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen
class Shown:
    """
    What a server shows: its certificate first.
    """

    chain: tuple[x509.Certificate, ...]
    key: Any

    def context(self) -> SSL.Context:
        """
        Make the server's context, which takes any certificate of the client's.
        """
        context: Any = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(self.chain[0])
        for certificate in self.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self.key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return context  # type: ignore[no-any-return]

    def pyopenssl(self) -> list[crypto.X509]:
        """
        Give the chain as a connection tells it.
        """
        return [crypto.X509.from_cryptography(certificate) for certificate in self.chain]


class Authority:
    """
    A private CA.
    """

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.root = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())

    def trust_root(self) -> Any:
        """
        Trust it, and nobody else.
        """
        return trustRootFromCertificates([TwistedCertificate.loadPEM(self.ca.cert_pem.bytes())])

    def issue(self, *names: str, ca: trustme.CA | None = None, root: bool = False, **more: Any) -> Shown:
        """
        Issue a certificate; with `root` the server shows the root, too.
        """
        made = (ca or self.ca).issue_cert(*names, **more)
        chain = [x509.load_pem_x509_certificate(pem.bytes()) for pem in made.cert_chain_pems]
        identity = SSL.Context(SSL.TLS_SERVER_METHOD)
        made.configure_cert(identity)
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, made.private_key_pem.bytes()).to_cryptography_key()
        return Shown((*chain, self.root) if root else tuple(chain), key)


def self_made(name: str, key: Any = None, **more: Any) -> Shown:
    """
    Make a self-signed certificate; `ended`, `client_only` and `digest` may differ from the usual.
    """
    private = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(PAST)
        .not_valid_after(PAST + datetime.timedelta(days=1) if more.get("ended") else datetime.datetime(2100, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if more.get("client_only"):
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(use, critical=False)
    return Shown((builder.sign(private, more.get("digest", hashes.SHA256())),), private)


def oddly_named(san: bytes | None) -> Shown:
    """
    Make a self-signed certificate whose alternative names are this DER, or are not there.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.org")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(PAST)
        .not_valid_after(datetime.datetime(2100, 1, 1))
    )
    if san is not None:
        odd = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, san)
        builder = builder.add_extension(odd, critical=False)
    return Shown((builder.sign(key, hashes.SHA256()),), key)


ODD_NAMES: tuple[bytes | None, ...] = (
    None,
    b"\x30\x00",  # no name in it
    b"\x30\x12\xa3\x00\x82\x0emx.example.org",  # beside an X.400 address
    b"\x30\x15\x87\x03123\x82\x0emx.example.org",  # beside an IP address of three octets
    b"\x30\x19\x82\x17mx.example.org\x00.evil.com",
    b"\x30\x15\x82\x13evil\x00mx.example.org",
    b"\x30\x03\x82\x01*",
    b"\x30\x0f\x82\x0dm*.example.org",
)


def spki(certificate: x509.Certificate) -> bytes:
    """
    Give a certificate's key as TLSA records mean it.
    """
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def tlsa(certificate: x509.Certificate, usage: int = 3, selector: int = 1, matching: int = 1) -> TlsaRecord:
    """
    Make the record that means a certificate.
    """
    chosen = spki(certificate) if selector else certificate.public_bytes(Encoding.DER)
    digests = {0: chosen, 1: sha256(chosen).digest(), 2: sha512(chosen).digest()}
    return TlsaRecord(usage, selector, matching, digests[matching])


def contexts(trust_root: Any = None, **identities: Identity) -> TlsContexts:
    """
    Make contexts, with certificates of ours by name.
    """
    return TlsContexts(identities.get, trust_root)


@attrs.define
class Shaken:
    """
    How a handshake ended: `error` is OpenSSL's on the client's side, `names` what the server was told.
    """

    client: SSL.Connection
    server: SSL.Connection
    error: Exception | None = None
    server_error: Exception | None = None

    @property
    def name(self) -> bytes | None:
        """
        The server name that was sent.
        """
        return self.server.get_servername()


def shake(handshake: Handshake, context: SSL.Context) -> Shaken:
    """
    Let both sides talk until each is done or has failed, and the client has what the server says afterwards.
    """
    told = Shaken(handshake.clientConnectionForTLS(None), SSL.Connection(context, None))
    told.client.set_connect_state()
    told.server.set_accept_state()
    for _ in range(10):
        for side, other in ((told.client, told.server), (told.server, told.client)):
            try:
                side.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as trouble:
                if side is told.client:
                    told.error = told.error or trouble
                else:
                    told.server_error = told.server_error or trouble
            _carry(side, other)
    return told


def _carry(side: SSL.Connection, other: SSL.Connection) -> None:
    try:
        other.bio_write(side.bio_read(1 << 16))
    except SSL.WantReadError:
        return


def hear(told: Shaken) -> None:
    """
    Let the client take what came after the handshake (the tickets of TLS 1.3).
    """
    try:
        told.client.recv(1)
    except SSL.WantReadError:
        return
