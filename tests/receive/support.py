"""
Reception with everything around it replaced by what records.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config.schema import Listener, Smtp
from empath.errors import SpoolError
from empath.interfaces import (
    IAuthenticator,
    IBodyReader,
    IContentWriter,
    IDecisions,
    IJudgedContent,
    MaybeVerdict,
)
from empath.mail.envelope import Recipient
from empath.mail.idempotency import Accepted, Claim
from empath.mail.life import CommandAnswered, ConnectionClosed, LifeEvent
from empath.mail.message import Delivery, Message
from empath.mail.session import Session, Transaction
from empath.policy.throttle import Throttle
from empath.receive.factory import SmtpFactory
from empath.receive.idempotent import Idempotency
from empath.receive.sessions import Sessions
from empath.receive.terms import Surroundings, terms_of
from empath.smtp.scram import ScramVerifier
from empath.spool.body import BodyInMemory, BodyLost

HOSTNAME = "mx.example.org"
EPOCH = 1795257600.0
BEGIN = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
Answer = MaybeVerdict | Awaitable[MaybeVerdict]


@implementer(IContentWriter)
class FakeWriter:
    """
    A writer that does as its spool says.
    """

    def __init__(self, spool: FakeSpool) -> None:
        self.spool = spool
        self.content = b""
        self.body_file = None
        self.aborted = 0

    @property
    def size(self) -> int:
        """
        Bytes so far.
        """
        return len(self.content)

    @property
    def body(self) -> bytes:
        """
        All of it.
        """
        return self.content

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        Take a piece, or trouble.
        """
        if self.spool.write_error is not None:
            raise self.spool.write_error
        self.content += data
        return self.spool.slow_write

    def open(self) -> IBodyReader:
        """
        Read what was written.
        """
        return BodyLost("the content is gone") if self.aborted else BodyInMemory(self.content)

    def clear(self) -> Awaitable[None] | None:
        """
        Begin again, or trouble.
        """
        if self.spool.write_error is not None:
            raise self.spool.write_error
        self.content = b""
        return self.spool.slow_clear

    def commit(self, message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None = None) -> Deferred[None]:
        """
        Store at once, or when `slow_commit` fires; what is claimed is known once it is stored.
        """
        self.spool.committed.append((message, deliveries))
        done: Deferred[None] = succeed(None) if self.spool.slow_commit is None else self.spool.slow_commit
        if claim is not None:
            done.addCallback(lambda _: self.spool.claims.append((message.queue_id, claim)))
        return done

    def abort(self) -> None:
        """
        Count it.
        """
        self.aborted += 1


class FakeSpool:
    """
    Opens writers.
    """

    def __init__(self) -> None:
        self.writers: list[FakeWriter] = []
        self.committed: list[tuple[Message, tuple[Delivery, ...]]] = []
        self.begin_error: SpoolError | None = None
        self.write_error: Exception | None = None
        self.slow_write: Deferred[None] | None = None
        self.slow_clear: Deferred[None] | None = None
        self.slow_commit: Deferred[None] | None = None
        self.claims: list[tuple[str, Claim]] = []
        self.unreadable: SpoolError | None = None

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        Tell what was claimed, or trouble.
        """
        if self.unreadable is not None:
            return fail(self.unreadable)
        known = [each for each in self.claims if each[1].digest == claim and each[1].until > now]
        return succeed([Accepted(queue_id, each.recipients) for queue_id, each in known])

    def begin(self, queue_id: str) -> IContentWriter:
        """
        Open one.
        """
        if self.begin_error is not None:
            raise self.begin_error
        self.writers.append(FakeWriter(self))
        writer: IContentWriter = self.writers[-1]
        return writer


@implementer(IDecisions)
class FakeDecisions:
    """
    Answers each stage with what `answers` has for it, None by default; records what was asked. `judge` is called with
    transaction and content where there is no answer for "data".
    """

    judge: Callable[[Transaction, IJudgedContent], Answer] | None = None
    judges_data = True

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[tuple[str, object]] = []

    def connect(self, session: Session) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("connect", session)

    def ehlo(self, session: Session, name: str) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("ehlo", name)

    def starttls(self, session: Session) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("starttls", session)

    def auth(self, session: Session, login: str) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("auth", login)

    def mail_from(self, session: Session, transaction: Transaction) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("mail_from", transaction)

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Answer:
        """
        As IDecisions.
        """
        return self._answer("rcpt_to", recipient)

    def data(self, session: Session, transaction: Transaction, content: IJudgedContent) -> Answer:
        """
        As IDecisions.
        """
        if self.judge is not None:
            return self.judge(transaction, content)
        return self._answer("data", content)

    def _answer(self, stage: str, subject: object) -> Answer:
        self.asked.append((stage, subject))
        answer = self.answers.get(stage)
        return answer() if callable(answer) else answer


class Transport(StringTransport):
    """
    Remembers that it was cut, too.
    """

    aborted = False

    def abortConnection(self) -> None:
        """
        Cut it.
        """
        self.aborted = True
        super().abortConnection()


class Client:
    """
    One client: its transport, and the protocol at the other end.
    """

    def __init__(self, factory: IProtocolFactory, address: IAddress) -> None:
        self.transport = Transport()
        protocol = factory.buildProtocol(address)
        assert protocol is not None
        self.protocol = protocol
        protocol.makeConnection(self.transport)

    def heard(self) -> bytes:
        """
        Tell what was said since the last time.
        """
        said: bytes = self.transport.value()
        self.transport.clear()
        return said

    def say(self, data: bytes) -> bytes:
        """
        Send bytes, tell the replies that come at once.
        """
        self.protocol.dataReceived(data)
        return self.heard()

    def lose(self) -> None:
        """
        Go away.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def hung_up(self) -> bool:
        """
        Whether the server closed.
        """
        return self.transport.disconnecting


