"""
The client's half of an SMTP session (RFC 5321) as a state machine without I/O: its transactions.

The edge feeds it what the server sends and obeys the events it gets back; after every call it writes what
`take_output` gives. No byte a server sends raises: what is no SMTP ends the session with a transient failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from empath.mail.outcome import TransientFailure
from empath.mail.reply import Reply
from empath.smtp import client_findings as findings
from empath.smtp.client_carriage import CARRIAGE, Carriage
from empath.smtp.client_events import Consignment, Event, State, Trouble
from empath.smtp.client_opening import OPENING, QUIT
from empath.smtp.reply_reader import Garbled

_SHUTTING_DOWN: Final = 421


class ClientSession(Carriage):
    """
    One session: opened with the server's greeting, then any number of transactions, then QUIT. `answers` is what is
    done for a reply in each state, by its first digit; what is absent is a protocol error.
    """

    answers: ClassVar[Mapping[tuple[State, int], Callable[[Any, Reply], None]]] = {**OPENING, **CARRIAGE}

    __slots__ = ()

    def receive(self, data: bytes) -> list[Event]:
        """
        Take what the server sent. In cleartext nothing may come between the 220 to STARTTLS and the handshake: it
        could have been put there by anyone (CVE-2011-0411).
        """
        if self.tap is not None:
            self.tap.heard(data)
        if self.state is State.HANDSHAKE:
            self._end(findings.garbled(self.state, "cleartext before the TLS handshake"), Trouble.GARBLED)
            return self._told()
        reader = self._reader
        reader.feed(data)
        while self.state is not State.CLOSED and (reply := reader.next_reply()) is not None:
            if isinstance(reply, Garbled):
                self._end(findings.garbled(self.state, reply.detail), Trouble.GARBLED)
            else:
                self._answered(reply)
        return self._told()

    def begin(self, consignment: Consignment, host: str = "", *, last: bool = False) -> list[Event]:
        """
        Begin a transaction; only when READY. `host` is the server's name in its outcomes, by default the terms'. No
        other one follows the `last` one.

        With PIPELINING (RFC 2920) all commands go at once, otherwise each waits for the reply to the one before.
        """
        if self.state is not State.READY:
            raise RuntimeError(f"no transaction can begin in {self.state}")
        self._last = last
        self._begin(consignment, host)
        return self._told()

    @property
    def in_doubt(self) -> bool:
        """
        Whether the server has the whole content and has not told all that it makes of it (RFC 1047).
        """
        return self.state in (State.DOT, State.LAST)

    @property
    def chunked(self) -> bool:
        """
        Whether the content of the transaction goes in chunks (RFC 3030).
        """
        return self._chunks is not None

    @property
    def room(self) -> int:
        """
        How many bytes of the content may be given now; only where it goes in chunks. More after a ContentWanted.
        """
        return self._sent_chunks.room

    @property
    def left(self) -> int:
        """
        How many bytes of the content were not given so far; only where it goes in chunks.
        """
        return self._sent_chunks.left

    def content(self, piece: bytes) -> bytes:
        """
        Give the next piece of the content as it goes over the wire; only in CONTENT and BDAT. Chunks take no more than
        `room`, and with the last byte the last one ends, without `end_content`.
        """
        if self.state is State.CONTENT:
            encoded = self._encoder.encode(piece)
            if self.tap is not None:
                self.tap.content(len(encoded))
            return encoded
        if self.state is not State.BDAT or len(piece) > self.room:
            raise RuntimeError(f"no content is wanted in {self.state}")
        framed = self._sent_chunks.frame(piece)
        if self.tap is not None:
            self.tap.said(framed[: len(framed) - len(piece)])
            self.tap.content(len(piece))
        if self._sent_chunks.whole:
            self.state = State.LAST
        return framed

    def end_content(self) -> bytes:
        """
        Give the final dot as it goes over the wire; only in CONTENT. QUIT goes with that of the last transaction, for
        which PIPELINING has a place behind any content (RFC 2920 §3.1): what is said to both is worth one wait.
        """
        if self.state is not State.CONTENT:
            raise RuntimeError(f"no content is wanted in {self.state}")
        self.state = State.DOT
        end = self._encoder.finish()
        if self.tap is not None:
            self.tap.content(len(end))
        if not (self._last and self.offer.pipelining):
            return end
        self._leaving = True
        if self.tap is not None:
            self.tap.said(QUIT)
        return end + QUIT

    def connection_lost(self) -> list[Event]:
        """
        The connection is gone.
        """
        if self.state is State.QUIT:
            self._gone()
        elif self.state is not State.CLOSED:
            self._end(findings.lost(self.state), Trouble.LOST)
        return self._told()

    def timed_out(self) -> list[Event]:
        """
        The server took too long over `state`.
        """
        if self.state is State.QUIT:
            self._gone()
        elif self.state is not State.CLOSED:
            self._end(findings.timed_out(self.state), Trouble.TIMEOUT)
        return self._told()

    def abandon(self, failure: TransientFailure) -> list[Event]:
        """
        Give the session up for a reason of our own (the content cannot be read): close without another word.
        """
        if self.state is not State.CLOSED:
            self._end(failure, Trouble.OURS)
        return self._told()

    def quit(self) -> None:
        """
        Say QUIT; only when READY.
        """
        self._say(QUIT, State.QUIT)

    def _answered(self, reply: Reply) -> None:
        """
        Do what `answers` says for a reply in this state. 421 ends the session whatever it answers (RFC 5321 §3.8).
        """
        self.replies += 1
        if self.state is State.QUIT:
            self._gone()
            return
        if reply.code == _SHUTTING_DOWN:
            self._end(findings.host_trouble(self._discreet(reply), self.state, self._terms.host), Trouble.SHUTDOWN)
            return
        if self._transfer is not None:
            self._transfer.answered = True
        action = self.answers.get((self.state, reply.code // 100))
        if action is None:
            self._end(findings.garbled(self.state, f"unexpected reply {reply.code}"), Trouble.GARBLED)
        else:
            action(self, reply)
