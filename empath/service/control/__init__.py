"""
What can be asked of this service while it runs, part by part, and the server that answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath import __version__
from empath.control.listening import ControlSocket, ControlSocketError
from empath.control.server import ControlServer
from empath.control.serving import Answers
from empath.control.terms.asking import Ask
from empath.control.tokens import Tokens
from empath.interfaces import InThread
from empath.service.control.audit import AuditControl
from empath.service.control.config import ConfigControl
from empath.service.control.sending import sending_tables
from empath.service.control.smtp import SmtpControl
from empath.service.control.system import SystemControl
from empath.service.control.top import TopControl

if TYPE_CHECKING:
    from empath.service import EmpathService

log = Logger()

ADVICE: Final = 'Write control_socket = "PATH", where this user may write, or "" for none'
ALWAYS: Final = frozenset({"system.ping", "system.status"})  # also while it starts and stops


def tables_of(service: EmpathService) -> tuple[Answers, ...]:
    """
    Gather what each part answers.
    """
    return (
        SystemControl(service).answers(),
        SmtpControl(service.reception.sessions.shown, service.live.dialogues, service.clock).answers(),
        TopControl(service).answers(),
        AuditControl(service.auditing).answers(),
        ConfigControl(service).answers(),
        *sending_tables(service, service.clock),
    )


@attrs.define(slots=True, eq=False)
class ControlService:
    """
    The control server at its socket; None where there is to be no socket. `meant`: the operator wrote where it is to
    be, and nothing starts without; a default path where we have no right to it is done without, `trouble` tells.
    """

    server: ControlServer
    socket: ControlSocket | None
    meant: bool = True
    trouble: str = ""

    def bind(self) -> None:
        """
        Take the socket. ControlSocketError if it cannot be ours, unless nobody asked for it and we have no right to it.
        """
        if self.socket is None:
            return
        try:
            self.socket.bind()
        except ControlSocketError as trouble:
            if self.meant or not trouble.denied:
                raise
            log.warn(
                "{why}; it is the default path, so there is no control socket. {advice}", why=trouble, advice=ADVICE
            )
            self.trouble = f"{trouble}. {ADVICE}"
            self.socket = None

    def abandon(self) -> None:
        """
        Give the socket back at once: nothing was started.
        """
        if self.socket is not None:
            self.socket.abandon()

    async def stop(self) -> None:
        """
        Take no more connections, end all requests, and remove the socket.
        """
        if self.socket is not None:
            stopping = Deferred.fromCoroutine(self.socket.stop())
            self.server.stop()
            await stopping


def make_control(service: EmpathService, reactor: Any, in_thread: InThread[Any]) -> ControlService:
    """
    Make the control server that the configuration asks for.
    """
    config = service.config

    def busy(request: Ask[Any]) -> str:
        if service.shutting_down and request.changes:
            return "empath stops: nothing is changed any more"
        if service.running or request.verb in ALWAYS:
            return ""
        return "empath is still starting: try again in a moment"

    tokens = Tokens(config.control.tokens)
    server = ControlServer(reactor, tokens, service.events.emit, in_thread, __version__, busy)
    server.serve(tables_of(service))
    socket = ControlSocket(reactor, config.control_socket, server) if config.control_socket else None
    return ControlService(server, socket, service.configuration.wrote("control_socket"))