@implementer(IAuthenticator)
class FakeAuthenticator:
    """
    Knows "tim", whose password, and token, is "tanstaaf"; `slow` is waited for first, if it is there.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.slow: Deferred[None] | None = None

    def mechanisms(self) -> tuple[str, ...]:
        """
        As IAuthenticator.
        """
        return self.names

    async def check_password(self, login: str, password: str) -> str | None:
        """
        As IAuthenticator.
        """
        if self.slow is not None:
            await self.slow
        return login if (login, password) == ("tim", "tanstaaf") else None

    async def check_token(self, login: str, token: str) -> str | None:
        """
        As IAuthenticator.
        """
        return await self.check_password("tim", token)

    def scram_verifier(self, login: str) -> ScramVerifier:
        """
        As IAuthenticator.
        """
        salted = hashlib.pbkdf2_hmac("sha256", b"tanstaaf" if login == "tim" else b"", b"salt", 4096)
        key = hmac.digest(salted, b"Client Key", "sha256")
        return ScramVerifier(b"salt", 4096, hashlib.sha256(key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


class World:
    """
    A listener and its surroundings.
    """

    def __init__(
        self,
        smtp: Smtp | None = None,
        listener: Listener | None = None,
        mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
    ) -> None:
        smtp = smtp or Smtp()
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self.spool = FakeSpool()
        self.decisions = FakeDecisions()
        self.events: list[LifeEvent] = []
        self.took: list[tuple[str, float]] = []
        self.stored: list[tuple[Message, tuple[Delivery, ...]]] = []
        self.trusted = {"127.0.0.1"}
        self.authenticator = FakeAuthenticator(mechanisms)
        self.held = ""
        self.told_of_expansion: Deferred[None] | None = None
        self.idempotency = Idempotency(self.spool.accepted, self.clock, 86400.0)
        self.around = Surroundings(
            hostname=HOSTNAME,
            postmaster="boss@example.org",
            clock=self.clock,
            chance=random.Random(1),
            decisions=self.decisions,
            begin=self.spool.begin,
            trusts=lambda peer: peer in self.trusted,
            emit=self.events.append,
            on_stored=lambda message, deliveries: self.stored.append((message, deliveries)),
            command_took=lambda verb, seconds: self.took.append((verb, seconds)),
            authenticator=self.authenticator,
            throttle=Throttle(3, 600.0),
            held=lambda message: self.held,
            idempotency=self.idempotency,
            on_expanded=lambda message, expanded: self.told_of_expansion,
        )
        self.sessions = Sessions(self.clock, smtp.max_connections, smtp.max_connections_per_client)
        self.factory = SmtpFactory(terms_of(listener or Listener(), smtp, HOSTNAME), self.around, self.sessions)

    def connect(self, host: str = "192.0.2.7") -> Client:
        """
        Connect a client.
        """
        return Client(self.factory, IPv4Address("TCP", host, 4321))

    def begun(self, host: str = "192.0.2.7") -> Client:
        """
        Connect a client and bring it to where the content is awaited.
        """
        client = self.connect(host)
        client.say(BEGIN)
        return client

    def refusals(self) -> list[str]:
        """
        Tell the refusals that were told, as "VERB reply".
        """
        return [f"{event.verb} {event.reply}" for event in self.events if isinstance(event, CommandAnswered)]

    def reasons(self) -> list[str]:
        """
        Tell why sessions ended.
        """
        return [event.reason for event in self.events if isinstance(event, ConnectionClosed)]


def changed(**changes: object) -> Smtp:
    """
    Make an [smtp] that differs from the defaults.
    """
    return attrs.evolve(Smtp(), **changes)  # type: ignore[arg-type]  # names and types are checked by attrs' users
