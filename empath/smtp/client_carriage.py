"""
The transactions of a client session: envelope, content in DATA or in chunks, and what the server says to each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from empath.mail.outcome import TransientFailure
from empath.mail.reply import Reply
from empath.smtp import client_findings as findings
from empath.smtp.client_chunks import Chunks
from empath.smtp.client_events import Consignment, ContentWanted, State, Terms, Trouble
from empath.smtp.client_opening import Opening
from empath.smtp.client_transfer import Transfer
from empath.smtp.content import DotEncoder

NO_BDAT: Final = range(500, 505)  # what a server says that does not know BDAT, whatever it offered


class Carriage(Opening):
    """
    The states of a transaction. Content goes in chunks (RFC 3030) where it is binary, or where the edge prefers it and
    the server offers it; `ahead`: one chunk may go before the one in front of it is answered.
    """

    ahead: ClassVar[bool] = True
    transfers: ClassVar[type[Transfer]] = Transfer

    __slots__ = ("_chunks", "_dirty", "_encoder", "_last", "_leaving", "_mail", "_transfer")

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._dirty = False
        self._last = self._leaving = False  # no transaction follows this one; QUIT went with its final dot
        self._mail = b""
        self._transfer: Transfer | None = None
        self._chunks: Chunks | None = None
        self._encoder = DotEncoder()

    def _begin(self, consignment: Consignment, host: str) -> None:
        """
        Say the first commands: with PIPELINING (RFC 2920) all of the envelope at once, and DATA with it; chunks wait
        for a recipient that is accepted, and a probe has none.
        """
        offer = self.offer
        guarded = self._terms.guarded and self.secure
        transfer = self._transfer = self.transfers(consignment, host or self._terms.host, offer, guarded=guarded)
        transfer.check()
        if not transfer.asked:
            self._end_transaction()
            return
        mail = transfer.mail_command(authenticated=self._terms.credentials is not None)
        self._chunks = None
        if (consignment.chunked or consignment.binary) and offer.chunking:
            self._chunks = Chunks(consignment.size, pipelined=offer.pipelining and self.ahead)
        if offer.pipelining:
            data = "DATA\r\n" if self._chunks is None and not consignment.probe else ""
            commands = f"{mail}{transfer.rcpt_commands()}{data}".encode()
            self._say(b"RSET\r\n" + commands if self._dirty else commands, State.RSET if self._dirty else State.MAIL)
        elif self._dirty:
            self._mail = mail.encode()
            self._say(b"RSET\r\n", State.RSET)
        else:
            self._say(mail.encode(), State.MAIL)

    # The envelope -----------------------------------------------------------------------------------------------

    def _reset_refused(self, reply: Reply) -> None:
        self._end(findings.host_trouble(reply, self.state, self._terms.host), Trouble.REFUSED)

    def _reset(self, _reply: Reply) -> None:
        self._dirty = False
        self.state = State.MAIL
        if not self.offer.pipelining:
            self._output += self._mail

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
        elif transfer.probe:
            self._end_transaction()
        elif self._chunks is None and self.offer.pipelining:
            self.state = State.DATA
        elif not transfer.accepted:
            self._end_transaction()
        elif self._chunks is None:
            self._say(b"DATA\r\n", State.DATA)
        else:
            self.state = State.BDAT
            self._events.append(ContentWanted())

    def _next_recipient(self, transfer: Transfer) -> None:
        self.state = State.RCPT
        if not self.offer.pipelining:
            self._output += transfer.rcpt_command().encode()

    # Content in DATA --------------------------------------------------------------------------------------------

    def _content_wanted(self, _reply: Reply) -> None:
        """
        Ask for the content. Where no recipient was accepted there is none to send: the dot alone (RFC 2920 §3.1). What
        was said before that can be no answer to it, and all later answers would be to something else.
        """
        if self._carried.accepted:
            self.state = State.CONTENT
            self._encoder = DotEncoder()
            self._events.append(ContentWanted())
        elif self._reader.residue:
            self._end(findings.garbled(self.state, "a reply to what was not said yet"), Trouble.GARBLED)
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

    # Content in chunks ------------------------------------------------------------------------------------------

    def _chunk_accepted(self, reply: Reply) -> None:
        """
        Ask for more, if a chunk was given whole that this can be an answer to.
        """
        chunks = self._sent_chunks
        if not chunks.unanswered:
            self._end(findings.garbled(self.state, f"unexpected reply {reply.code}"), Trouble.GARBLED)
            return
        chunks.answered()
        self._events.append(ContentWanted())

    def _chunk_refused(self, reply: Reply) -> None:
        """
        Give up the message. In the middle of a chunk only the connection's end can stop it; behind whole ones that are
        not answered the server's "no" to each is waited for. RSET follows with the next MAIL (RFC 3030 §2).
        """
        chunks = self._sent_chunks
        if not chunks.unanswered:
            self._refused_early(reply)
            return
        if reply.code in NO_BDAT:
            self._bdat_unknown(reply)
            return
        self._carried.content_refused(reply)
        chunks.answered()
        if not chunks.between:
            self._end(findings.early(reply, self._terms.host), Trouble.OURS)
        elif chunks.unanswered:
            self.state = State.SPOILED
        else:
            self._end_transaction()

    def _bdat_unknown(self, reply: Reply) -> None:
        """
        Leave a server that does not know its own BDAT at once: it may have taken the chunk for commands.
        """
        self._end(findings.host_trouble(reply, self.state, self._terms.host), Trouble.CHUNKING)

    def _spoiled(self, _reply: Reply) -> None:
        """
        The one chunk that was ahead of the refused one is answered, too.
        """
        self._end_transaction()

    def _last_accepted(self, reply: Reply) -> None:
        """
        Only the answer to the last chunk takes the message, and none after a refused one (that has its outcome).
        """
        chunks = self._sent_chunks
        chunks.answered()
        if not chunks.unanswered:
            self._dirty = False
            self._carried.delivered(reply)
            self._end_transaction()

    def _last_refused(self, reply: Reply) -> None:
        if reply.code in NO_BDAT:
            self._bdat_unknown(reply)
            return
        chunks = self._sent_chunks
        chunks.answered()
        self._carried.content_refused(reply)
        if chunks.unanswered:
            self.state = State.SPOILED
        else:
            self._end_transaction()

    # Moving -----------------------------------------------------------------------------------------------------

    @property
    def _carried(self) -> Transfer:
        assert self._transfer is not None
        return self._transfer

    @property
    def _sent_chunks(self) -> Chunks:
        assert self._chunks is not None
        return self._chunks

    def _end_transaction(self) -> None:
        self._events.append(self._carried.ended())
        self._transfer = None
        self.state = State.QUIT if self._leaving else State.READY

    def _end(self, failure: TransientFailure, trouble: Trouble) -> None:
        """
        End the session at once; recipients without an outcome share its failure.
        """
        if self._transfer is not None:
            self._transfer.fail_open(failure)
            self._events.append(self._transfer.ended(session_over=True))
            self._transfer = None
        super()._end(failure, trouble)


CARRIAGE: Final[Mapping[tuple[State, int], Callable[[Carriage, Reply], None]]] = {
    (State.RSET, 2): Carriage._reset,
    (State.RSET, 4): Carriage._reset_refused,
    (State.RSET, 5): Carriage._reset_refused,
    (State.MAIL, 2): Carriage._mail_accepted,
    (State.MAIL, 4): Carriage._mail_refused,
    (State.MAIL, 5): Carriage._mail_refused,
    (State.RCPT, 2): Carriage._rcpt_answered,
    (State.RCPT, 4): Carriage._rcpt_answered,
    (State.RCPT, 5): Carriage._rcpt_answered,
    (State.DATA, 3): Carriage._content_wanted,
    (State.DATA, 4): Carriage._data_refused,
    (State.DATA, 5): Carriage._data_refused,
    (State.CONTENT, 4): Carriage._refused_early,
    (State.CONTENT, 5): Carriage._refused_early,
    (State.DOT, 2): Carriage._content_accepted,
    (State.DOT, 4): Carriage._content_refused,
    (State.DOT, 5): Carriage._content_refused,
    (State.BDAT, 2): Carriage._chunk_accepted,
    (State.BDAT, 4): Carriage._chunk_refused,
    (State.BDAT, 5): Carriage._chunk_refused,
    (State.LAST, 2): Carriage._last_accepted,
    (State.LAST, 4): Carriage._last_refused,
    (State.LAST, 5): Carriage._last_refused,
    (State.SPOILED, 2): Carriage._spoiled,
    (State.SPOILED, 4): Carriage._spoiled,
    (State.SPOILED, 5): Carriage._spoiled,
}
