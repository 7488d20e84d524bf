"""
Makes a session for each client that is let in.

Fatal: nothing. A client over a limit hears 421 and is disconnected; where TLS comes first it hears nothing, since a
handshake is just what somebody who wants us overloaded would have us do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from empath.mail.life import CommandAnswered, ConnectionClosed, ConnectionOpened
from empath.mail.reply import Reply
from empath.mail.session import Session
from empath.policy.relay import UNIX
from empath.receive.protocol import SmtpProtocol
from empath.receive.sessions import Sessions, peer_of
from empath.receive.terms import Surroundings, Terms

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocol


class Farewell(Protocol):
    """
    Says one reply, if any, and hangs up.
    """

    def __init__(self, reply: Reply | None) -> None:
        self._reply = reply

    def connectionMade(self) -> None:
        """
        Say it.
        """
        if self.transport is not None:
            if self._reply is not None:
                self.transport.write(self._reply.encode())
            self.transport.loseConnection()


@implementer(IProtocolFactory)
class SmtpFactory:
    """
    One listener's sessions. `terms` and `around` may be replaced: sessions that are under way keep theirs.
    """

    def __init__(self, terms: Terms, around: Surroundings, sessions: Sessions) -> None:
        self.terms = terms
        self.around = around
        self._sessions = sessions

    def doStart(self) -> None:
        """
        A port listens for us: nothing to do.
        """

    def doStop(self) -> None:
        """
        The port is closed: its sessions go on.
        """

    def buildProtocol(self, addr: IAddress) -> IProtocol:
        """
        Let a client in, or tell it why not.
        """
        host = getattr(addr, "host", None)
        peer, client = (UNIX, UNIX) if host is None else peer_of(host)
        around, terms = self.around, self.terms
        session = Session(
            self._sessions.next_id(),
            peer,
            getattr(addr, "port", 0),
            terms.listener,
            terms.kind,
            around.clock.seconds(),
            trusted=around.trusts(peer),
            metadata=dict(terms.context),
        )
        refusal = self._sessions.refusal(client)
        if refusal is not None:
            around.emit(ConnectionOpened(session))
            around.emit(CommandAnswered(session, "", refusal, None))
            around.emit(ConnectionClosed(session, 0.0, "limit"))
            return Farewell(None if terms.implicit_tls else refusal)
        return SmtpProtocol(terms, around, self._sessions, session, client)
