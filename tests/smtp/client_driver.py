"""
A client session fed from a script: what a server says, turn by turn.
"""

from __future__ import annotations

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.smtp.client import ClientSession
from empath.smtp.client_events import (
    Consignment,
    ContentWanted,
    Event,
    Ready,
    SessionEnded,
    StartTls,
    State,
    Terms,
    TransactionEnded,
)

CONTENT = b"Subject: x\r\n\r\n.hidden\r\n"
SENT = b"Subject: x\r\n\r\n..hidden\r\n.\r\n"
PIPELINING = b"250-mx.example.org\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
PLAIN = b"250 mx.example.org\r\n"
TERMS = Terms("client.example.net", "mx.example.org")


def address(text: str) -> Address:
    """
    Make an address of a simple text.
    """
    local, _, domain = text.partition("@")
    return Address(local, domain, text)


def consignment(*recipients: str, sender: str | None = "a@example.net", **changes: object) -> Consignment:
    """
    Make a small consignment.
    """
    made = Consignment(
        None if sender is None else address(sender),
        tuple(Recipient(address(text)) for text in recipients or ("b@example.org",)),
        len(CONTENT),
        False,
    )
    return attrs.evolve(made, **changes)  # type: ignore[arg-type]  # the tests name real fields


class Driver:
    """
    Feeds a session and does what its events ask for. `events` and `written` record everything.
    """

    def __init__(self, terms: Terms = TERMS, *, bytewise: bool = False) -> None:
        self.session = ClientSession(terms)
        self.events: list[Event] = []
        self.written = b""
        self.bytewise = bytewise
        self.todo: list[Consignment] = []
        self.content = CONTENT

    def say(self, *turns: bytes) -> Driver:
        """
        Let the server say each turn, and act on what came of it when the turn is over.
        """
        for turn in turns:
            pieces = [turn[i : i + 1] for i in range(len(turn))] if self.bytewise else [turn]
            told: list[Event] = []
            for piece in pieces:
                told += self.session.receive(piece)
                self.written += self.session.take_output()
            self.act(told)
        return self

    def act(self, told: list[Event]) -> None:
        """
        Record events, and obey those of a session that is not over.
        """
        self.events += told
        for event in told:
            match event:
                case StartTls() if self.session.state is State.HANDSHAKE:
                    self.act(self.session.secured())
                case ContentWanted() if self.session.state is State.CONTENT:
                    self.written += self.session.content(self.content) + self.session.end_content()
                case ContentWanted() if self.session.state is State.BDAT:
                    self.give_chunks()
                case Ready() | TransactionEnded() if self.todo and self.session.state is State.READY:
                    self.begin(self.todo.pop(0))
                case _:
                    pass
        self.written += self.session.take_output()

    def give_chunks(self) -> None:
        """
        Give as much as there is room for.
        """
        session = self.session
        while session.state is State.BDAT and (room := session.room):
            begin = len(self.content) - session.left
            self.written += session.content(self.content[begin : begin + room])

    def begin(self, carried: Consignment, *, last: bool = False) -> Driver:
        """
        Begin a transaction.
        """
        self.act(self.session.begin(carried, last=last))
        return self

    def opened(self, ehlo: bytes = PIPELINING) -> Driver:
        """
        Let the session become ready, and forget how.
        """
        self.say(b"220 hello\r\n", ehlo)
        assert self.session.state is State.READY, self.session.state
        self.events.clear()
        self.written = b""
        return self

    def ended(self) -> TransactionEnded:
        """
        Give the one transaction that ended.
        """
        (event,) = (event for event in self.events if isinstance(event, TransactionEnded))
        return event

    def over(self) -> SessionEnded:
        """
        Give the end of the session.
        """
        (event,) = (event for event in self.events if isinstance(event, SessionEnded))
        return event

    def codes(self) -> list[str]:
        """
        Spell the outcomes of the one transaction.
        """
        return [f"{type(outcome).__name__} {outcome.reply.code}" for outcome in self.ended().outcomes]
