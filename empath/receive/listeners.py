"""
Reception as a whole: the listening ports, their sessions, and how both end.

Fatal, raised from `bind`: a port that cannot be bound, TLS that cannot be had, LMTP on port 25. Everything else
concerns one session only.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from empath.config.schema import Listener, Smtp
from empath.interfaces import IComponent
from empath.mail.reply import Reply
from empath.net.tls_files import PemFiles
from empath.receive.gates import Gate, make_gate
from empath.receive.relisten import Change
from empath.receive.sessions import Sessions
from empath.receive.terms import Surroundings

log = Logger()


@attrs.frozen(slots=True, eq=False)
class Prospect:
    """
    What would be with another [smtp]: `smtp` is the section as far as it can be in force now, `restart` tells by key
    why only a restart applies it. `use` has it used, and does not fail.
    """

    smtp: Smtp
    restart: dict[str, str]
    use: Callable[[], None]


@implementer(IComponent)
class Reception:
    """
    All listeners of [smtp] with their sessions; sessions inside DATA get `shutdown_timeout` seconds when it stops.

    Order: `bind` while privileged, `start`, … and `mend` now and then, `stop_listening`, `stop`. `ports` are what was
    bound.
    """

    def __init__(self, reactor: Any, smtp: Smtp, around: Surroundings, shutdown_timeout: float) -> None:
        self._reactor = reactor
        self.around = around
        self.shutdown_timeout = shutdown_timeout
        self.sessions = Sessions(
            around.clock,
            smtp.max_connections,
            smtp.max_connections_per_client,
            smtp.max_connection_rate_per_client,
        )
        self._files = PemFiles()
        self._gates = [self._fresh(listener, at, smtp, around) for at, listener in enumerate(smtp.listeners)]
        self._bound_as: int | None = None
        self._lost: set[str] = set()
        self._accepting = False

    @property
    def ports(self) -> list[IListeningPort]:
        """
        What was bound, and was not closed by us.
        """
        return [gate.port for gate in self._gates if gate.port is not None]

    @property
    def certificates_expire(self) -> dict[str, float]:
        """
        When the first certificate of each listener with TLS ends, in seconds since the epoch, by its endpoint.
        """
        return {gate.listener.endpoint: gate.tls.expires for gate in self._gates if gate.tls is not None}

    def certificates(self) -> dict[tuple[str, str], float]:
        """
        Tell when each certificate ends, in seconds since the epoch, by the endpoint that serves it and its file.
        """
        gates = [gate for gate in self._gates if gate.tls is not None and gate.port is not None]
        ends = [(gate.listener.endpoint, gate.tls.ends()) for gate in gates if gate.tls is not None]
        return {(endpoint, path): end for endpoint, each in ends for path, end in each.items()}

    @property
    def listening(self) -> bool:
        """
        Whether clients can connect to every listener.
        """
        return all(gate.listening for gate in self._gates)

    def listeners(self) -> dict[str, bool]:
        """
        Tell by endpoint whether clients can connect to it.
        """
        return {gate.listener.endpoint: gate.listening for gate in self._gates}

    async def mend(self) -> None:
        """
        Bind again what was lost while it was to accept; what cannot be is tried again with the next call.
        """
        for gate in self._gates if self._accepting else ():
            endpoint = gate.listener.endpoint
            try:
                mended = gate.mend(self._reactor)
            except Exception as trouble:  # endpoints are plugins: what theirs may raise is not ours to list
                if endpoint not in self._lost:
                    self._lost.add(endpoint)
                    log.error(
                        "{endpoint} was lost, and cannot be bound again: {trouble}", endpoint=endpoint, trouble=trouble
                    )
                continue
            self._lost.discard(endpoint)
            if mended:
                log.warn("{endpoint} was lost, and is bound again", endpoint=endpoint)

    def bind(self) -> None:
        """
        Read the certificates and bind every listener, or none: raises what the first that cannot be says. Until `start`
        clients wait: what judges their mail may not know yet what it knew before.
        """
        self._bound_as = os.geteuid()
        self.read_certificates()
        try:
            for gate in self._gates:
                gate.open(self._reactor)
        except BaseException:
            self._stop_ports()
            raise

    def read_certificates(self) -> None:
        """
        Read the certificates and keys of all listeners. ConfigError for the first that cannot be used.
        """
        for gate in self._gates:
            if gate.tls is not None:
                gate.tls.load()

    def start(self) -> None:
        """
        Accept who waits at the ports.
        """
        self._accepting = True
        for gate in self._gates:
            gate.accept()

    def reconfigure(self, section: object) -> None:
        """
        Use a new [smtp] for new sessions, as far as `prepare` can. ConfigError, and nothing is changed, if that cannot
        be.
        """
        if not isinstance(section, Smtp):
            raise TypeError(f"not [smtp]: {section!r}")
        with ExitStack() as undo:
            prospect = self.prepare(section, self.around, undo)
            undo.pop_all()
        prospect.use()

    def prepare(self, smtp: Smtp, around: Surroundings, undo: ExitStack) -> Prospect:
        """
        Read the certificates and bind the listeners that are new in `smtp`; whoever gives that up unwinds `undo`. New
        sessions are to have `around`. ConfigError if a listener, or its TLS, cannot be had.
        """
        change = Change(self._gates, smtp, around, self._fresh)
        undo.callback(change.drop)
        change.open(self._reactor, os.geteuid() != self._bound_as)
        return Prospect(change.in_force, change.restart, lambda: self._use(change, around))

    def _use(self, change: Change, around: Surroundings) -> None:
        self.around = around
        self._gates = change.use()
        self._files.keep({path for gate in self._gates if gate.tls is not None for path in gate.tls.paths})
        if self._accepting:
            for gate in self._gates:
                gate.accept()
        smtp = change.in_force
        self.sessions.reconfigure(
            smtp.max_connections, smtp.max_connections_per_client, smtp.max_connection_rate_per_client
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
        farewell = Reply(421, "4.3.2", (f"{self.around.hostname} shutting down",))
        await self.sessions.drain(farewell, self.shutdown_timeout)

    def _fresh(self, listener: Listener, at: int, smtp: Smtp, around: Surroundings) -> Gate:
        return make_gate(listener, f"smtp.listeners[{at}]", smtp, around, self.sessions, self._files)

    def _stop_ports(self) -> Deferred[None]:
        self._accepting = False
        stopping = [gate.close() for gate in self._gates]
        return gatherResults(stopping).addCallback(lambda _: None)
