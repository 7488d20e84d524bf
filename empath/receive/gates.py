"""
One listener each: where it is bound, what makes its sessions, and how both change while it runs.

Fatal, raised from `open`: whatever makes it impossible to listen, TLS that cannot be had, LMTP on port 25.
"""

from __future__ import annotations

import select
from typing import Any, Final

import attrs
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort

from empath.config.schema import Listener, Smtp
from empath.errors import ConfigError
from empath.net.tls_files import PemFiles
from empath.receive.factory import SmtpFactory
from empath.receive.ports import BACKLOG, arguments_of, listen, listens, stop
from empath.receive.proxy import ProxyFactory
from empath.receive.sessions import Sessions
from empath.receive.terms import Surroundings, Terms, members, nobody, terms_of
from empath.receive.tls import ServerTls

SMTP_PORT: Final = 25


@attrs.define(slots=True, eq=False)
class Gate:
    """
    One listener as it is now: `clients` makes its sessions, `strangers` those of whom a proxy cannot name. `path` is
    where it stands in the file. `port` is None while it is not bound.
    """

    listener: Listener
    path: str
    tls: ServerTls | None
    clients: SmtpFactory
    strangers: SmtpFactory
    factory: ProxyFactory
    port: IListeningPort | None = None
    accepting: bool = False

    def open(self, reactor: Any) -> None:
        """
        Bind it; clients wait until `accept`.
        """
        port = self.port = listen(reactor, self.listener.endpoint, self.factory)
        try:
            self._refuse_lmtp(port)
        except BaseException:
            self.close()
            raise
        _reading(port, False)

    @property
    def listening(self) -> bool:
        """
        Whether clients can connect.
        """
        return self.port is not None and listens(self.port)

    def accept(self) -> None:
        """
        Let in who waits, and who comes.
        """
        if self.port is not None and not self.accepting:
            self.accepting = True
            _reading(self.port, True)

    def close(self) -> Deferred[None]:
        """
        Listen no more; its sessions go on, and who has connected before this is let in.
        """
        port, self.port = self.port, None
        if port is None:
            return succeed(None)
        if self.accepting:
            _let_in(port)
        self.accepting = False
        return stop(port).addCallback(lambda _: None)

    def mend(self, reactor: Any) -> bool:
        """
        Bind it again, and let in who comes, if it was lost; tells whether it did. Raises what `open` does: then it is
        not bound. What is left of the old one is closed before, which takes until the next call.
        """
        if self.listening:
            return False
        port, self.port, self.accepting = self.port, None, False
        if port is not None and getattr(port, "connected", False):
            stop(port).addErrback(lambda failure: None)  # nobody can connect to it anyway
            return False
        self.open(reactor)
        self.accept()
        if not self.listening:
            raise OSError("clients cannot connect to what is left of it")
        return True

    def serve(self, listener: Listener, path: str, tls: ServerTls | None, smtp: Smtp, around: Surroundings) -> None:
        """
        Have new sessions go by these; the endpoint stays the one that it is bound to.
        """
        self.listener, self.path, self.tls = listener, path, tls
        terms = terms_of(listener, smtp, around.hostname, tls)
        self.clients.terms, self.clients.around = terms, around
        self.strangers.terms, self.strangers.around = _distrusting(terms), _without_trust(around)
        self.factory.listed = members(smtp.proxies)

    def _refuse_lmtp(self, port: IListeningPort) -> None:
        """
        Refuse LMTP on port 25, where only the bound socket tells (RFC 2033 §5).
        """
        if self.listener.kind == "lmtp" and getattr(port.getHost(), "port", None) == SMTP_PORT:
            found = f'{self.path}.endpoint: found "{self.listener.endpoint}", which is port 25'
            raise ConfigError([f'{found}; allowed: any other port with kind = "lmtp" (RFC 2033)'])


def make_gate(
    listener: Listener, path: str, smtp: Smtp, around: Surroundings, sessions: Sessions, files: PemFiles
) -> Gate:
    """
    Make what a section describes; nothing is read or bound yet. `files` are certificates that were read before.
    """
    tls = None if listener.tls == "none" else ServerTls(listener, path, around.clock, files)
    terms = terms_of(listener, smtp, around.hostname, tls)
    clients = SmtpFactory(terms, around, sessions)
    strangers = SmtpFactory(_distrusting(terms), _without_trust(around), sessions)
    factory = ProxyFactory(clients, strangers, members(smtp.proxies), sessions, around.clock)
    return Gate(listener, path, tls, clients, strangers, factory)


def place_of(endpoint: str) -> object:
    """
    Tell what two endpoints that cannot both be bound have in common: a port, or the path of a UNIX socket.
    """
    kind, arguments = arguments_of(endpoint)
    return arguments.get("port", endpoint) if kind in ("tcp", "tcp6") else arguments.get("address", endpoint)


def tls_keys(listener: Listener) -> tuple[object, ...]:
    """
    Give what a listener says of TLS.
    """
    return listener.tls, listener.certificate, listener.private_key, listener.certificates, listener.client_ca


def _distrusting(terms: Terms) -> Terms:
    """
    Give the terms of those who have no address of their own: nothing is theirs because of where they come from.
    """
    return attrs.evolve(terms, excluded=nobody, xclient=nobody)


def _without_trust(around: Surroundings) -> Surroundings:
    return attrs.evolve(around, trusts=nobody)


def _reading(port: IListeningPort, accepting: bool) -> None:
    """
    Have the reactor accept connections of a port, or leave them to the kernel's queue.
    """
    if isinstance(port, FileDescriptor):
        (port.startReading if accepting else port.stopReading)()  # type: ignore[no-untyped-call]  # Twisted's


def _let_in(port: IListeningPort) -> None:
    """
    Accept who has connected already: the kernel would cut them off when the port is closed.
    """
    if not isinstance(port, FileDescriptor):
        return
    ready = select.poll()
    ready.register(port.fileno(), select.POLLIN)  # type: ignore[no-untyped-call]  # Twisted's
    for _ in range(BACKLOG):
        if not ready.poll(0):
            return
        port.doRead()  # type: ignore[no-untyped-call]  # Twisted's
