"""
Certificates on disk, and handshakes in memory.
"""

from __future__ import annotations

from pathlib import Path

import trustme
from OpenSSL import SSL
from twisted.internet.task import Clock

from empath.config.schema import KeyPair, Listener
from empath.config.units import File
from empath.receive.tls import ServerTls

ISSUED = 1795257600.0  # when the tests' clocks begin


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
            self.client.set_tlsext_host_name(name.encode())

    def shake(self) -> Handshake:
        """
        Let both talk to the end.
        """
        for _ in range(6):
            for one, other in ((self.client, self.server), (self.server, self.client)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                try:
                    other.bio_write(one.bio_read(65536))
                except SSL.WantReadError:
                    pass
        for one in (self.client, self.server):
            try:
                one.recv(1)
            except SSL.WantReadError:
                pass
        return self

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
    from cryptography import x509

    return x509.load_pem_x509_certificates(Path(pair.certificate).read_bytes())[0].serial_number
