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
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

_BEGINS = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_ENDS = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen(slots=True)
class Certified:
    """
    A certificate and its key in PEM.
    """

    certificate: bytes
    key: bytes = attrs.field(repr=False)

    def options(self) -> CertificateOptions:
        """
        Make what a Twisted server is given.
        """
        return CertificateOptions(
            privateKey=crypto.load_privatekey(crypto.FILETYPE_PEM, self.key),
            certificate=crypto.load_certificate(crypto.FILETYPE_PEM, self.certificate),
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        """
        Write both into a folder; tells the paths that `certificate` and `private_key` of a listener name.
        """
        chain, key = folder / "certificate.pem", folder / "key.pem"
        chain.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return chain, key


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
    return CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
