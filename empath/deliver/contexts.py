"""
TLS as a client: TLS 1.2 at least, the server's name in the handshake (SNI), a certificate that is judged or not.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.python.failure import Failure

_REMEMBERED: Final = 256


@implementer(IOpenSSLClientConnectionCreator)
class Unjudged:
    """
    Begins TLS whatever certificate the server shows (opportunistic and required policies).
    """

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803 Twisted names it
        """
        Make the connection; an IP address is no server name (RFC 6066 §3).
        """
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("ascii", "ignore"))
        return connection


class TlsContexts:
    """
    Gives what begins TLS to a host. `trust_root` is whom certificates are judged by, the system's roots by default.

    Reading the system's roots takes milliseconds, so what judges is remembered by host, up to a bound.
    """

    def __init__(self, trust_root: Any = None) -> None:
        self._trust_root = trust_root
        self._unjudged: SSL.Context | None = None
        self._judging: OrderedDict[str, IOpenSSLClientConnectionCreator] = OrderedDict()

    def unjudged(self, host: str) -> IOpenSSLClientConnectionCreator:
        """
        Begin TLS with whoever answers as `host`.
        """
        if self._unjudged is None:
            options = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
            self._unjudged = options.getContext()
        return Unjudged(self._unjudged, host)

    def verified(self, host: str) -> IOpenSSLClientConnectionCreator:
        """
        Begin TLS only with the certified `host`.
        """
        known = self._judging.get(host)
        if known is None:
            known = self._judging[host] = optionsForClientTLS(
                host,
                trustRoot=self._trust_root,
                extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
            )
            if len(self._judging) > _REMEMBERED:
                self._judging.popitem(last=False)
        else:
            self._judging.move_to_end(host)
        return known


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def why_failed(reason: Failure) -> str:
    """
    Say why a handshake failed, in words for the log and the sender.
    """
    fault = reason.value
    if isinstance(fault, VerificationError):
        return "the certificate is not for this host"
    if isinstance(fault, SSL.Error) and fault.args and isinstance(fault.args[0], (list, tuple)) and fault.args[0]:
        return str(fault.args[0][-1][-1])
    return "connection lost"
