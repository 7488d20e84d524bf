"""
Threads that are none, and messages to store.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.queue_id import new_queue_id

T = TypeVar("T")

HEADER = b"Received: from here\r\nSubject: test\r\n"


def at_once(call: Callable[[], T]) -> Deferred[T]:
    """
    Run a blocking call here and now.
    """
    try:
        return succeed(call())
    except Exception:
        return fail()


class HeldThread:
    """
    A thread that works when it is told to.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.held = True

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        if not self.held:
            return at_once(call)
        done: Deferred[Any] = Deferred()
        self.calls.append((call, done))
        return done

    def run(self) -> None:
        """
        Do the oldest call.
        """
        call, done = self.calls.pop(0)
        at_once(call).chainDeferred(done)

    def release(self) -> None:
        """
        Do all calls, and from now on each at once.
        """
        self.held = False
        while self.calls:
            self.run()


def an_address(text: str) -> Address:
    """
    Make an address of a plain text.
    """
    local, _, domain = text.partition("@")
    return Address(local, domain, text)


class Post:
    """
    Makes messages, each with its own queue id.
    """

    def __init__(self) -> None:
        self._chance = random.Random(7)
        self._now = 1_000_000.0

    def new_id(self) -> str:
        """
        Make a queue id.
        """
        self._now += 0.001
        return new_queue_id(self._now, self._chance)

    def message(
        self, *recipients: str, body: bytes = b"\r\nhello\r\n", queue_id: str = "", received: float = 1000.0
    ) -> Message:
        """
        Make a message to these, with everything in it that a spool must keep.
        """
        to = tuple(Recipient(an_address(text), {"NOTIFY": "NEVER"}) for text in recipients or ("bob@example.net",))
        return Message(
            queue_id or self.new_id(),
            received,
            Envelope(an_address("alice@example.org"), to, {"SIZE": "100", "BODY": "8BITMIME"}),
            HEADER,
            body,
            None,
            len(HEADER) + len(body),
            False,
            {"color": "blü"},
            "00-trace-01",
            1,
        )

    def with_deliveries(self, *recipients: str, **how: Any) -> tuple[Message, tuple[Delivery, ...]]:
        """
        Make a message and its first deliveries.
        """
        message = self.message(*recipients, **how)
        return message, deliveries_of(message)


def in_file(message: Message, body_file: str | None) -> Message:
    """
    Tell the same message with its body elsewhere.
    """
    return attrs.evolve(message, body=None, body_file=body_file)
