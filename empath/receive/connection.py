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
from empath.mail.session import Transaction
from empath.net.overhearing import Overhearing
from empath.net.taps import taps_of, together
from empath.net.writer import PromptWriter
from empath.receive.link import Link
from empath.receive.live import Live, step_of

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport
    from twisted.python.failure import Failure

JUST_NOW: Final = 0.1  # seconds
LAST_WORDS: Final = 1.0  # seconds for a client whose session is killed to read why
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
        self._sessions.shown.add(self)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._around.emit(ConnectionOpened(self.session))
        if self._around.dialogues is not None and self._around.dialogues.watches:
            self.overhear()
        self._ask_in()
        self._proceed()

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes from the client.
        """
        self._octets_in += len(data)
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
        self._sessions.shown.remove(self)
        session = self.session
        if self._smtp.tap is not None:
            self._smtp.tap.closed(self._reason)
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
            self._answer_content()
            self._shut_down()

    def kill(self) -> None:
        """
        End now, whatever is under way, as an operator wants it; a client that does not read that is cut off at once.
        """
        if self._closing:
            self.abort()
            return
        self._answer_content()
        self._end(Reply(421, "4.3.2", (f"{self._around.hostname} closing connection",)), "killed")
        self._proceed()
        if self._closing and not self._gone:
            self._set(LAST_WORDS, self.abort)

    def live(self) -> Live:
        """
        Tell how it is now.
        """
        smtp, transaction = self._smtp, self._transaction
        now = self._around.clock.seconds()
        step = step_of(smtp.state, smtp.pending)
        return Live(
            session=self.session,
            step="handshake" if self._handshaking else step if self._greeted or self._closing else "greeting",
            seconds=max(0.0, now - self.session.opened),
            idle=max(0.0, now - max(self.session.opened, self._deadline.since)),
            octets_in=self._octets_in,
            octets_out=self._octets_out,
            messages=smtp.messages,
            errors=smtp.errors,
            sender="" if transaction is None else _sender(transaction),
            recipients=0 if transaction is None else len(transaction.recipients),
        )

    def overhear(self) -> None:
        """
        Let whoever watches overhear what is said from now on; nobody, if nobody does.
        """
        dialogues, session = self._around.dialogues, self.session
        recording, watched = taps_of(self._smtp.tap)
        if dialogues is None or not dialogues.wanted(session.peer):
            self._smtp.tap = recording
        elif watched is not None:
            watched.presents(session.peer)
        else:
            tap = Overhearing(dialogues, session.session_id, "server", joined=self._greeted)
            self._smtp.tap = together(recording, tap)
            if self._transaction is not None:
                tap.carries(self._transaction.queue_id, _domains(self._transaction))
            since = max(0.0, dialogues.clock.seconds() - session.opened)
            age = f", {since:.1f} s ago" if since >= JUST_NOW else ""
            tap.opened(session.peer, f"{session.listener} ({session.kind}) from port {session.port}{age}")

    def _answer_content(self) -> None:
        """
        Answer a message that came in whole by what is known of it now: of one that is stored the client has to hear, or
        sends it again.
        """
        if self._intake is not None:
            self._busy = True  # what the client said behind it is not served any more
            self._intake.withdraw()
            self._busy = False

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


def _sender(transaction: Transaction) -> str:
    return "<>" if transaction.reverse_path is None else transaction.reverse_path.text


def _domains(transaction: Transaction) -> set[str]:
    """
    Tell the domains that a transaction named so far.
    """
    paths = [transaction.reverse_path, *(each.address for each in transaction.recipients)]
    return {path.domain for path in paths if path is not None}


def _nothing() -> None:
    """
    Nothing expires any more; what would have is a method, and kept the connection in memory.
    """
