"""
Small fakes for the tests of modules.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock, LoopingCall
from zope.interface import implementer

from empath.mail.address import Address, parse_address
from empath.mail.answer import Answer
from empath.mail.envelope import Recipient
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.modules import IServices, IStorage
from empath.receive.content import Content


@implementer(IServices)
class FakeServices:
    """
    Services without a machine: threads run at once, `counted` holds the counters, `clock` moves what is repeated.
    """

    storage: IStorage

    def __init__(self, folder: str = "/nowhere", domains: frozenset[str] = frozenset()) -> None:
        self.hostname = "mx.example.org"
        self.clock = Clock()
        self.chance = random.Random(1)
        self.domains = domains
        self.folder = Path(folder)
        self.counted: dict[str, int] = {}
        self.threads = 0

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        There is no DNS.
        """
        raise NotImplementedError

    def verify(self, address: Address) -> Awaitable[Reply]:
        """
        There is no next hop.
        """
        raise NotImplementedError

    def connect(self, endpoint: str, factory: Any) -> Deferred[Any]:
        """
        There is no network.
        """
        raise NotImplementedError

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run it at once.
        """
        self.threads += 1
        return execute(call)

    def every(self, seconds: float, call: Callable[[], object]) -> None:
        """
        Repeat by the clock.
        """
        looping = LoopingCall(call)
        looping.clock = self.clock
        looping.start(seconds, now=False)

    def count(self, event: str, amount: int = 1) -> None:
        """
        Add to `counted`.
        """
        self.counted[event] = self.counted.get(event, 0) + amount

    def local(self, address: Address) -> bool:
        """
        Look into `domains`.
        """
        return address.domain in self.domains


def session(peer: str = "192.0.2.1", **also: Any) -> Session:
    """
    Make a session.
    """
    return Session(
        **{"session_id": "s", "port": 1, "listener": "tcp:25", "kind": "mta", "opened": 0.0, **also}, peer=peer
    )


def transaction(reverse_path: str | None = "sender@example.com", **also: Any) -> Transaction:
    """
    Make a transaction; None or "" is the null reverse-path.
    """
    path = parse_address(reverse_path) if reverse_path else None
    return Transaction(**{"queue_id": "Q1", "started": 0.0, "parameters": {}, **also}, reverse_path=path)


def recipient(address: str = "user@example.org") -> Recipient:
    """
    Make a recipient.
    """
    return Recipient(parse_address(address))


class NoWriter:
    """
    The writer of a body that nobody asks for.
    """

    size = 0
    body = b""


def header_content(block: bytes, utf8: bool = False) -> Content:
    """
    Make the content of a message of which only the header block matters.
    """
    writer: Any = NoWriter()
    return Content(block, writer, False, utf8, 0)
