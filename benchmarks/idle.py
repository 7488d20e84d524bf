"""
Modules that do nothing, in three ways: what remains is what calling them costs.
"""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from empath.modules import (
    Answer,
    Attempt,
    IContent,
    IModule,
    IServices,
    Message,
    Recipient,
    Reply,
    Session,
    Transaction,
)

SIX = "".join(f'[[modules]]\nfactory = "benchmarks.idle:Idle"\nname = "idle-{number}"\n' for number in range(6))
FIRED = '[[modules]]\nfactory = "benchmarks.idle:Fired"\n'
TURN = '[[modules]]\nfactory = "benchmarks.idle:Turn"\n'


@implementer(IModule)
class Idle:
    """
    Implements every hook; each is a plain function that has no opinion.
    """

    name = "idle"

    def connect(self, session: Session) -> None:
        """
        Say nothing.
        """

    def ehlo(self, session: Session, name: str) -> None:
        """
        Say nothing.
        """

    def starttls(self, session: Session) -> None:
        """
        Say nothing.
        """

    def auth(self, session: Session, login: str) -> None:
        """
        Say nothing.
        """

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        Say nothing.
        """

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Say nothing.
        """

    def data(self, session: Session, transaction: Transaction, content: IContent) -> None:
        """
        Say nothing.
        """

    def on_connection_opened(self, session: Session) -> None:
        """
        Do nothing.
        """

    def on_connection_closed(self, session: Session) -> None:
        """
        Do nothing.
        """

    def on_smtp_error(self, session: Session, reply: Reply) -> None:
        """
        Do nothing.
        """

    def on_message_received(self, message: Message) -> None:
        """
        Do nothing.
        """

    def on_dns_lookup(self, lookup: Answer) -> None:
        """
        Do nothing.
        """

    def on_delivery_attempt(self, message: Message, attempt: Attempt) -> None:
        """
        Do nothing.
        """

    def on_delivery_success(self, message: Message, attempt: Attempt) -> None:
        """
        Do nothing.
        """

    def on_delivery_failure(self, message: Message, attempt: Attempt) -> None:
        """
        Do nothing.
        """


@implementer(IModule)
class Fired:
    """
    Awaits, at every validation point, a Deferred that has fired already.
    """

    name = "fired"

    async def wait(self) -> None:
        """
        Wait for what is there.
        """
        await succeed(None)

    async def connect(self, session: Session) -> None:
        """
        Say nothing, in a while.
        """
        await self.wait()

    async def ehlo(self, session: Session, name: str) -> None:
        """
        Say nothing, in a while.
        """
        await self.wait()

    async def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        Say nothing, in a while.
        """
        await self.wait()

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Say nothing, in a while.
        """
        await self.wait()

    async def data(self, session: Session, transaction: Transaction, content: IContent) -> None:
        """
        Say nothing, in a while.
        """
        await self.wait()


@implementer(IModule)
class Turn(Fired):
    """
    Waits, at every validation point, for the reactor's next turn.
    """

    name = "turn"

    def start(self, services: IServices) -> None:
        """
        Take the clock.
        """
        self.clock: IReactorTime = services.clock

    async def wait(self) -> None:
        """
        Wait for a turn.
        """
        await deferLater(self.clock, 0)
