"""
Channel binding: what ties a login to the TLS connection that carries it (RFC 5056), so that nobody can stand between.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm
from cryptography.x509 import Certificate
from OpenSSL.SSL import Connection

_LABEL = b"EXPORTER-Channel-Binding"


def channel_bindings(connection: Connection) -> dict[str, bytes]:
    """
    Give the data of each channel binding that a server's TLS connection, its handshake done, has; by its name.

    Under TLS 1.2 there are none: tls-exporter is safe there with an extended master secret only, which OpenSSL's Python
    binding does not tell (RFC 9266 §3), and a client would expect tls-unique.
    """
    if connection.get_protocol_version_name() != "TLSv1.3":
        return {}
    bindings = {"tls-exporter": bytes(connection.export_keying_material(_LABEL, 32, b""))}
    certificate = connection.get_certificate()
    if certificate is not None and (end_point := _end_point(certificate.to_cryptography())) is not None:
        bindings["tls-server-end-point"] = end_point
    return bindings


def _end_point(certificate: Certificate) -> bytes | None:
    """
    Hash a certificate as RFC 5929 §4.1 asks: with its signature's hash, SHA-256 for weak ones; None where it has none.
    """
    algorithm = certificate.signature_hash_algorithm
    return None if algorithm is None else certificate.fingerprint(_strong(algorithm))


def _strong(algorithm: HashAlgorithm) -> HashAlgorithm:
    """
    Replace MD5 and SHA-1.
    """
    return SHA256() if isinstance(algorithm, MD5 | SHA1) else algorithm
