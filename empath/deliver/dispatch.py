"""
The agent of all agents: each delivery goes to the one that its route's strategy names.

Fatal: nothing. Retried: mail for a strategy that nobody carries out, and mail that a module redirected to a route
that is not there any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Protocol, runtime_checkable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.deliver.routing import Routing
from empath.deliver.signed import APART, Signing
from empath.deliver.stepped import OF_MANY, in_one_step
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, Scope, TransientFailure
from empath.mail.reply import Reply

OTHERS: Final = ""  # the agent of all strategies that no other one carries out

NO_STRATEGY: Final = TransientFailure(
    Reply(451, "4.3.5", ("no way to deliver to the domain is configured",)), Scope.HOST
)

NO_ROUTE: Final = TransientFailure(
    Reply(451, "4.3.5", ("it was redirected to a route that is not configured",)), Scope.HOST
)


@runtime_checkable
class Reconfigurable(Protocol):
    """
    An agent that has settings of its own.
    """

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Read a new section, and give what has it used from now on; ConfigError if it cannot be.
        """


@implementer(IAgent)
class Dispatch:
    """
    Hands deliveries to `agents` (by strategy), as `routing` says for their domains. `signing` is None while nothing is
    signed; agents that sign themselves, or have nothing to, are left alone by it. `clock` times the steps of those that
    have one only.
    """

    signing: Signing | None = None

    def __init__(self, routing: Routing, agents: Mapping[str, IAgent], clock: IReactorTime) -> None:
        self._routing = routing
        self._agents = agents
        self._clock = clock

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        See `IAgent`.
        """
        domain, routing = delivery.domain, self._routing
        if "." not in domain and not routing.leads_to(domain) and delivery.recipients[0].address.domain != domain:
            return succeed((NO_ROUTE,) * len(delivery.open_recipients))
        route = routing.find(domain)
        agent = self._agents.get(route.strategy) or self._agents.get(OTHERS)
        if agent is None:
            return succeed((NO_STRATEGY,) * len(delivery.open_recipients))
        if attempt.steps is None or route.strategy in OF_MANY:
            return self._hand_over(agent, route.strategy, message, delivery, attempt)
        handing = partial(self._hand_over, agent, route.strategy, message, delivery, attempt)
        return Deferred.fromCoroutine(in_one_step(attempt.steps, self._clock, route, handing))

    def _hand_over(
        self, agent: IAgent, strategy: str, message: Message, delivery: Delivery, attempt: Attempt
    ) -> Awaitable[tuple[Outcome, ...]]:
        if self.signing is not None and strategy not in APART and message.origin.vouched:
            return Deferred.fromCoroutine(self.signing.deliver(agent, message, delivery, attempt))
        return agent.deliver(message, delivery, attempt)

    def reconfigure(self, section: Section) -> None:
        """
        Use a new section for what begins from now on; ValueError, and nothing is changed, if it cannot be read.
        """
        self.prepare(section)()

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Read a new section, and give what has it used; ValueError or ConfigError if it cannot be.
        """
        Routing(section)  # refuses what `reconfigure` below would
        uses = [agent.prepare(section) for agent in self._agents.values() if isinstance(agent, Reconfigurable)]

        def use() -> None:
            self._routing.reconfigure(section)
            for each in uses:
                each()

        return use

    def stop(self) -> Deferred[None]:
        """
        Stop all agents; fires when the last one has.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for stopping in [agent.stop() for agent in self._agents.values()]:
            if stopping is not None:
                await stopping
