"""
TLS with a host that has to prove its name: a certificate that the trusted roots vouch for, on that name (RFC 9525).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust
from zope.interface import implementer

from empath.policy.mx import read_address

_FAULTS: Final[Mapping[int, str]] = MappingProxyType(  # OpenSSL's X509_V_ERR_…
    {
        9: "the certificate is not yet valid",
        10: "the certificate has expired",
        18: "the certificate is signed by its own key",
        19: "the certificate's root is not trusted",
        20: "nobody who is trusted vouches for the certificate",
    }
)


class CertifiedHosts:
    """
    Gives what begins TLS with hosts by their names. `trust_root` is whom certificates are judged by, by default the
    system's roots (or those of SSL_CERT_FILE), which are read once, when they are first needed.

    Twisted's own `optionsForClientTLS` reads the roots anew for each host, and refuses host names such as
    "ab--c.example", which IDNA does not know and DNS does.
    """

    def __init__(self, trust_root: Any = None) -> None:
        self._trust_root = trust_root
        self._context: SSL.Context | None = None

    def host(self, name: str) -> CertifiedHost:
        """
        Give what begins TLS, once, only with the certified host of this ASCII name, or IP address.
        """
        if self._context is None:
            trust = platformTrust() if self._trust_root is None else self._trust_root
            self._context = CertificateOptions(trustRoot=trust, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        return CertifiedHost(self._context, name)


@implementer(IOpenSSLClientConnectionCreator)
class CertifiedHost:
    """
    One host, for one connection. `fault` says, once a handshake failed for it, why the certificate was refused.
    """

    def __init__(self, context: SSL.Context, name: str) -> None:
        self.fault = ""
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803 Twisted names it
        """
        Make the connection; the server is told the name (SNI), unless it is an address (RFC 6066 §3).
        """
        connection = SSL.Connection(self._context, None)
        if read_address(self._name) is None:
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._judge)
        return connection

    def _judge(self, _: SSL.Connection, certificate: X509, error: int, depth: int, good: int) -> bool:
        """
        Take what OpenSSL says of the chain, and look at the name in the server's own certificate.
        """
        if not good:
            self.fault = _FAULTS.get(error, f"the certificate was refused (OpenSSL's reason {error})")
            return False
        if depth == 0 and not _names(certificate, self._name):
            self.fault = "the certificate is for another name"
            return False
        return True


def _names(certificate: X509, host: str) -> bool:
    """
    Tell whether a certificate is for a host: by its DNS-IDs only, or by the IP-IDs where the host is an address.
    """
    wanted = DNS_ID(host) if read_address(host) is None else IPAddress_ID(host)
    try:
        patterns = extract_patterns(certificate)
    except Exception:  # a server may show anything, and cryptography has many words for what it cannot read
        return False
    try:
        verify_service_identity(patterns, [wanted], [])
    except (VerificationError, CertificateError, ValueError):
        return False
    return True
