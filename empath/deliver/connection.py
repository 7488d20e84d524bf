"""
One connection to a server: Twisted's protocol around the client session.

Fatal: nothing. What a server does wrong ends the connection with a `SessionEnded`; whoever has a transaction under way
gets its outcomes. Ignored: how a connection ends once its session is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from zope.interface import implementer

from empath.deliver.certificates import Rejection
from empath.deliver.handshake import Handshake
from empath.deliver.keeper import Keeper
from empath.deliver.lane import Lane
from empath.deliver.overheard import tell_closed, tell_opened, tell_secured
from empath.deliver.step_time import StepTime
from empath.deliver.streaming import OpenBody, Streaming
from empath.deliver.target import Target
from empath.mail.message import Message
from empath.net.prompt_tls import begin_tls, part
from empath.net.writer import PromptWriter
from empath.smtp.client import ClientSession
from empath.smtp.client_events import (
    Consignment,
    ContentWanted,
    Event,
    Goodbye,
    Ready,
    SessionEnded,
    StartTls,
    State,
    TransactionEnded,
)

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from empath.deliver.traced import ConnectionTrace


@implementer(IHandshakeListener)
class Connection(Protocol):
    """
    Carries one transaction at a time. `trouble` is set once the session is over before its time.

    `connected_at`, `secured_at` and `sent_at` (the end of the last transaction's content) are in the clock's seconds,
    0.0 for what has not happened; `carried` counts transactions, `message` is what it carries. `target` is what was
    reached, `missed` what could not be; `lane` is where it waits while it is idle. `tls_handle` is OpenSSL's side of
    it, once TLS is established, with a certificate that was `shown_at` that time. `trace`: its dialogue is traced.
    """

    target: Target | None = None
    lane: Lane | None = None
    trace: ConnectionTrace | None = None
    missed: tuple[str, ...] = ()
    tls_handle: SSL.Connection
    shown_at: float = 0.0
    source: str = ""  # the address that it leaves from; once it is lost nobody can tell

    def __init__(
        self,
        session: ClientSession,
        keeper: Keeper,
        clock: IReactorTime,
        timeouts: Mapping[State, float],
        tls: Handshake,
        open_body: OpenBody,
    ) -> None:
        self.session = session
        self.trouble: SessionEnded | None = None
        self.carried = 0
        self.connected_at = self.secured_at = self.sent_at = 0.0
        self.tls = self.cipher = self.security = ""
        self._keeper, self._clock, self._tls = keeper, clock, tls
        self._open_body = open_body
        self.time = StepTime(session, clock, timeouts, self._expired)
        self._opening, self._gone, self._handshaking = True, False, False
        self.message: Message | None = None
        self._read_by: OpenBody | None = None
        self._transaction: Deferred[TransactionEnded] | None = None
        self._streaming: Streaming | None = None

    @property
    def rejection(self) -> Rejection | None:
        """
        What is wrong with the server's certificate, if anybody looked at it; None for nothing.
        """
        return self._tls.rejection

    @property
    def usable(self) -> bool:
        """
        Whether a transaction can begin.
        """
        return self.session.state is State.READY

    def transact(
        self,
        consignment: Consignment,
        host: str,
        message: Message,
        open_body: OpenBody | None = None,
        *,
        last: bool = False,
    ) -> Deferred[TransactionEnded]:
        """
        Run one transaction; only when `usable`. `open_body` reads this message in place of the connection's own; after
        the `last` one the session ends. Cancelling it closes the connection.
        """
        self.carried += 1
        self._read_by = open_body
        self.sent_at = 0.0
        self.message = message
        self._context = copy_context()  # of the attempt; what the server says comes in another
        ended: Deferred[TransactionEnded] = Deferred(self._cancelled)
        self._transaction = ended
        self._obey(self.session.begin(consignment, host, last=last))
        return ended

    def leave(self) -> None:
        """
        Say QUIT if nothing is under way, and close when it is answered.
        """
        if self.usable:
            self.session.quit()
            self._obey([])

    def abort(self) -> None:
        """
        Close at once.
        """
        if not self._gone:
            self._transport.abortConnection()

    def connectionMade(self) -> None:
        """
        Wait for the greeting, after a TLS handshake where TLS is implicit.
        """
        self.connected_at = self._clock.seconds()
        self._transport = transport = cast("ITCPTransport", self.transport)
        if self.target is None or not self.target.unix:
            transport.setTcpNoDelay(True)
        self.source = str(getattr(transport.getHost(), "host", ""))
        tell_opened(self)
        self._writer = PromptWriter(transport)
        if self.session.secure:
            self._shake_hands()
        else:
            self.time.give(State.GREETING)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what the server sent.
        """
        self._obey(self.session.receive(data))

    def handshakeCompleted(self) -> None:
        """
        TLS is established; where the certificate is judged, it was found good.
        """
        self._handshaking = False
        self.secured_at = self._clock.seconds()
        self.tls_handle = handle = cast("SSL.Connection", cast(Any, self._transport).getHandle())
        self.tls = handle.get_protocol_version_name()
        self.cipher = handle.get_cipher_name() or ""
        if (rejection := self._tls.judge(handle)) is not None:
            self._obey(self.session.handshake_failed(rejection.reason))
            return
        self.security = self._tls.security
        tell_secured(self)
        if self.session.state is State.HANDSHAKE:
            self._obey(self.session.secured())
        else:
            self.time.give(State.GREETING)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone: its owner hears of it first, so that there is room for another one.
        """
        self._gone = True
        self.time.stop()
        if self._handshaking:
            events = self.session.handshake_failed(self._tls.why_over(reason))
        else:
            events = self.session.connection_lost()
        tell_closed(self, events)
        self._keeper.closed(self)
        self._obey(events)

    def _obey(self, events: list[Event]) -> None:
        """
        Write and set the deadline before anyone hears of the events: they may begin the next transaction at once.

        Who hears that a transaction ended is to see at once that the session did, too.
        """
        if (output := self.session.take_output()) and not self._gone:
            self._writer.write(output)
        self.time.keep()
        if events and isinstance(events[-1], SessionEnded):
            self.trouble = events[-1]
        for event in events:
            match event:
                case ContentWanted():
                    self._send_content()
                case TransactionEnded():
                    self._end_transaction(event)
                case Ready():
                    self._opening = False
                    self._keeper.opened(self)
                case StartTls():
                    self._shake_hands()
                case SessionEnded():
                    self._end_session(event)
                case Goodbye() if not self._gone:
                    part(self._transport)

    def _send_content(self) -> None:
        """
        Send small content and the final dot in one write; stream what lies in a file, and chunks.
        """
        session, message = self.session, self.message
        if session.state is State.BDAT and self._streaming is not None:
            self._streaming.go_on()
            return
        if session.state is not State.CONTENT and session.state is not State.BDAT:
            return  # refused in the same breath
        assert message is not None
        if message.body is None or session.chunked:
            self._streaming = Streaming(session, self._writer, self._streamed, self._obey)
            self._context.run(self._streaming.begin, message, self._read_by or self._open_body)
            return
        content = session.content(message.header + message.body)
        self._writer.write(content + session.end_content())
        self.sent_at = self._clock.seconds()
        self.time.keep()

    def _streamed(self) -> None:
        """
        Some content went out, up to its end once the session waits for what the server says to it.
        """
        if self.session.state is State.DOT or self.session.state is State.LAST:
            self.sent_at = self._clock.seconds()
        self.time.give(self.session.state)

    def _shake_hands(self) -> None:
        self._handshaking = True
        self.time.give(State.HANDSHAKE)
        self._keeper.secures(self, self._tls)
        self._transport = cast("ITCPTransport", begin_tls(self, self._writer, self._tls, self._clock))

    def _end_transaction(self, event: TransactionEnded) -> None:
        self._stop_streaming()
        transaction, self._transaction, self.message = self._transaction, None, None
        if transaction is not None:
            transaction.callback(event)

    def _end_session(self, event: SessionEnded) -> None:
        self.trouble = event
        if self.session.state is State.CLOSED:
            self.abort()
        if self._opening:
            self._opening = False
            self._keeper.opened(self)
        else:
            self._keeper.worn(self)

    def _expired(self) -> None:
        """
        The server took too long, or an idle connection has rested long enough.
        """
        match self.session.state:
            case State.READY:
                self._keeper.worn(self)
                self.leave()
            case State.QUIT | State.CLOSED:
                self.abort()
            case _ if self._handshaking:
                self._handshaking = False
                self._obey(self.session.handshake_failed("timed out"))
            case _:
                self._obey(self.session.timed_out())

    def _stop_streaming(self) -> None:
        if self._streaming is not None:
            self._streaming.stop()
            self._streaming = None

    def _cancelled(self, _deferred: Deferred[TransactionEnded]) -> None:
        self._transaction = None
        self._stop_streaming()
        self.abort()
