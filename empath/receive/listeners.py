"""
Reception as a whole: the listening ports, their sessions, and how both end.

Fatal, raised from `bind`: a port that cannot be bound, TLS that cannot be had, LMTP on port 25. Everything else
concerns one session only.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import attrs
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from empath.config.schema import Listener, Smtp
from empath.errors import ConfigError
from empath.interfaces import IComponent
from empath.mail.reply import Reply
from empath.receive.factory import SmtpFactory
from empath.receive.ports import listen
from empath.receive.proxy import ProxyFactory
from empath.receive.sessions import Sessions
from empath.receive.terms import Surroundings, Terms, members, nobody, terms_of
from empath.receive.tls import ServerTls

SMTP_PORT: Final = 25

log = Logger()


@attrs.define(slots=True, eq=False)
class _Gate:
    """
    One listener as it is now: `clients` makes its sessions, `strangers` those of whom a proxy cannot name.
    """

    listener: Listener
    path: str
    tls: ServerTls | None
    clients: SmtpFactory
    strangers: SmtpFactory
    factory: ProxyFactory


@implementer(IComponent)
class Reception:
    """
    All listeners of [smtp] with their sessions; sessions inside DATA get `shutdown_timeout` seconds when it stops.

    Order: `bind` while privileged, `start`, …, `stop_listening`, `stop`. `ports` are what is listening.
    """

    def __init__(self, reactor: Any, smtp: Smtp, around: Surroundings, shutdown_timeout: float) -> None:
        self._reactor = reactor
        self._around = around
        self.shutdown_timeout = shutdown_timeout
        self.sessions = Sessions(
            around.clock,
            smtp.max_connections,
            smtp.max_connections_per_client,
            smtp.max_connection_rate_per_client,
        )
        self._gates = [self._gate(listener, at, smtp) for at, listener in enumerate(smtp.listeners)]
        self.ports: list[IListeningPort] = []

    @property
    def certificates_expire(self) -> dict[str, float]:
        """
        When the first certificate of each listener with TLS ends, in seconds since the epoch, by its endpoint.
        """
        return {gate.listener.endpoint: gate.tls.expires for gate in self._gates if gate.tls is not None}

    def bind(self) -> None:
        """
        Read the certificates and bind every listener, or none: raises what the first that cannot be says. Until `start`
        clients wait: what judges their mail may not know yet what it knew before.
        """
        for gate in self._gates:
            if gate.tls is not None:
                gate.tls.load()
        try:
            for gate in self._gates:
                self.ports.append(listen(self._reactor, gate.listener.endpoint, gate.factory))
                _refuse_lmtp(gate, self.ports[-1])
                _accept(self.ports[-1], False)
        except BaseException:
            self._stop_ports()
            raise

    def start(self) -> None:
        """
        Accept who waits at the ports.
        """
        for port in self.ports:
            _accept(port, True)

    def reconfigure(self, section: object) -> None:
        """
        Use the limits, time-outs, banners, proxies and certificates of a new [smtp] for new sessions; other endpoints
        need a restart. ConfigError, and nothing is changed, if a listener cannot have its new TLS.
        """
        if not isinstance(section, Smtp):
            raise TypeError(f"not [smtp]: {section!r}")
        wanted = {listener.endpoint: listener for listener in section.listeners}
        changes = [
            (gate, self._changed(gate, wanted.get(gate.listener.endpoint, gate.listener))) for gate in self._gates
        ]
        for gate, (listener, tls) in changes:
            gate.listener, gate.tls = listener, tls
            terms = terms_of(listener, section, self._around.hostname, tls)
            gate.clients.terms, gate.strangers.terms = terms, _distrusting(terms)
            gate.factory.listed = members(section.proxies)
        self.sessions.reconfigure(
            section.max_connections, section.max_connections_per_client, section.max_connection_rate_per_client
        )

    def stop_listening(self) -> Awaitable[None]:
        """
        Accept no more connections; those that are there go on.
        """
        return self._stop_ports()

    async def stop(self) -> None:
        """
        Accept no more, then end all sessions: idle ones at once with 421, those inside DATA once they are answered.
        """
        await self._stop_ports()
        farewell = Reply(421, "4.3.2", (f"{self._around.hostname} shutting down",))
        await self.sessions.drain(farewell, self.shutdown_timeout)

    def _gate(self, listener: Listener, at: int, smtp: Smtp) -> _Gate:
        around, sessions = self._around, self.sessions
        path = f"smtp.listeners[{at}]"
        tls = self._tls(listener, path)
        terms = terms_of(listener, smtp, around.hostname, tls)
        clients = SmtpFactory(terms, around, sessions)
        strangers = SmtpFactory(_distrusting(terms), attrs.evolve(around, trusts=nobody), sessions)
        factory = ProxyFactory(clients, strangers, members(smtp.proxies), sessions, around.clock)
        return _Gate(listener, path, tls, clients, strangers, factory)

    def _tls(self, listener: Listener, path: str) -> ServerTls | None:
        return None if listener.tls == "none" else ServerTls(listener, path, self._around.clock)

    def _changed(self, gate: _Gate, listener: Listener) -> tuple[Listener, ServerTls | None]:
        """
        Keep a listener's TLS where it says the same of it, else read that anew.
        """
        if _tls_keys(listener) == _tls_keys(gate.listener):
            return listener, gate.tls
        tls = self._tls(listener, gate.path)
        if tls is not None:
            tls.load()
        return listener, tls

    def _stop_ports(self) -> Deferred[None]:
        ports, self.ports = self.ports, []
        stopping: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        return gatherResults(stopping).addCallback(lambda _: None)


def _tls_keys(listener: Listener) -> tuple[object, ...]:
    return listener.tls, listener.certificate, listener.private_key, listener.certificates, listener.client_ca


def _distrusting(terms: Terms) -> Terms:
    """
    Give the terms of those who have no address of their own: nothing is theirs because of where they come from.
    """
    return attrs.evolve(terms, excluded=nobody, xclient=nobody)


def _accept(port: IListeningPort, accepting: bool) -> None:
    """
    Have the reactor accept connections of a port, or leave them to the kernel's queue.
    """
    if isinstance(port, FileDescriptor):
        (port.startReading if accepting else port.stopReading)()  # type: ignore[no-untyped-call]  # Twisted's


def _refuse_lmtp(gate: _Gate, port: IListeningPort) -> None:
    """
    Refuse LMTP on port 25, where only the bound socket tells (RFC 2033 §5).
    """
    if gate.listener.kind == "lmtp" and getattr(port.getHost(), "port", None) == SMTP_PORT:
        problem = f'{gate.path}.endpoint: found "{gate.listener.endpoint}", which is port 25; allowed: any other port'
        raise ConfigError([f'{problem} with kind = "lmtp" (RFC 2033)'])
