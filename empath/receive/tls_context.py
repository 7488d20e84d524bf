"""
OpenSSL's contexts for a listener: TLS 1.2 and 1.3 as Mozilla's "intermediate" profile has them, and a certificate for
the name that the client asks for.

Fatal to whoever asked, as TlsUnusable: a certificate that OpenSSL does not take, such as one with a short key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from cryptography import x509
from OpenSSL import SSL, crypto

from empath.net.tls_files import Identity, TlsUnusable

CIPHERS: Final = (  # of TLS 1.2; those of TLS 1.3 are OpenSSL's own
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_NO_RENEGOTIATION: Final[int] = SSL.OP_NO_RENEGOTIATION
_SESSIONS: Final = b"empath"  # resumption is within one context: its ticket keys are its own


@attrs.frozen(slots=True, eq=False)
class Contexts:
    """
    A listener's contexts: `default`, those for an exact name, and those for any one label before a name.
    """

    default: SSL.Context
    exact: dict[str, SSL.Context]
    below: dict[str, SSL.Context]

    def find(self, asked: bytes | None) -> SSL.Context:
        """
        Find the context for the server name that a client sent (RFC 6066 §3), the default for an unknown one.
        """
        name = (asked or b"").decode("ascii", "replace").lower().removesuffix(".")
        return self.exact.get(name) or self.below.get(name.partition(".")[2]) or self.default


def contexts(identities: Sequence[tuple[str, Identity]], authorities: Sequence[x509.Certificate]) -> Contexts:
    """
    Make the contexts of `identities`, each with its key in the configuration and its file; the first is the default.

    With `authorities`, clients are asked for a certificate; one that comes has to be valid, or there is no handshake.
    """
    made = [(_context(where, identity, authorities), identity) for where, identity in identities]
    found = Contexts(made[0][0], {}, {})
    for context, identity in made:
        for name in identity.names:
            if name.startswith("*."):
                found.below.setdefault(name.removeprefix("*."), context)
            else:
                found.exact.setdefault(name, context)
    if len(made) > 1:
        found.default.set_tlsext_servername_callback(
            lambda connection: connection.set_context(found.find(connection.get_servername()))
        )
    return found


def _context(where: str, identity: Identity, authorities: Sequence[x509.Certificate]) -> SSL.Context:
    """
    Make one context; TlsUnusable if OpenSSL does not take the certificate.
    """
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    context: Any = made  # the typing stubs are older than what it takes
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | _NO_RENEGOTIATION | SSL.OP_SINGLE_ECDH_USE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(CIPHERS)
    context.set_session_id(_SESSIONS)
    key, _, path = where.partition(" ")
    try:
        context.use_certificate(identity.chain[0])
        for certificate in identity.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(identity.key)
        context.check_privatekey()
    except (SSL.Error, TypeError) as trouble:
        raise TlsUnusable(key, path, f"OpenSSL does not take it: {_said(trouble)}") from trouble
    if authorities:
        _ask_clients(context, authorities)
    return made


def _ask_clients(context: Any, authorities: Sequence[x509.Certificate]) -> None:
    """
    Ask clients for certificates. Nothing is resumed then: a resumed session would not be verified again.
    """
    context.set_verify(SSL.VERIFY_PEER)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    store = context.get_cert_store()
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
        context.add_client_ca(authority)


def _said(trouble: Exception) -> str:
    """
    Say what OpenSSL said, without its library's and functions' names.
    """
    errors = trouble.args[0] if trouble.args and isinstance(trouble.args[0], list) else []
    return ", ".join(str(error[-1]) for error in errors) or type(trouble).__name__
