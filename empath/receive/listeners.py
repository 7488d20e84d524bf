"""
Reception as a whole: the listening ports, their sessions, and how both end.

Fatal: a port that cannot be bound (raised from `bind`). Everything else concerns one session only.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config.schema import Listener, Smtp
from empath.interfaces import IComponent
from empath.mail.reply import Reply
from empath.receive.factory import SmtpFactory
from empath.receive.sessions import Sessions
from empath.receive.terms import Surroundings, terms_of

BACKLOG: Final = 1024  # connections that the kernel holds; Twisted's own default is 50
_BACKLOG_KINDS: Final = ("tcp:", "tcp6:", "unix:", "ssl:")

log = Logger()


def listen(reactor: Any, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    """
    Listen at once on what an endpoint string names; raises what makes it impossible, such as a busy port.
    """
    if endpoint.startswith(_BACKLOG_KINDS) and ":backlog=" not in endpoint:
        endpoint += f":backlog={BACKLOG}"
    ports: list[IListeningPort] = []
    failures: list[Failure] = []
    listening: Deferred[IListeningPort] = serverFromString(reactor, endpoint).listen(factory)
    listening.addCallbacks(ports.append, failures.append)
    if failures:
        failures[0].raiseException()
    if not ports:
        listening.cancel()
        raise ValueError(f"{endpoint} cannot be listened on at once")
    return ports[0]


@implementer(IComponent)
class Reception:
    """
    All listeners of [smtp] with their sessions; sessions inside DATA get `shutdown_timeout` seconds when it stops.

    Order: `bind` while privileged, `start`, …, `stop_listening`, `stop`. `ports` are what is listening.
    """

    def __init__(self, reactor: Any, smtp: Smtp, around: Surroundings, shutdown_timeout: float) -> None:
        self._reactor = reactor
        self._around = around
        self._shutdown_timeout = shutdown_timeout
        self.sessions = Sessions(around.clock, smtp.max_connections, smtp.max_connections_per_client)
        self._factories: list[tuple[Listener, SmtpFactory]] = [
            (listener, SmtpFactory(terms_of(listener, smtp, around.hostname), around, self.sessions))
            for listener in smtp.listeners
        ]
        self.ports: list[IListeningPort] = []

    def bind(self) -> None:
        """
        Bind every listener, or none: raises what the first that cannot be bound says.
        """
        try:
            for listener, factory in self._factories:
                self.ports.append(listen(self._reactor, listener.endpoint, factory))
        except BaseException:
            self._stop_ports()
            raise

    def start(self) -> None:
        """
        Nothing is left to do once the ports are bound: the reactor accepts when it runs.
        """

    def reconfigure(self, section: object) -> None:
        """
        Use the limits, time-outs and banners of a new [smtp] for new sessions; other endpoints need a restart.
        """
        if not isinstance(section, Smtp):
            raise TypeError(f"not [smtp]: {section!r}")
        self.sessions.reconfigure(section.max_connections, section.max_connections_per_client)
        wanted = {listener.endpoint: listener for listener in section.listeners}
        for old, factory in self._factories:
            listener = wanted.get(old.endpoint, old)
            factory.terms = terms_of(listener, section, self._around.hostname)

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
        await self.sessions.drain(farewell, self._shutdown_timeout)

    def _stop_ports(self) -> Deferred[None]:
        ports, self.ports = self.ports, []
        stopping: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        return gatherResults(stopping).addCallback(lambda _: None)
