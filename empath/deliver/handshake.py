"""
One TLS handshake with a server: the name that it is told, and what is made of its certificate.

Told as a `Rejection`: a certificate that is not what was demanded. It ends the session only where one was demanded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from empath.deliver.certificates import Rejection, address_in, misnamed, rejected, vouched
from empath.policy.tls import Asker, Demand, Policy

if TYPE_CHECKING:
    from twisted.python.failure import Failure


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """
    Begins TLS with one server. `rejection` is what is wrong with its certificate, as far as that was looked at.
    """

    __slots__ = ("_context", "_demand", "_server_name", "_session", "rejection")

    def __init__(self, context: SSL.Context, demand: Demand, host: str) -> None:
        self._context = context
        self._demand = demand
        self._server_name = demand.names[0] if demand.policy is Policy.DANE else host  # RFC 7672 §8.1
        self._session: SSL.Session | None = None
        self.rejection: Rejection | None = None

    @property
    def resumable(self) -> bool:
        """
        Whether a session may be resumed: not where a certificate is looked at for a report only, as none is shown then.
        """
        return self._demand.judged or not self._demand.names

    def resume(self, session: SSL.Session, context: SSL.Context) -> bool:
        """
        Offer to resume a session that met the same demand, if it was made in the same context; tells whether.
        """
        offered = context is self._context and self.resumable
        if offered:
            self._session = session
        return offered

    @property
    def security(self) -> str:
        """
        What vouches for the server once the handshake is over (`Attempt.security`).
        """
        demand = self._demand
        if demand.policy is Policy.DANE:
            return "dane"
        if demand.policy is not Policy.VERIFIED:
            return "encrypted"
        return "mta-sts" if demand.asker is Asker.MTA_STS else "verified"

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803 Twisted names it
        """
        Make the connection; an IP address is no server name (RFC 6066 §3).
        """
        connection = SSL.Connection(self._context, None)
        if address_in(self._server_name) is None:
            connection.set_tlsext_host_name(self._server_name.encode("ascii", "ignore"))
        if looks(self._demand):
            connection.set_verify(SSL.VERIFY_PEER, self._look)
        if self._session is not None:
            connection.set_session(self._session)
        return connection

    def judge(self, connection: SSL.Connection) -> Rejection | None:
        """
        Tell, after the handshake and before anything is said, why the session must end here; None: it may go on.
        """
        if self._demand.policy is Policy.DANE:
            self.rejection = vouched(self._demand, connection.get_peer_cert_chain() or [])
        return self.rejection if self._demand.judged else None

    def why_over(self, reason: Failure) -> str:
        """
        Say why a handshake failed that ended with the connection, which was lost for a `reason`.
        """
        return why_failed(reason) if self.rejection is None else self.rejection.reason

    def _look(self, _connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int) -> bool:
        """
        Take what OpenSSL says of each certificate of the chain, the server's own last; False ends the handshake.
        """
        if self.rejection is None:
            if not good:
                self.rejection = rejected(error)
            elif depth == 0:
                self.rejection = misnamed(certificate, self._demand.names)
        return self.rejection is None or not self._demand.judged


def looks(demand: Demand) -> bool:
    """
    Tell whether a certificate is held against the trusted roots and the host's names.
    """
    return demand.policy is Policy.VERIFIED or (bool(demand.names) and demand.policy is not Policy.DANE)


def why_failed(reason: Failure) -> str:
    """
    Say why a handshake failed, in words for the log and the sender.
    """
    fault = reason.value
    if isinstance(fault, SSL.Error) and fault.args and isinstance(fault.args[0], (list, tuple)) and fault.args[0]:
        return str(fault.args[0][-1][-1])
    return "connection lost"
