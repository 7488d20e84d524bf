"""
Certificates on disk, and handshakes in memory.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import trustme
from cryptography import x509
from OpenSSL import SSL
from twisted.internet.task import Clock

from empath.config.schema import KeyPair, Listener
from empath.config.units import File
from empath.receive.tls import ServerTls


def write_pair(folder: Path, name: str, ca: trustme.CA, *names: str) -> KeyPair:
    """
    Issue a certificate for `names` and write it and its key into `folder`.
    """
    issued = ca.issue_cert(*names)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return KeyPair(File(str(certificate)), File(str(key)))


def server_tls(clock: Clock, *pairs: KeyPair, client_ca: str = "") -> ServerTls:
    """
    Make the TLS of a listener that has these certificates, the first as its default.
    """
    listener = Listener(
        tls="implicit",
        certificate=pairs[0].certificate,
        private_key=pairs[0].private_key,
        certificates=pairs[1:],
        client_ca=File(client_ca),
    )
    return ServerTls(listener, "smtp.listeners[0]", clock)


def client_context(ca: trustme.CA | None, own: trustme.LeafCert | None = None) -> SSL.Context:
    """
    Make a client's context that trusts `ca` (None: anyone), and shows `own`.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if ca is not None:
        ca.configure_trust(context)
        context.set_verify(SSL.VERIFY_PEER)
    if own is not None:
        own.configure_cert(context)
    return context


class Handshake:
    """
    A handshake between a client and a server; SSL.Error from `shake` if it fails.
    """

    def __init__(self, tls: ServerTls, context: SSL.Context, name: str = "") -> None:
        self.server = tls.serverConnectionForTLS(None)  # type: ignore[arg-type]  # it needs no protocol
        self.server.set_accept_state()
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        if name:
            self.client.set_tlsext_host_name(name.encode("latin-1"))

    def shake(self) -> Handshake:
        """
        Let both talk to the end.
        """
        for _ in range(3):
            for one in (self.client, self.server):
                with contextlib.suppress(SSL.WantReadError):
                    one.do_handshake()
                self.pump()
        for one in (self.client, self.server):
            with contextlib.suppress(SSL.WantReadError):
                one.recv(1)  # what comes behind a handshake: tickets, and alerts
        return self

    def pump(self) -> None:
        """
        Carry what each has written to the other.
        """
        for one, other in ((self.client, self.server), (self.server, self.client)):
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))

    @property
    def serial(self) -> int:
        """
        The serial number of the certificate that the client saw.
        """
        certificate = self.client.get_peer_certificate()
        assert certificate is not None
        return certificate.get_serial_number()


def serial_of(pair: KeyPair) -> int:
    """
    The serial number of a certificate on disk.
    """
    return x509.load_pem_x509_certificates(Path(pair.certificate).read_bytes())[0].serial_number
