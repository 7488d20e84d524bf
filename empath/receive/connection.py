"""
One client's connection: bytes in, from its first to its last. What the session says is `protocol`'s.

Fatal: nothing beyond what `link` names. A client that has closed its side (`printf … | nc`) is served until nothing
that it said is left.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import ITCPTransport

from empath.mail.life import ConnectionClosed, ConnectionOpened
from empath.mail.reply import Reply
from empath.net.writer import PromptWriter
from empath.receive.link import Link

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport
    from twisted.python.failure import Failure

TOO_EARLY: Final = Reply.of("421 4.7.0 you spoke before the greeting")


class Connection(Link):
    """
    Feeds one server session from one transport. Subclasses answer the session's events.
    """

    __slots__ = ()

    # For subclasses to fill in

    _ask_in: Callable[[], None]  # decide whether the client may stay, then greet it by `_let_in`

    # What Twisted calls

    def makeConnection(self, transport: ITransport) -> None:
        """
        The client is connected.
        """
        self.transport = transport
        self._writer = PromptWriter(transport)
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        Count the client in; the greeting follows.
        """
        self._sessions.join(self, self._client)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._around.emit(ConnectionOpened(self.session))
        self._ask_in()
        self._proceed()

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes from the client.
        """
        self._smtp.receive(data)
        self._proceed()

    def readConnectionLost(self) -> None:
        """
        The client has said all: what it said is still answered.
        """
        self._finished = True
        self._proceed()

    def writeConnectionLost(self) -> None:
        """
        Never happens by itself: we do not close our side only.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone: what is not stored by now is not ours.
        """
        self._gone = True
        self._deadline.stop()
        self._expires = _nothing
        self._smtp.close()
        self._let_go()
        self._sessions.leave(self, self._client)
        session = self.session
        self._around.emit(ConnectionClosed(session, self._around.clock.seconds() - session.opened, self._reason))

    # What the register of sessions calls

    @property
    def transaction_began(self) -> float:
        """
        See `Drainable.transaction_began`.
        """
        return inf if self._transaction is None else self._transaction.started

    def drain(self) -> None:
        """
        End at once, or once the message that is coming in has its answer.
        """
        self._draining = True
        if self._intake is None and not self._closing:
            self._shut_down()

    def abandon(self) -> None:
        """
        End now, whatever is under way.
        """
        if not self._closing:
            self._shut_down()

    def _shut_down(self) -> None:
        self._end(Reply(421, "4.3.2", (f"{self._around.hostname} shutting down",)), "shutdown")
        self._proceed()

    # The greeting

    def _let_in(self, _: object = None) -> None:
        """
        The client may stay: greet it, after the delay that shows who cannot wait.
        """
        if self._terms.greeting_delay:
            self._set(self._terms.greeting_delay, self._greet_late)
        else:
            self._greet()

    def _greet_late(self) -> None:
        self._greet()
        self._proceed()

    def _greet(self) -> None:
        self._greeted = self._ready = True
        self._smtp.greet()

    def _check_silence(self) -> None:
        if self._smtp.backlog and self._terms.greeting_delay:
            self._end(TOO_EARLY, "limit")


def _nothing() -> None:
    """
    Nothing expires any more; what would have is a method, and kept the connection in memory.
    """
