"""
Modules that the end-to-end tests and the proofs configure: well-behaved, faulty and hostile ones.

They are loaded by empath's own process, with the repository on its PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.modules import (
    Attempt,
    IContent,
    IModule,
    IServices,
    Message,
    Recipient,
    Session,
    Transaction,
    Verdict,
    accept,
    blocking,
    discard,
    disconnect,
    refuse,
    tempfail,
)

MIB = 1024 * 1024
FOREVER = 10.0  # seconds that a thread is held up


def verdict(word: str, note: str) -> Verdict | None:
    """
    Give the verdict that a word names.
    """
    match word:
        case "accept":
            return accept()
        case "refuse":
            return refuse(f"550 5.7.1 refused: {note}", why=f"asked to: {note}")
        case "tempfail":
            return tempfail(f"451 4.7.1 not now: {note}")
        case "disconnect":
            return disconnect(f"421 4.7.0 go away: {note}")
        case "discard":
            return discard(why=f"asked to: {note}")
    return None


@implementer(IModule)
class Obedient:
    """
    Decides as the client's words ask: the first label of its EHLO name, the local parts, the subject. `note` is said
    in each reply.
    """

    name = "obedient"

    def __init__(self, note: str = "obedient", greet: str = "") -> None:
        self.note = note
        self.greet = greet

    def connect(self, session: Session) -> Verdict | None:
        """
        Decide as the option `greet` says.
        """
        return verdict(self.greet, self.note)

    def ehlo(self, session: Session, name: str) -> Verdict | None:
        """
        Decide by the name.
        """
        return verdict(name.partition(".")[0], self.note)

    async def mail_from(self, session: Session, transaction: Transaction) -> Verdict | None:
        """
        Decide by the reverse-path.
        """
        return verdict(transaction.reverse_path.local, self.note) if transaction.reverse_path else None

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> Awaitable[Verdict | None] | Verdict | None:
        """
        Decide by the forward-path, at a later turn of the reactor.
        """
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        clock: Any = reactor
        return deferLater(clock, 0.001, verdict, recipient.address.local, self.note)

    @blocking
    def data(self, session: Session, transaction: Transaction, content: IContent) -> Verdict | None:
        """
        Decide by the subject, in a thread.
        """
        return verdict(content.get("Subject") or "", self.note)


@implementer(IModule)
class Marked:
    """
    Notes at MAIL who accepts the message, and writes a line into `file` when it is delivered.
    """

    name = "marked"

    def __init__(self, file: str) -> None:
        self.file = file

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        The mark: something of the session, the process, and the message.
        """
        transaction.metadata["mark"] = f"{os.getpid()} {transaction.queue_id} {session.name}"

    def on_delivery_success(self, message: Message, attempt: Attempt) -> None:
        """
        Write down what is known now.
        """
        recipients = [state.address.text for state in attempt.results]
        line = json.dumps([message.queue_id, os.getpid(), message.metadata.get("mark", ""), recipients]) + "\n"
        with Path(self.file).open("ab", buffering=0) as record:
            record.write(line.encode())


# Faulty: empath does not start with these


@implementer(IModule)
class WrongSignature:
    """
    A hook that cannot be called as hooks are.
    """

    name = "wrong-signature"

    def rcpt_to(self, session: Session) -> None:
        """
        Never called.
        """


@implementer(IModule)
class WrongOption:
    """
    A constructor that does not like its options.
    """

    name = "wrong-option"

    def __init__(self, colour: str = "red") -> None:
        raise ValueError(f"colour: {colour!r} is not a colour of mail")


@implementer(IModule)
class NoStart:
    """
    A module that cannot begin.
    """

    name = "no-start"

    async def start(self, services: IServices) -> None:
        """
        Fail.
        """
        raise RuntimeError("the database is not there")


class NoModule:
    """
    Does not say that it is a module.
    """

    name = "no-module"


# Hostile: each only for recipients in its own domain


class Hostile:
    """
    Misbehaves for recipients in `domain`.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.kept: list[Deferred[None]] = []

    def meant(self, recipient: Recipient) -> bool:
        """
        Tell whether to misbehave.
        """
        return recipient.address.domain == self.domain


@implementer(IModule)
class Raises(Hostile):
    """
    Fails.
    """

    name = "raises"

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Raise.
        """
        if self.meant(recipient):
            raise RuntimeError("{a} hostile %s module\r\n\x1b[2J")


@implementer(IModule)
class Hangs(Hostile):
    """
    Waits for what takes an hour, and does not want to be cancelled.
    """

    name = "hangs"

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Wait, and wait again.
        """
        while self.meant(recipient):
            try:
                await Deferred()
            except Exception:
                if len(self.kept) > 100_000:
                    raise
                waiting: Deferred[None] = Deferred()
                self.kept.append(waiting)
                await waiting


@implementer(IModule)
class NeverFires(Hostile):
    """
    Returns a Deferred that never fires.
    """

    name = "never-fires"

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> Awaitable[Verdict | None] | None:
        """
        Wait for ever.
        """
        return Deferred() if self.meant(recipient) else None


@implementer(IModule)
class Garbage(Hostile):
    """
    Returns what is no verdict.
    """

    name = "garbage"

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Any:
        """
        Return nonsense.
        """
        return {"550": object()} if self.meant(recipient) else None


@implementer(IModule)
class Allocates(Hostile):
    """
    Takes 100 MB for a moment.
    """

    name = "allocates"

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Take memory, and touch it.
        """
        if self.meant(recipient):
            taken = bytearray(100 * MIB)
            taken[::4096] = b"x" * len(taken[::4096])


@implementer(IModule)
class Blocks(Hostile):
    """
    Holds up a thread.
    """

    name = "blocks"

    @blocking
    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Block.
        """
        if self.meant(recipient):
            time.sleep(FOREVER)


@implementer(IModule)
class Floods(Hostile):
    """
    Keeps megabytes with the message.
    """

    name = "floods"

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Fill the metadata.
        """
        if self.meant(recipient):
            transaction.metadata.update((f"key {number}", "x" * 1000) for number in range(5000))


HOSTILE = (Raises, Hangs, NeverFires, Garbage, Allocates, Blocks, Floods)
