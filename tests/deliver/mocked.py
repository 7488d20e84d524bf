"""
The small mail world with scripted peers of the test kit for its hosts.
"""

from __future__ import annotations

import random
from typing import cast

from twisted.internet.defer import Deferred

from empath.config.schema import Delivery as Section
from empath.deliver.routing import Routing
from empath.deliver.smtp import SmtpAgent
from empath.interfaces import IResolver
from empath.mail.attempt import Attempt
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Outcome
from empath.testing import MockServer, MockSmtpServer
from empath.testing.reactor import FakeReactor
from empath.testing.world import World
from tests.deliver.world import Reader, Resolver, message, spell


class MockedWorld:
    """
    An SMTP agent with two MX hosts for example.org, mx1 (192.0.2.1) before mx2 (192.0.2.2).
    """

    def __init__(self, section: Section | None = None, mx1: MockSmtpServer | None = None) -> None:
        self.world = World()
        self.mx1, self.mx2 = (self._serve(f"192.0.2.{at}", each) for at, each in ((1, mx1), (2, None)))
        self.resolver = Resolver(
            {
                ("example.org", "MX"): [(10, "mx1.example.org"), (20, "mx2.example.org")],
                ("mx1.example.org", "A"): ["192.0.2.1"],
                ("mx2.example.org", "A"): ["192.0.2.2"],
            }
        )
        section = section or Section()
        self.reactor = FakeReactor(self.world, lambda name: [])
        self.agent = SmtpAgent(
            self.reactor,
            cast("IResolver", self.resolver),
            lambda _: Reader([]),
            random.Random(1),
            section,
            "client.example.net",
            Routing(section).find,
            frozenset({"192.0.2.99"}),
        )

    def start(self, carried: Message | None = None) -> Deferred[tuple[Outcome, ...]]:
        """
        Start a delivery.
        """
        carried = carried or message()
        (delivery,) = deliveries_of(carried)
        delivering = self.agent.deliver(carried, delivery, Attempt(1, self.reactor.seconds()))
        return Deferred.fromCoroutine(_waited(delivering))

    def deliver(self, carried: Message | None = None) -> list[str]:
        """
        Make a delivery that ends without waiting, and spell its outcomes.
        """
        told: list[tuple[Outcome, ...]] = []
        self.start(carried).addCallback(told.append)
        self.world.settle()
        return spell(told[0])

    def _serve(self, address: str, builder: MockSmtpServer | None) -> MockServer:
        server = (builder or MockSmtpServer()).build(self.world)
        self.world.serve((address, 25), server)
        return server


def verbs(server: MockServer) -> list[str]:
    """
    Tell the verbs of all commands that came.
    """
    return [command.split(" ")[0] for command in server.commands]


async def _waited(delivering: object) -> tuple[Outcome, ...]:
    return await delivering  # type: ignore[misc, no-any-return]
