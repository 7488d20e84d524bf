"""
Channel binding of TLS connections.
"""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import CertificateBuilder, Name, random_serial_number
from OpenSSL.SSL import TLS1_2_VERSION, TLS_METHOD, TLS_SERVER_METHOD, Connection, Context, WantReadError
from scramp.core import CBindData  # type: ignore[import-untyped]  # no annotations
from twisted.trial.unittest import SynchronousTestCase

from empath.net.binding import channel_bindings

LABEL = b"EXPORTER-Channel-Binding"
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


def carry(here: Connection, there: Connection) -> None:
    """
    Do one end's next step, and bring what it says to the other.
    """
    with contextlib.suppress(WantReadError):
        here.do_handshake()
    with contextlib.suppress(WantReadError):
        there.bio_write(here.bio_read(65536))


def connect(at_server: Context) -> tuple[Connection, Connection]:
    """
    Shake hands; gives server and client.
    """
    server, client = Connection(at_server, None), Connection(Context(TLS_METHOD), None)
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(3):
        carry(client, server)
        carry(server, client)
    return server, client


class BindingTests(SynchronousTestCase):
    """
    A server's connection, its client in the same process.
    """

    def setUp(self) -> None:
        self.issued = trustme.CA().issue_cert("mx.example.org")
        self.context = Context(TLS_SERVER_METHOD)
        self.issued.configure_cert(self.context)

    def test_exporter(self) -> None:
        """
        Both ends of a TLS 1.3 connection derive the same (RFC 9266), each connection something else.
        """
        server, client = connect(self.context)
        found = channel_bindings(server)["tls-exporter"]
        self.assertEqual(found, client.export_keying_material(LABEL, 32, b""))
        self.assertEqual(len(found), 32)
        self.assertNotEqual(found, channel_bindings(connect(self.context)[0])["tls-exporter"])

    def test_server_end_point(self) -> None:
        """
        The hash of our certificate, as another implementation makes it (RFC 5929 §4).
        """
        der = ssl.PEM_cert_to_DER_cert(self.issued.cert_chain_pems[0].bytes().decode())
        found = channel_bindings(connect(self.context)[0])["tls-server-end-point"]
        self.assertEqual(found, CBindData.from_der(der).data)

    def test_a_signature_without_a_hash(self) -> None:
        """
        An Ed25519 certificate has no end point that is defined.
        """
        key = Ed25519PrivateKey.generate()
        made = CertificateBuilder(Name([]), Name([]), key.public_key(), random_serial_number())
        lasting = made.not_valid_before(BEGINNING).not_valid_after(BEGINNING + timedelta(days=1))
        signed = lasting.sign(key, None)
        context = Context(TLS_SERVER_METHOD)
        context.use_certificate(signed)
        context.use_privatekey(key)
        self.assertEqual(list(channel_bindings(connect(context)[0])), ["tls-exporter"])

    def test_older_tls(self) -> None:
        """
        TLS 1.2 offers none.
        """
        self.context.set_max_proto_version(TLS1_2_VERSION)
        server, _ = connect(self.context)
        self.assertEqual(server.get_protocol_version_name(), "TLSv1.2")
        self.assertEqual(channel_bindings(server), {})
