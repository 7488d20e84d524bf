"""
How a client session opens: greeting, EHLO or HELO, STARTTLS, AUTH.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

import attrs

from empath.mail.outcome import TransientFailure
from empath.mail.reply import Reply
from empath.smtp import client_findings as findings
from empath.smtp.client_events import Event, Goodbye, Ready, SessionEnded, StartTls, State, Terms, Trouble
from empath.smtp.client_offer import NOTHING, Offer, read_offer
from empath.smtp.echoes import Echoes
from empath.smtp.reply_reader import ReplyReader
from empath.smtp.sasl import login
from empath.smtp.tap import Tap

QUIT: Final = b"QUIT\r\n"


class Opening:
    """
    The states up to the first READY, and the ways to leave at any time. A 4yz or 5yz here is the host's trouble.
    `hello` is what a session begins with, `tap` overhears it if anybody does.
    """

    hello: ClassVar[State] = State.EHLO

    __slots__ = ("_answers", "_events", "_output", "_reader", "_terms", "offer", "replies", "secure", "state", "tap")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._reader = ReplyReader()
        self._events: list[Event] = []
        self._output = b""
        self._answers: tuple[bytes, ...] = ()
        self.offer: Offer = NOTHING
        self.replies = 0  # how many the server gave: tells progress
        self.secure = terms.secured
        self.state = State.GREETING
        self.tap: Tap | None = None

    @property
    def host(self) -> str:
        """
        The server's name.
        """
        return self._terms.host

    @property
    def password(self) -> str:
        """
        What it logs in with, and nobody is to see; "" for nothing.
        """
        return "" if self._terms.credentials is None else self._terms.credentials.password

    def take_output(self) -> bytes:
        """
        Give what is to be written now.
        """
        output, self._output = self._output, b""
        if self.tap is not None and output:
            self.tap.said(output)
        return output

    def secured(self) -> list[Event]:
        """
        The TLS handshake succeeded: what the server said before is forgotten (RFC 3207 §4.2).
        """
        self.secure = True
        self.offer = NOTHING
        self._introduce(self.hello)
        return self._told()

    def handshake_failed(self, detail: str) -> list[Event]:
        """
        The TLS handshake failed; `detail` says why, for the log.
        """
        if self.state is not State.CLOSED:
            self._end(findings.unmet("4.7.5", f"TLS handshake failed: {detail}"), Trouble.TLS)
        return self._told()

    def _greeted(self, _reply: Reply) -> None:
        self._introduce(self.hello)

    def _ehlo_refused(self, _reply: Reply) -> None:
        self._introduce(State.HELO)

    def _introduced(self, reply: Reply) -> None:
        """
        Go on to what the terms ask for and the server offers: STARTTLS, AUTH, or the first transaction.
        """
        self.offer = NOTHING if self.state is State.HELO else read_offer(reply)
        if not self.secure and self._terms.starttls and self.offer.starttls:
            self._say(b"STARTTLS\r\n", State.STARTTLS)
        elif not self.secure and self._terms.tls_needed:
            self._leave(findings.unmet("4.7.4", "TLS is required, but the host does not offer it"), Trouble.UNMET)
        elif self._terms.credentials is None:
            self._open()
        else:
            self._log_in()

    def _log_in(self) -> None:
        if not self.secure and not self._terms.clear_auth:
            self._leave(findings.unmet("4.7.0", "the login must not go over cleartext"), Trouble.UNMET)
            return
        assert self._terms.credentials is not None
        run = login(self.offer.mechanisms, self._terms.credentials)
        if run is None:
            self._leave(findings.unmet("4.7.0", "the host offers no AUTH mechanism that we know"), Trouble.UNMET)
            return
        self._answers = run.answers
        self._say(run.command, State.AUTH)

    def _challenged(self, _reply: Reply) -> None:
        if not self._answers:
            self._end(findings.garbled(self.state, "one challenge too many"), Trouble.GARBLED)
            return
        self._say(self._answers[0], State.AUTH)
        self._answers = self._answers[1:]

    def _open_on(self, _reply: Reply) -> None:
        self._open()

    def _handshake(self, _reply: Reply) -> None:
        if self._reader.residue:
            self._end(findings.garbled(self.state, "cleartext before the TLS handshake"), Trouble.GARBLED)
            return
        self.state = State.HANDSHAKE
        self._events.append(StartTls())

    def _refused(self, reply: Reply) -> None:
        trouble = Trouble.TLS if self.state is State.STARTTLS else Trouble.REFUSED
        self._leave(findings.host_trouble(self._discreet(reply), self.state, self._terms.host), trouble)

    def _discreet(self, reply: Reply) -> Reply:
        """
        Give a reply that ends the session: without the password, which some servers quote, since senders will read it.
        """
        password = self.password
        if not password:
            return reply
        echoes = Echoes()
        echoes.password(password)
        return attrs.evolve(reply, lines=tuple(echoes.hidden(line) for line in reply.lines))

    def _say(self, command: bytes, state: State) -> None:
        self._output += command
        self.state = state

    def _introduce(self, state: State) -> None:
        self._say(f"{state.value} {self._terms.name}\r\n".encode("ascii", "replace"), state)

    def _open(self) -> None:
        self.state = State.READY
        self._events.append(Ready())

    def _leave(self, failure: TransientFailure, trouble: Trouble) -> None:
        """
        End the session, politely: nothing else is under way.
        """
        self._events.append(SessionEnded(failure, trouble))
        self._say(QUIT, State.QUIT)

    def _end(self, failure: TransientFailure, trouble: Trouble) -> None:
        """
        End the session at once.
        """
        if self.state in (State.STARTTLS, State.HANDSHAKE):
            trouble = Trouble.TLS
        self._events.append(SessionEnded(failure, trouble))
        self.state = State.CLOSED

    def _gone(self) -> None:
        self._events.append(Goodbye())
        self.state = State.CLOSED

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events


OPENING: Final[Mapping[tuple[State, int], Callable[[Opening, Reply], None]]] = {
    (State.GREETING, 2): Opening._greeted,
    (State.GREETING, 4): Opening._refused,
    (State.GREETING, 5): Opening._refused,
    (State.EHLO, 2): Opening._introduced,
    (State.EHLO, 4): Opening._refused,
    (State.EHLO, 5): Opening._ehlo_refused,
    (State.HELO, 2): Opening._introduced,
    (State.HELO, 4): Opening._refused,
    (State.HELO, 5): Opening._refused,
    (State.LHLO, 2): Opening._introduced,
    (State.LHLO, 4): Opening._refused,
    (State.LHLO, 5): Opening._refused,
    (State.STARTTLS, 2): Opening._handshake,
    (State.STARTTLS, 4): Opening._refused,
    (State.STARTTLS, 5): Opening._refused,
    (State.AUTH, 2): Opening._open_on,
    (State.AUTH, 3): Opening._challenged,
    (State.AUTH, 4): Opening._refused,
    (State.AUTH, 5): Opening._refused,
}
