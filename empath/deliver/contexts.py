"""
TLS as a client: TLS 1.2 at least, certificates judged or not, and a certificate of our own where a server asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust

from empath.deliver.handshake import Handshake, looks
from empath.net.tls_files import Identity
from empath.policy.tls import Demand

Find = Callable[[str], "Identity | None"]
"""
Give a certificate of ours by the name of its file.
"""


class TlsContexts:
    """
    Gives what begins TLS with a host. `trust_root` is whom certificates are judged by, by default the system's roots
    (or those of SSL_CERT_FILE), which are read once, when they are first needed.
    """

    def __init__(self, find: Find, trust_root: Any = None) -> None:
        self._find = find
        self._trust_root = trust_root
        self._contexts: dict[tuple[bool, str], tuple[Identity | None, SSL.Context]] = {}

    def handshake(self, demand: Demand, host: str, identity: str = "") -> Handshake:
        """
        Begin TLS with whoever answers as `host`, with a certificate of our own if `identity` names one.
        """
        return Handshake(self._context(looks(demand), identity), demand, host)

    def _context(self, judging: bool, identity: str) -> SSL.Context:
        shown = self._find(identity) if identity else None
        known = self._contexts.get((judging, identity))
        if known is None or known[0] is not shown:
            known = self._contexts[judging, identity] = shown, self._made(judging, shown)
        return known[1]

    def _made(self, judging: bool, shown: Identity | None) -> SSL.Context:
        least: Any = {"raiseMinimumTo": TLSVersion.TLSv1_2, "enableSessionTickets": True}  # see TlsSessions
        if judging:
            trust = platformTrust() if self._trust_root is None else self._trust_root
            context = CertificateOptions(trustRoot=trust, **least).getContext()
        else:
            context = CertificateOptions(verify=False, **least).getContext()
        if shown is not None:
            _show(context, shown)
        return context


def _show(context: Any, shown: Identity) -> None:
    context.use_certificate(shown.chain[0])
    for certificate in shown.chain[1:]:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(shown.key)
