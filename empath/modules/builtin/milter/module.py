"""
The module `milter`: lets a mail filter that speaks the milter protocol judge and change mail.

Fatal: options that mean nothing. A milter that cannot be asked is a failure of the module, for which its `on_error`
stands; the next step of the session tries again. Nothing is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final

from zope.interface import implementer

from empath.modules import (
    IContent,
    ILifecycle,
    IModule,
    IServices,
    MaybeVerdict,
    Recipient,
    Session,
    Transaction,
)
from empath.modules import options as read
from empath.modules.builtin.milter.codec import NEWEST
from empath.modules.builtin.milter.conversation import Conversation
from empath.modules.builtin.milter.message import Terms
from empath.modules.builtin.milter.opening import Links, below, read_endpoint

_SWEEP: Final = 10.0  # seconds between looks at connections that wait for a session
_VERSIONS: Final = (2, 3, 4, NEWEST)


@implementer(IModule, ILifecycle)
class Milter:
    """
    Tells one milter of every session, and does what it says.

    `endpoint` is where it listens. `connect_timeout`, `command_timeout` and `content_timeout` bound the time to
    connect, for an answer, and for the answer to the end of a message; the module's own `timeout` and `data_timeout`
    bound each hook as a whole. `protocol` is the newest version that is offered. At most `max_connections` are open at
    a time, of which up to `keep` wait for the next session. `resolve` looks up clients' names. `max_body` bounds a
    body that it puts in the place of the client's. `macros` are told in place of what we know.
    """

    name = "milter"

    def __init__(
        self,
        endpoint: str = "tcp:127.0.0.1:11332",
        connect_timeout: str | float = "30s",
        command_timeout: str | float = "30s",
        content_timeout: str | float = "300s",
        protocol: int = NEWEST,
        max_connections: int = 1000,
        keep: int = 0,
        resolve: bool = True,
        max_body: str | int = "64MiB",
        macros: Mapping[str, str] | None = None,
    ) -> None:
        self._endpoint = read_endpoint(endpoint)
        self._connect_timeout = read.duration(connect_timeout, "connect_timeout")
        if protocol not in _VERSIONS:
            raise ValueError(f"protocol: 2, 3, 4 or {NEWEST}, not {protocol!r}")
        self._protocol = protocol
        self._limit = read.integer(max_connections, "max_connections", low=1)
        self._keep = read.integer(keep, "keep", high=self._limit)
        self._terms = Terms(
            read.duration(command_timeout, "command_timeout"),
            read.duration(content_timeout, "content_timeout"),
            read.size(max_body, "max_body"),
            _macros({} if macros is None else macros),
            read.flag(resolve, "resolve"),
        )
        self._conversations: dict[str, Conversation] = {}
        self._services: IServices | None = None
        self._links: Links | None = None

    def start(self, services: IServices) -> None:
        """
        Get ready; the milter itself is connected to when a client comes.
        """
        self._services = services
        endpoint = below(self._endpoint, services.folder)
        self._links = Links(services, endpoint, self._protocol, self._connect_timeout, self._limit, self._keep)
        if self._keep:
            services.every(_SWEEP, self._links.sweep)

    def stop(self) -> None:
        """
        End all connections.
        """
        conversations, self._conversations = self._conversations, {}
        for each in conversations.values():
            each.close()
        if self._links is not None:
            self._links.close()

    def connect(self, session: Session) -> Awaitable[MaybeVerdict] | None:
        """
        Tell of a client, unless the milter has no say before MAIL.
        """
        self.on_connection_closed(session)  # a proxy presents another client in its place
        conversation = self._conversation(session)
        return None if self._late() else conversation.connect()

    def ehlo(self, session: Session, name: str) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Tell what a client calls itself.
        """
        conversation = self._conversation(session)
        if conversation.over or conversation.settled is not None:
            return conversation.settled
        return None if self._late() and not conversation.open else conversation.hello(name)

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Tell of a transaction.
        """
        conversation = self._conversation(session)
        if conversation.over or conversation.settled is not None:
            return conversation.settled
        return conversation.mail(transaction)

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Tell of a recipient.
        """
        conversation = self._conversation(session)
        if conversation.over or conversation.passed is transaction or conversation.settled is not None:
            return conversation.settled
        return conversation.rcpt(transaction, recipient)

    def data(
        self, session: Session, transaction: Transaction, content: IContent
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Tell of a message, and make the changes that the milter wants.
        """
        conversation = self._conversation(session)
        if conversation.over or conversation.passed is transaction or conversation.settled is not None:
            return conversation.settled
        return conversation.content(transaction, content)

    def on_connection_closed(self, session: Session) -> None:
        """
        End the milter's connection.
        """
        conversation = self._conversations.pop(session.session_id, None)
        if conversation is not None:
            conversation.close()

    def _late(self) -> bool:
        return self._links is not None and self._links.late

    def _conversation(self, session: Session) -> Conversation:
        """
        Give what goes with a session; one that began before us begins here.
        """
        known = self._conversations.get(session.session_id)
        if known is None or known.session is not session:
            if known is not None:
                known.close()
            assert self._links is not None and self._services is not None
            known = Conversation(session, self._links, self._services, self._terms)
            self._conversations[session.session_id] = known
        return known


def _macros(macros: object) -> dict[str, str]:
    """
    Read macros as they are told: longer names in braces, whether they were written so or not.
    """
    if not isinstance(macros, Mapping):
        raise ValueError(f"macros: a table of names and texts, not {macros!r}")
    found = {}
    for name, value in macros.items():
        bare = name.removeprefix("{").removesuffix("}")
        if not bare.replace("_", "a").isalnum():
            raise ValueError(f"macros: no name of a macro: {name!r}")
        found[bare if len(bare) == 1 else f"{{{bare}}}"] = read.text(value, f"macros.{name}")
    return found
