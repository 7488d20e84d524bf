"""
Certificates for tests: made in a moment, and nobody vouches for them.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

_BEGINS = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_ENDS = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen(slots=True)
class Certified:
    """
    A certificate and its key in PEM.
    """

    certificate: bytes
    key: bytes = attrs.field(repr=False)

    def creator(self) -> ServerCreator:
        """
        Make what `startTLS` of a Twisted server is given.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(x509.load_pem_x509_certificate(self.certificate))
        key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        context.use_privatekey(key)
        return ServerCreator(context)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """
        Write both into a folder; tells the paths that `certificate` and `private_key` of a listener name.
        """
        chain, key = folder / "certificate.pem", folder / "key.pem"
        chain.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return chain, key


@implementer(IOpenSSLServerConnectionCreator)
@attrs.frozen
class ServerCreator:
    """
    Begins TLS as a server with a context.
    """

    context: SSL.Context

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803 Twisted names it
        """
        Make the connection.
        """
        return SSL.Connection(self.context, None)


def self_signed(*names: str) -> Certified:
    """
    Make a certificate for host names, valid until the year 2100, signed by its own key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), _BEGINS, _ENDS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certified(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def anyone() -> SSL.Context:
    """
    Make a client's context that takes any certificate.
    """
    return SSL.Context(SSL.TLS_CLIENT_METHOD)
