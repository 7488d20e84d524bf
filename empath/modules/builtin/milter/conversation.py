"""
One SMTP session as one milter is told of it, over one connection after another where the milter loses them.

Each step first makes sure that the milter knows what came before it. What fails raises MilterError, for which the
module's `on_error` stands; the next step begins with a new connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.logger import Logger

from empath.modules import (
    Action,
    Address,
    IContent,
    IServices,
    MaybeVerdict,
    Recipient,
    Session,
    Transaction,
    Verdict,
)
from empath.modules.builtin.milter.changes import Changes
from empath.modules.builtin.milter.codec import (
    Command,
    MilterError,
    connect_content,
    texts,
)
from empath.modules.builtin.milter.dialogue import State
from empath.modules.builtin.milter.link import MilterLink
from empath.modules.builtin.milter.macros import content_macros, mail_macros, rcpt_macros, session_macros
from empath.modules.builtin.milter.message import Terms, envelope_content, tell_message
from empath.modules.builtin.milter.names import client_names
from empath.modules.builtin.milter.opening import Links
from empath.modules.builtin.milter.said import (
    Answer,
    Kind,
)
from empath.modules.builtin.milter.verdicts import verdict_of

_NOWHERE: Final = "0.0.0.0"
_OF_SESSION: Final = frozenset({Command.CONNECT, Command.HELO})
_IN_TRANSACTION: Final = frozenset({State.ENVELOPE, State.CONTENT})

log = Logger()


class Conversation:
    """
    What one milter knows of one session. `over` tells that it is told no more of the session, `settled` is what it
    decided about all of it, `passed` the transaction that it is told no more of.
    """

    __slots__ = (
        "_closed",
        "_link",
        "_links",
        "_names",
        "_services",
        "_terms",
        "_told",
        "over",
        "passed",
        "session",
        "settled",
    )

    def __init__(self, session: Session, links: Links, services: IServices, terms: Terms) -> None:
        self.session = session
        self._links = links
        self._services = services
        self._terms = terms
        self._link: MilterLink | None = None
        self._names: tuple[str, str] | None = None
        self._told: Transaction | None = None
        self._closed = False
        self.over = False
        self.settled: Verdict | None = None
        self.passed: Transaction | None = None

    @property
    def open(self) -> bool:
        """
        Whether the milter has heard of the session, and still listens.
        """
        return self._link is not None and self._link.usable

    def close(self) -> None:
        """
        End the connection, also one that is being made.
        """
        self._closed = True
        self._abort()
        link, self._link = self._link, None
        if link is not None:
            self._links.release(link)

    async def connect(self) -> MaybeVerdict:
        """
        Tell of the client.
        """
        try:
            return await self._begin("")
        except BaseException:
            self._lose()
            raise

    async def hello(self, name: str) -> MaybeVerdict:
        """
        Tell what the client calls itself; that ends a transaction (RFC 5321 §4.1.4).
        """
        try:
            self._abort()
            if self.open:
                return await self._hello(name)
            return await self._begin(name)
        except BaseException:
            self._lose()
            raise

    async def mail(self, transaction: Transaction) -> MaybeVerdict:
        """
        Tell of a new transaction.
        """
        try:
            return await self._catch_up(transaction, ())
        except BaseException:
            self._lose()
            raise

    async def rcpt(self, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Tell of a recipient.
        """
        try:
            verdict = await self._catch_up(transaction, transaction.recipients)
            if verdict is not None or self._done(transaction):
                return verdict
            return await self._rcpt(transaction, recipient)
        except BaseException:
            self._lose()
            raise

    async def content(self, transaction: Transaction, content: IContent) -> MaybeVerdict:
        """
        Tell of the message, and make the changes that the milter wants.
        """
        changes = Changes(self._services, self._terms.max_body, "SMTPUTF8" in transaction.parameters)
        try:
            verdict = await self._catch_up(transaction, transaction.recipients)
            if verdict is None and not self._done(transaction):
                verdict = await self._message(transaction, content, changes)
        except BaseException:
            self._lose()
            changes.close()
            raise
        try:
            if verdict is None:
                await changes.apply(transaction, content)
        finally:
            changes.close()
        return verdict

    # What came before

    async def _catch_up(self, transaction: Transaction, recipients: Sequence[Recipient]) -> MaybeVerdict:
        """
        Make sure that the milter knows of the transaction. What it says of recipients that were accepted without it
        counts only if it is about the whole message.
        """
        if self.open and self._told is transaction:
            return None
        self._abort()
        if not self.open:
            verdict = await self._begin(self.session.name)
            if verdict is not None or self.over:
                return verdict
        self._told = transaction
        known = self._known(transaction)
        said = envelope_content(transaction.reverse_path, transaction.parameters)
        verdict = self._judge(await self._ask(Command.MAIL, said, known), Command.MAIL)
        for recipient in recipients:
            if verdict is not None or self.passed is transaction:
                break
            heard = await self._rcpt(transaction, recipient)
            verdict = heard if heard is not None and heard.action in (Action.DISCONNECT, Action.DISCARD) else None
        return verdict

    async def _begin(self, name: str) -> MaybeVerdict:
        """
        Open a connection and tell of the session so far.
        """
        if self._names is None:
            self._names = await client_names(self.session, self._services, self._terms.resolve)
        self._lose()
        self._link = await self._links.open()
        if self._closed:
            raise MilterError("the session is over")
        session = self.session
        said = connect_content(self._names[0], "" if session.peer == _NOWHERE else session.peer, session.port)
        verdict = self._judge(await self._ask(Command.CONNECT, said, self._known()), Command.CONNECT)
        if verdict is not None or self.over or not name:
            return verdict
        return await self._hello(name)

    async def _hello(self, name: str) -> MaybeVerdict:
        return self._judge(await self._ask(Command.HELO, texts(name), self._known()), Command.HELO)

    async def _rcpt(self, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        address: Address = recipient.address
        known = self._known(transaction) | rcpt_macros(address, self._services.local(address))
        said = envelope_content(address, recipient.parameters)
        return self._judge(await self._ask(Command.RCPT, said, known), Command.RCPT)

    # The message

    async def _message(self, transaction: Transaction, content: IContent, changes: Changes) -> MaybeVerdict:
        known = self._known(transaction) | content_macros(transaction, content.get("Message-ID"))
        answer = await tell_message(self._connected(), content, known, self._terms, changes.take)
        self._abort()
        verdict = self._judge(answer, Command.END_OF_MESSAGE)
        self.passed = transaction
        return verdict

    # What it says

    def _judge(self, answer: Answer, command: Command) -> MaybeVerdict:
        """
        Do what an answer means. What it says to CONNECT and HELO counts for the whole session.
        """
        kind, of_session = answer.kind, command in _OF_SESSION
        if kind in (Kind.CONTINUE, Kind.SKIP):
            return None
        self._services.count(kind.name.lower())
        if kind is Kind.DISCARD and of_session:
            log.warn("session {session}: DISCARD before MAIL means nothing", session=self.session.session_id)
            return None
        verdict = verdict_of(answer)
        if of_session or (verdict is not None and verdict.action is Action.DISCONNECT):
            self.over, self.settled = True, verdict
            self.close()
        elif kind in (Kind.ACCEPT, Kind.DISCARD):
            self.passed = self._told
        return verdict

    # Within

    def _done(self, transaction: Transaction) -> bool:
        return self.over or self.passed is transaction

    async def _ask(self, command: Command, said: bytes, known: dict[str, str] | None = None) -> Answer:
        return await self._connected().ask(command, self._terms.command, said, known)

    def _connected(self) -> MilterLink:
        if self._link is None:
            raise MilterError("the session is over")
        return self._link

    def _known(self, transaction: Transaction | None = None) -> dict[str, str]:
        client, pointer = self._names or ("unknown", "")
        known = session_macros(self.session, self._services.hostname, client, pointer)
        if transaction is not None:
            known |= mail_macros(transaction)
        return known | self._terms.macros

    def _abort(self) -> None:
        """
        End the transaction that the milter knows of.
        """
        self._told = None
        link = self._link
        if link is not None and link.dialogue.awaiting is None and link.dialogue.state in _IN_TRANSACTION:
            link.tell(Command.ABORT)

    def _lose(self) -> None:
        """
        Cut the connection: nobody knows any more where the milter stands.
        """
        link, self._link, self._told = self._link, None, None
        if link is not None:
            link.fail(MilterError("given up"))
