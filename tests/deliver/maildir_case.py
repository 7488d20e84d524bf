"""
An agent on a maildir of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.deliver.maildir import MaildirAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Outcome
from empath.policy.route import Route
from tests.deliver.world import Reader, spell

DELIVERED = "Success 250 2.0.0"


def recorded(done: list[str], name: str, call: Callable[..., None]) -> Callable[..., None]:
    """
    Note each call.
    """

    def noted(*args: Any) -> None:
        done.append(name)
        call(*args)

    return noted


class MaildirCase(SynchronousTestCase):
    """
    An agent on a folder of its own, whose thread is this one.
    """

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()
        self.clock.advance(500)
        self.reader = Reader([])
        self.calls: list[tuple[Deferred[None], Callable[[], None]]] | None = None
        self.agent = self.restarted()

    def restarted(self) -> MaildirAgent:
        """
        Make the agent anew.
        """
        return MaildirAgent(self.clock, lambda _: self.reader, self.in_thread, lambda _: Route(path=self.path))

    def in_thread(self, call: Callable[[], None]) -> Deferred[None]:
        """
        Run at once, or keep it while `calls` is a list.
        """
        if self.calls is None:
            return execute(call)
        waiting: Deferred[None] = Deferred()
        self.calls.append((waiting, call))
        return waiting

    def start(self, carried: Message, number: int = 1) -> Deferred[tuple[Outcome, ...]]:
        """
        Start a delivery.
        """
        (delivery,) = deliveries_of(carried)
        return Deferred.fromCoroutine(self.agent.deliver(carried, delivery, Attempt(number, 0.0)))

    def deliver(self, carried: Message, number: int = 1) -> list[str]:
        """
        Make a delivery.
        """
        return spell(self.successResultOf(self.start(carried, number)))

    def names(self, folder: str = "new") -> list[str]:
        """
        List a folder.
        """
        return sorted(os.listdir(os.path.join(self.path, folder)))

    def texts(self) -> list[bytes]:
        """
        Read all new mail.
        """
        return [self.read(name) for name in self.names()]

    def read(self, name: str) -> bytes:
        """
        Read one new mail.
        """
        with open(os.path.join(self.path, "new", name), "rb") as file:
            return file.read()

    def refuse(self, name: str, code: int) -> None:
        """
        Let a call of the system fail.
        """

        def refused(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        self.patch(os, name, refused)
