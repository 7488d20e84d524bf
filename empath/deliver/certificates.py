"""
Judging the certificates that servers show: by the names in them, and by TLSA records (RFC 6698, RFC 7672 §3).

Told as a `Rejection`: every certificate that falls short, those that cannot be read among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns

from empath.mail.answer import TlsaRecord
from empath.policy import mx
from empath.policy.tls import Demand
from empath.policy.tlsa import END_ENTITY, EXACT, TRUST_ANCHOR, WHOLE_CERTIFICATE, matches, public_key_of

_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED

_REASONS: Final[Mapping[int, str]] = {
    9: "the certificate is not valid yet",
    _EXPIRED: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate's root is not trusted",
    20: "the certificate's issuer is not known",
    21: "the certificate's issuer is not known",
}
_FOR_SERVERS: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)

Verifying = Callable[[x509.Certificate], None]


@attrs.frozen(slots=True)
class Rejection:
    """
    Why a certificate is not accepted: the type of failure in reports (RFC 8460 §4.3), and the reason in words.
    """

    result: str
    reason: str


NO_MATCH: Final = Rejection("tlsa-invalid", "the certificate is none that the host's TLSA records vouch for")
MISNAMED: Final = Rejection("certificate-host-mismatch", "the certificate is not for this host")
NOT_FOR_SERVERS: Final = Rejection("certificate-not-trusted", "the certificate is not for servers")


def rejected(error: int) -> Rejection:
    """
    Say what OpenSSL has against a certificate, by its number (X509_V_ERR_…).
    """
    reason = _REASONS.get(error, f"it cannot be verified (OpenSSL's error {error})")
    return Rejection("certificate-expired" if error == _EXPIRED else "certificate-not-trusted", reason)


def misnamed(certificate: crypto.X509, names: Iterable[str]) -> Rejection | None:
    """
    Tell whether a certificate has none of some names (RFC 9525), which may be IP addresses.
    """
    try:
        patterns = extract_patterns(certificate)
    except Exception:  # a server may show anything, and cryptography has many words for what it cannot read
        return MISNAMED
    for name in names:
        try:
            verify_service_identity(patterns, [_service(name)], [])
        except (VerificationError, CertificateError, ValueError):
            continue
        return None
    return MISNAMED


def vouched(demand: Demand, chain: Sequence[crypto.X509]) -> Rejection | None:
    """
    Hold a server's chain, its own certificate first, against TLSA records; None if one of them vouches for it.

    Where the record means the server's own certificate, neither names nor dates count (RFC 7672 §3.1.1).
    """
    if not chain:
        return NO_MATCH
    spelled = [_Spelled.of(certificate) for certificate in chain]
    if any(r.usage == END_ENTITY and spelled[0].fits(r) for r in demand.tlsa):
        return None
    rejection = NO_MATCH
    for record in demand.tlsa:
        if record.usage == TRUST_ANCHOR:
            for anchor in _anchors(record, spelled):
                found = _untrusted(anchor, chain) or misnamed(chain[0], demand.names)
                if found is None:
                    return None
                rejection = found
    return rejection


@attrs.frozen(slots=True)
class _Spelled:
    """
    A certificate with what TLSA records are held against.
    """

    certificate: crypto.X509
    whole: bytes
    public_key: bytes

    @classmethod
    def of(cls, certificate: crypto.X509) -> _Spelled:
        whole = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        return cls(certificate, whole, public_key_of(whole))

    def fits(self, record: TlsaRecord) -> bool:
        return matches(record, self.whole, self.public_key)


def _anchors(record: TlsaRecord, chain: Sequence[_Spelled]) -> Iterator[crypto.X509]:
    """
    Give the certificates that a record for a trust anchor makes trusted: issuers in the chain that it means; the one
    that it holds; and whatever in the chain was signed with the key that it holds (RFC 7671 §5.2).
    """
    for spelled in chain[1:]:
        if spelled.fits(record):
            yield spelled.certificate
    if record.matching != EXACT:
        return
    if record.selector == WHOLE_CERTIFICATE:
        try:
            yield crypto.load_certificate(crypto.FILETYPE_ASN1, record.association)
        except crypto.Error:
            return
    else:
        verify = _verifying(record.association)
        for spelled in chain:
            if _signed(spelled.certificate, verify):
                yield spelled.certificate


def _untrusted(anchor: crypto.X509, chain: Sequence[crypto.X509]) -> Rejection | None:
    """
    Tell why no path leads from the server's certificate to a trusted one.
    """
    store = crypto.X509Store()
    store.add_cert(anchor)
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    try:
        crypto.X509StoreContext(store, chain[0], chain[1:]).verify_certificate()
    except crypto.X509StoreContextError as trouble:
        return rejected(trouble.errors[0])
    return None if _serves(chain[0]) else NOT_FOR_SERVERS


def _serves(certificate: crypto.X509) -> bool:
    """
    Tell whether a certificate may be a server's (RFC 5280 §4.2.1.12).
    """
    try:
        found = certificate.to_cryptography().extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    except Exception:  # as above
        return False
    return any(use in found.value for use in _FOR_SERVERS)


def _verifying(key: bytes) -> Verifying | None:
    """
    Give what holds the signature on a certificate against a public key in DER, None for a key that we do not know.
    """
    try:
        loaded = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    match loaded:
        case rsa.RSAPublicKey():
            return partial(_by_rsa, loaded)
        case ec.EllipticCurvePublicKey():
            return partial(_by_curve, loaded)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return partial(_by_edwards, loaded)
        case _:
            return None


def _by_rsa(key: rsa.RSAPublicKey, signed: x509.Certificate) -> None:
    how, digest = signed.signature_algorithm_parameters, signed.signature_hash_algorithm
    if not isinstance(how, padding.AsymmetricPadding) or digest is None:
        raise InvalidSignature
    key.verify(signed.signature, signed.tbs_certificate_bytes, how, digest)


def _by_curve(key: ec.EllipticCurvePublicKey, signed: x509.Certificate) -> None:
    how = signed.signature_algorithm_parameters
    if not isinstance(how, ec.ECDSA):
        raise InvalidSignature
    key.verify(signed.signature, signed.tbs_certificate_bytes, how)


def _by_edwards(key: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey, signed: x509.Certificate) -> None:
    key.verify(signed.signature, signed.tbs_certificate_bytes)


def _signed(certificate: crypto.X509, verify: Verifying | None) -> bool:
    if verify is None:
        return False
    try:
        verify(certificate.to_cryptography())
    except Exception:  # InvalidSignature; or as above
        return False
    return True


def _service(name: str) -> DNS_ID | IPAddress_ID:
    address = address_in(name)
    return DNS_ID(name) if address is None else IPAddress_ID(address)


def address_in(host: str) -> str | None:
    """
    Give the IP address that a host goes by, which may be written as in "[192.0.2.1]"; None if it goes by its name.
    """
    literal = mx.read_literal(host)
    try:
        return str(ip_address(literal if isinstance(literal, str) else host))
    except ValueError:
        return None
