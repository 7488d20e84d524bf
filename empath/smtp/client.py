"""
The client's half of an SMTP session (RFC 5321) as a state machine without I/O: its transactions.

The edge feeds it what the server sends and obeys the events it gets back; after every call it writes what
`take_output` gives. No byte a server sends raises: what is no SMTP ends the session with a transient failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from empath.mail.outcome import TransientFailure
from empath.mail.reply import Reply
from empath.smtp import client_findings as findings
from empath.smtp.client_events import (
    Consignment,
    ContentWanted,
    Event,
    State,
    Terms,
    Trouble,
)
from empath.smtp.client_opening import OPENING, Opening
from empath.smtp.client_transfer import Transfer, mail_command
from empath.smtp.content import DotEncoder
from empath.smtp.reply_reader import Garbled

_SHUTTING_DOWN: Final = 421


class ClientSession(Opening):
    """
    One session: opened with the server's greeting, then any number of transactions, then QUIT.
    """

    __slots__ = ("_consignment", "_dirty", "_encoder", "_transfer")

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._dirty = False
        self._transfer: Transfer | None = None
        self._consignment: Consignment | None = None
        self._encoder = DotEncoder()

    def receive(self, data: bytes) -> list[Event]:
        """
        Take what the server sent. In cleartext nothing may come between the 220 to STARTTLS and the handshake: it
        could have been put there by anyone (CVE-2011-0411).
        """
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

    def begin(self, consignment: Consignment, host: str = "") -> list[Event]:
        """
        Begin a transaction; only when READY. `host` is the server's name in its outcomes, by default the terms'.

        With PIPELINING (RFC 2920) all commands go at once, otherwise each waits for the reply to the one before.
        """
        if self.state is not State.READY:
            raise RuntimeError(f"no transaction can begin in {self.state}")
        transfer = self._transfer = Transfer(consignment, host or self._terms.host)
        self._consignment = consignment
        transfer.check(consignment, self.offer)
        if not transfer.asked:
            self._end_transaction()
            return self._told()
        if self.offer.pipelining:
            commands = f"{mail_command(consignment, self.offer)}{transfer.rcpt_commands()}DATA\r\n".encode("ascii")
            self._say(b"RSET\r\n" + commands if self._dirty else commands, State.RSET if self._dirty else State.MAIL)
        elif self._dirty:
            self._say(b"RSET\r\n", State.RSET)
        else:
            self._say(mail_command(consignment, self.offer).encode("ascii"), State.MAIL)
        return []

    def content(self, piece: bytes) -> bytes:
        """
        Give the next piece of the content as it goes over the wire; only in CONTENT.
        """
        if self.state is not State.CONTENT:
            raise RuntimeError(f"no content is wanted in {self.state}")
        return self._encoder.encode(piece)

    def end_content(self) -> bytes:
        """
        Give the final dot as it goes over the wire; only in CONTENT.
        """
        if self.state is not State.CONTENT:
            raise RuntimeError(f"no content is wanted in {self.state}")
        self.state = State.DOT
        return self._encoder.finish()

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
        self._say(b"QUIT\r\n", State.QUIT)

    # What the server said ---------------------------------------------------------------------------------------

    def _answered(self, reply: Reply) -> None:
        """
        Do what ANSWERS says for a reply in this state. 421 ends the session whatever it answers (RFC 5321 §3.8).
        """
        self.replies += 1
        if self.state is State.QUIT:
            self._gone()
            return
        if reply.code == _SHUTTING_DOWN:
            self._end(findings.host_trouble(reply, self.state, self._terms.host), Trouble.SHUTDOWN)
            return
        if self._transfer is not None:
            self._transfer.answered = True
        action = ANSWERS.get((self.state, reply.code // 100))
        if action is None:
            self._end(findings.garbled(self.state, f"unexpected reply {reply.code}"), Trouble.GARBLED)
        else:
            action(self, reply)

    def _reset_refused(self, reply: Reply) -> None:
        self._end(findings.host_trouble(reply, self.state, self._terms.host), Trouble.REFUSED)

    def _reset(self, _reply: Reply) -> None:
        self._dirty = False
        self.state = State.MAIL
        if not self.offer.pipelining:
            assert self._consignment is not None
            self._output += mail_command(self._consignment, self.offer).encode("ascii")

    def _mail_accepted(self, _reply: Reply) -> None:
        self._dirty = True
        self._next_recipient(self._carried)

    def _mail_refused(self, reply: Reply) -> None:
        transfer = self._carried
        transfer.mail_refused(reply)
        if self.offer.pipelining:
            self.state = State.RCPT
        else:
            self._end_transaction()

    def _rcpt_answered(self, reply: Reply) -> None:
        transfer = self._carried
        transfer.rcpt_answered(reply)
        if transfer.recipients_left:
            self._next_recipient(transfer)
        elif self.offer.pipelining:
            self.state = State.DATA
        elif transfer.accepted:
            self._say(b"DATA\r\n", State.DATA)
        else:
            self._end_transaction()

    def _next_recipient(self, transfer: Transfer) -> None:
        self.state = State.RCPT
        if not self.offer.pipelining:
            self._output += transfer.rcpt_command().encode("ascii")

    def _content_wanted(self, _reply: Reply) -> None:
        """
        Ask for the content. Where no recipient was accepted there is none to send: the dot alone (RFC 2920 §3.1).
        """
        if self._carried.accepted:
            self.state = State.CONTENT
            self._encoder = DotEncoder()
            self._events.append(ContentWanted())
        else:
            self._say(b".\r\n", State.DOT)

    def _data_refused(self, reply: Reply) -> None:
        self._carried.content_refused(reply)
        self._end_transaction()

    def _content_accepted(self, reply: Reply) -> None:
        self._dirty = False
        self._carried.delivered(reply)
        self._end_transaction()

    def _content_refused(self, reply: Reply) -> None:
        self._dirty = False
        self._carried.content_refused(reply)
        self._end_transaction()

    def _refused_early(self, reply: Reply) -> None:
        self._end(findings.early(reply, self._terms.host), Trouble.REFUSED)

    # Moving -----------------------------------------------------------------------------------------------------

    @property
    def _carried(self) -> Transfer:
        assert self._transfer is not None
        return self._transfer

    def _end_transaction(self) -> None:
        self._events.append(self._carried.ended())
        self._transfer = self._consignment = None
        self.state = State.READY

    def _end(self, failure: TransientFailure, trouble: Trouble) -> None:
        """
        End the session at once; recipients without an outcome share its failure.
        """
        if self._transfer is not None:
            self._transfer.fail_open(failure)
            self._events.append(self._transfer.ended(session_over=True))
            self._transfer = self._consignment = None
        super()._end(failure, trouble)


ANSWERS: Final[Mapping[tuple[State, int], Callable[[ClientSession, Reply], None]]] = {  # absent: a protocol error
    **OPENING,
    (State.RSET, 2): ClientSession._reset,
    (State.RSET, 4): ClientSession._reset_refused,
    (State.RSET, 5): ClientSession._reset_refused,
    (State.MAIL, 2): ClientSession._mail_accepted,
    (State.MAIL, 4): ClientSession._mail_refused,
    (State.MAIL, 5): ClientSession._mail_refused,
    (State.RCPT, 2): ClientSession._rcpt_answered,
    (State.RCPT, 4): ClientSession._rcpt_answered,
    (State.RCPT, 5): ClientSession._rcpt_answered,
    (State.DATA, 3): ClientSession._content_wanted,
    (State.DATA, 4): ClientSession._data_refused,
    (State.DATA, 5): ClientSession._data_refused,
    (State.CONTENT, 4): ClientSession._refused_early,
    (State.CONTENT, 5): ClientSession._refused_early,
    (State.DOT, 2): ClientSession._content_accepted,
    (State.DOT, 4): ClientSession._content_refused,
    (State.DOT, 5): ClientSession._content_refused,
}
