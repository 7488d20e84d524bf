"""
Real TLS between a client and a server session, in memory.
"""

from __future__ import annotations

import os
from typing import Any

import attrs
import trustme
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from empath.config.schema import Listener, Smtp
from empath.config.units import File
from empath.receive.factory import SmtpFactory
from empath.receive.terms import terms_of
from empath.receive.tls import ServerTls
from tests.receive.support import HOSTNAME, Client, Transport, World


class Wire:
    """
    What lies under TLS: the transport as it was before.
    """

    disconnecting = False

    def __init__(self, transport: TlsTransport) -> None:
        self.transport = transport

    def write(self, data: bytes) -> None:
        """
        Put ciphertext on the wire.
        """
        self.transport.plain_write(data)

    def loseConnection(self) -> None:
        """
        Close.
        """
        self.transport.plain_close()

    def abortConnection(self) -> None:
        """
        Cut.
        """
        self.transport.aborted = True
        self.transport.plain_close()

    def unregisterProducer(self) -> None:
        """
        Nothing is produced here.
        """


class TlsTransport(Transport):
    """
    A transport that can begin TLS, as Twisted's own does it.
    """

    tls: TLSMemoryBIOProtocol | None = None
    session: Any = None

    def startTLS(self, creator: Any) -> None:
        """
        Put TLS between the session and the wire.
        """
        nobody: Any = None  # the session is there already
        factory = TLSMemoryBIOFactory(creator, False, nobody)
        self.tls = TLSMemoryBIOProtocol(factory, self.session, False)
        self.tls.makeConnection(Wire(self))

    def getHandle(self) -> object:
        """
        Tell what encrypts.
        """
        return None if self.tls is None else self.tls.getHandle()

    def write(self, data: bytes) -> None:
        """
        Send, through TLS if there is any.
        """
        if self.tls is None:
            super().write(data)
        else:
            self.tls.write(data)

    def plain_write(self, data: bytes) -> None:
        """
        Send below TLS.
        """
        super().write(data)

    def loseConnection(self) -> None:
        """
        Close, through TLS if there is any.
        """
        if self.tls is None:
            super().loseConnection()
        else:
            self.tls.loseConnection()

    def plain_close(self) -> None:
        """
        Close below TLS.
        """
        super().loseConnection()

    @property
    def receiver(self) -> Any:
        """
        Who gets what comes from the wire.
        """
        return self.tls or self.session


class TlsClient(Client):
    """
    A client that can begin TLS.
    """

    transport: TlsTransport

    def __init__(self, factory: SmtpFactory, host: str) -> None:
        self.transport = TlsTransport()
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", host, 4321))
        self.protocol = self.transport.session = protocol
        self.tls: SSL.Connection | None = None
        protocol.makeConnection(self.transport)

    def begin(self, context: SSL.Context | None = None) -> bytes:
        """
        Shake hands, tell what was said first.
        """
        self.tls = SSL.Connection(context or SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        return self.exchange()

    def exchange(self) -> bytes:
        """
        Carry bytes to and fro until nobody has any; tell what the server said.
        """
        tls = self.tls
        assert tls is not None
        said = b""
        for _ in range(10000):
            cipher = self.heard()
            if cipher:
                tls.bio_write(cipher)
            said += self.read()
            sent = self.pending()
            if sent:
                self.transport.receiver.dataReceived(sent)
            elif not self.transport.value():
                return said
        raise AssertionError("neither side comes to an end")

    def read(self) -> bytes:
        """
        Take what the server said out of TLS.
        """
        assert self.tls is not None
        try:
            return self.tls.recv(65536)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return b""

    def pending(self) -> bytes:
        """
        Tell what TLS wants to send.
        """
        assert self.tls is not None
        try:
            return self.tls.bio_read(65536)
        except SSL.WantReadError:
            return b""

    def say(self, data: bytes) -> bytes:
        """
        Send bytes, through TLS if there is any; tell the replies that come at once.
        """
        if self.tls is None:
            return super().say(data)
        self.tls.send(data)
        return self.exchange()

    def lose(self) -> None:
        """
        Go away, without any close_notify.
        """
        super().lose() if self.transport.tls is None else self.end(ConnectionDone())

    def end(self, why: Exception) -> None:
        """
        End the connection under TLS.
        """
        self.transport.receiver.connectionLost(Failure(why))


class TlsWorld(World):
    """
    A listener with a certificate.
    """

    def __init__(self, case: Any, smtp: Smtp | None = None, listener: Listener | None = None, *names: str) -> None:
        self.authority = trustme.CA()
        folder = os.path.abspath(case.mktemp())
        os.mkdir(folder)
        issued = self.authority.issue_cert(HOSTNAME)
        chain, key = os.path.join(folder, "chain.pem"), os.path.join(folder, "key.pem")
        self.authorities = os.path.join(folder, "ca.pem")
        issued.cert_chain_pems[0].write_to_path(chain)
        issued.private_key_pem.write_to_path(key)
        self.authority.cert_pem.write_to_path(self.authorities)
        listener = attrs.evolve(listener or Listener(tls="starttls"), certificate=File(chain), private_key=File(key))
        super().__init__(smtp, listener, names or ("PLAIN", "LOGIN"))
        self.serve(listener, smtp or Smtp())

    def serve(self, listener: Listener, smtp: Smtp) -> None:
        """
        Serve a listener with its certificate.
        """
        self.listener = listener
        tls = ServerTls(listener, "smtp.listeners[0]", self.clock)
        tls.load()
        self.factory.terms = terms_of(listener, smtp, HOSTNAME, tls)

    def connect(self, host: str = "192.0.2.7") -> TlsClient:
        """
        Connect a client.
        """
        return TlsClient(self.factory, host)

    def secured(self, host: str = "192.0.2.7") -> TlsClient:
        """
        Connect a client and bring it to where it may say EHLO under TLS.
        """
        client = self.connect(host)
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.begin()
        return client
