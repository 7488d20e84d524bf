"""
Routes from the configuration, and the agent that follows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.config.schema import DeliveryTls, Domain
from empath.config.units import Folder, Secret
from empath.deliver.dispatch import NO_ROUTE, Dispatch
from empath.deliver.routing import Routing
from empath.errors import ConfigError
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome
from empath.policy.route import NextHop, Route
from empath.policy.tls import Policy
from tests.deliver.world import message, one_delivery, spell


@implementer(IAgent)
class Agent:
    """
    Records what it is given.
    """

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.sections: list[Section] = []
        self.stopped: Deferred[None] = Deferred()

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Deferred[tuple[Outcome, ...]]:
        self.delivered.append(delivery.domain)
        return succeed(())

    def stop(self) -> Deferred[None]:
        return self.stopped


class Configured(Agent):
    """
    One with settings.
    """

    def prepare(self, section: Section) -> Callable[[], None]:
        if section.port == 0:
            raise ConfigError(["no"])
        return lambda: self.sections.append(section)


class RoutingTests(SynchronousTestCase):
    """
    What the operator wrote.
    """

    def route(self, default: Any = "opportunistic", **domain: Any) -> Route:
        """
        Give the route of a domain written like this.
        """
        section = Section(tls=DeliveryTls(default), domains={"example.org": Domain(**domain)})
        return Routing(section).find("example.org")

    def test_default(self) -> None:
        """
        Without an entry mail goes by MX, with the default policy.
        """
        section = Section(tls=DeliveryTls("required"))
        self.assertEqual(Routing(section).find("example.org"), Route(tls=Policy.REQUIRED))

    def test_hosts(self) -> None:
        """
        Hosts have the configured port where they name none; 465 for implicit TLS.
        """
        self.assertEqual(self.route(mx_override=("a", "b:26")).hosts, (NextHop("a", 25), NextHop("b", 26)))
        route = self.route(mx_override=("a", "b:26"), tls="implicit")
        self.assertEqual((route.hosts, route.implicit), ((NextHop("a", 465), NextHop("b", 26)), True))

    def test_policy(self) -> None:
        """
        A domain's policy outranks the default; require_tls raises what is laxer.
        """
        self.assertIs(self.route().tls, Policy.OPPORTUNISTIC)
        self.assertIs(self.route(tls_policy="disabled").tls, Policy.DISABLED)
        self.assertIs(self.route(require_tls=True).tls, Policy.REQUIRED)
        self.assertIs(self.route("verified", require_tls=True).tls, Policy.VERIFIED)

    def test_login_and_path(self) -> None:
        """
        Login and folder are passed on.
        """
        route = self.route(username="u", password=Secret("p"), strategy="maildir", path=Folder("/mail"))
        self.assertEqual((route.username, route.password, route.strategy, route.path), ("u", "p", "maildir", "/mail"))

    def test_bad_host(self) -> None:
        """
        A host that cannot be read is refused, and what was in force stays.
        """
        routing = Routing(Section())
        bad = Section(domains={"example.org": Domain(mx_override=("a:b",))})
        self.assertRaises(ValueError, routing.reconfigure, bad)
        self.assertEqual(routing.find("example.org"), Route())


class DispatchTests(SynchronousTestCase):
    """
    Which agent.
    """

    def setUp(self) -> None:
        section = Section(domains={"example.org": Domain(strategy="maildir"), "*": Domain()})
        self.smtp, self.maildir = Configured(), Agent()
        self.dispatch = Dispatch(Routing(section), {"smtp": self.smtp, "maildir": self.maildir}, Clock())

    def deliver(self, recipient: str) -> list[str]:
        """
        Deliver to a recipient.
        """
        carried = message(recipient)
        told = self.dispatch.deliver(carried, one_delivery(carried), Attempt(1, 0.0))
        assert isinstance(told, Deferred)
        return spell(self.successResultOf(told))

    def test_by_strategy(self) -> None:
        """
        The strategy of the domain's route decides.
        """
        verifyObject(IAgent, self.dispatch)
        self.deliver("a@example.org")
        self.deliver("a@example.net")
        self.assertEqual((self.maildir.delivered, self.smtp.delivered), (["example.org"], ["example.net"]))

    def test_nobody(self) -> None:
        """
        Mail that no agent carries waits.
        """
        self.dispatch = Dispatch(Routing(Section()), {}, Clock())
        self.assertEqual(self.deliver("a@example.org"), ["TransientFailure 451 4.3.5"])

    def test_redirected_to_a_route_that_is_not_there(self) -> None:
        """
        It waits until the operator has put that right: nobody meant the domain of that name.
        """
        carried = message("a@example.org")
        redirected = attrs.evolve(one_delivery(carried), domain="archive")
        told = self.dispatch.deliver(carried, redirected, Attempt(1, 0.0))
        assert isinstance(told, Deferred)
        self.assertEqual(self.successResultOf(told), (NO_ROUTE,))
        self.dispatch.reconfigure(Section(domains={"archive": Domain()}))
        self.dispatch.deliver(carried, redirected, Attempt(1, 0.0))
        self.deliver("a@localhost")
        self.assertEqual(self.smtp.delivered, ["archive", "localhost"])

    def test_reconfigure(self) -> None:
        """
        A new section holds for the routes and for the agents that have settings.
        """
        section = Section()
        self.dispatch.reconfigure(section)
        self.deliver("a@example.org")
        self.assertEqual((self.smtp.delivered, self.smtp.sections), (["example.org"], [section]))

    def test_reconfigure_whole_or_not_at_all(self) -> None:
        """
        Whoever cannot use a section, routes or agent, keeps all others from it.
        """
        for bad in (Section(port=0), Section(domains={"example.org": Domain(mx_override=("a:b",))})):
            self.assertRaises((ConfigError, ValueError), self.dispatch.reconfigure, bad)
        self.deliver("a@example.org")
        self.assertEqual((self.maildir.delivered, self.smtp.sections), (["example.org"], []))

    def test_stop(self) -> None:
        """
        It has stopped when every agent has.
        """
        stopped = self.dispatch.stop()
        self.maildir.stopped.callback(None)
        self.assertNoResult(stopped)
        self.smtp.stopped.callback(None)
        self.successResultOf(stopped)

    def test_stop_of_idle_agents(self) -> None:
        """
        Agents that have nothing to wait for do not hold it up.
        """
        self.patch(self.smtp, "stop", lambda: None)
        self.patch(self.maildir, "stop", lambda: None)
        self.successResultOf(self.dispatch.stop())
