"""
Hosts given at run time: they lead mail from now on, and after a restart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.overrides import MOST_HOSTS, PREFIX, Overrides
from empath.deliver.routing import Routing
from empath.errors import StorageError
from empath.policy.route import NextHop
from empath.policy.tls import Policy
from empath.storage import Storages


def at_once(call: Callable[[], Any]) -> Deferred[Any]:
    """
    Run a blocking call here and now.
    """
    return maybeDeferred(call)


class OverridesTests(SynchronousTestCase):
    """
    Overrides over a section.
    """

    def setUp(self) -> None:
        self.storages = Storages(None, at_once, Clock())
        self.storages.open()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.storages.close())))
        self.section = Section(
            domains={
                "example.org": Domain(mx_override=("old.example",), tls_policy="verified", username="joe"),
                "secure.example": Domain(mx_override=("old.example",), tls="implicit"),
                "here.example": Domain(strategy="maildir"),
            }
        )
        self.told: list[list[str]] = []
        self.begin()

    def begin(self) -> None:
        """
        Start, or start again.
        """
        self.routing = Routing(self.section)
        self.overrides = Overrides(self.routing, self.storages.of(".dns"), self.changed)
        self.done(self.overrides.restore())

    def changed(self) -> None:
        """
        Note where mail goes now.
        """
        self.told.append([hop.host for hop in self.routing.find("example.org").hosts])

    def done(self, awaitable: Awaitable[Any]) -> Any:
        """
        Tell what came of it.
        """
        return self.successResultOf(Deferred.fromCoroutine(awaitable))  # type: ignore[arg-type]  # a coroutine it is

    def give(self, domain: str, *hosts: str) -> None:
        """
        Override.
        """
        self.done(self.overrides.set_override(domain, hosts))

    def hosts(self, domain: str) -> list[tuple[str, int]]:
        """
        Tell where mail for a domain goes.
        """
        return [(hop.host, hop.port) for hop in self.routing.find(domain).hosts]

    def test_instead_of_the_dns(self) -> None:
        """
        Mail for a domain goes to the hosts given, in their order, and no other domain's does.
        """
        self.give("Example.NET.", "mx.example:2525", "[2001:db8::1]:26", "192.0.2.1")
        self.assertEqual(self.hosts("example.net"), [("mx.example", 2525), ("2001:db8::1", 26), ("192.0.2.1", 25)])
        self.assertEqual((self.hosts("a.example.net"), self.hosts("example.com")), ([], []))

    def test_instead_of_the_configuration(self) -> None:
        """
        The operator's latest word counts; all else that is configured for the domain stays as it is.
        """
        before = self.routing.find("example.org")
        self.give("example.org", "new.example")
        route = self.routing.find("example.org")
        self.assertEqual(route.hosts, (NextHop("new.example", 25),))
        self.assertEqual((route.tls, route.username), (Policy.VERIFIED, "joe"))
        self.assertEqual(self.routing.configured("example.org"), before)
        self.give("secure.example", "new.example")
        self.assertEqual(self.hosts("secure.example"), [("new.example", 465)])

    def test_others_hear_of_it(self) -> None:
        """
        Once mail goes another way; not for what was stored before the start, nor for an override that is not there.
        """
        self.give("example.org", "new.example")
        self.begin()
        self.done(self.overrides.remove_override("example.net"))
        self.done(self.overrides.remove_override("example.org"))
        self.assertEqual(self.told, [["new.example"], ["old.example"]])

    def test_patterns(self) -> None:
        """
        Whatever lies below a domain, and every other domain, can be led elsewhere; the exact route is stronger.
        """
        self.give("*", "all.example")
        self.give("*.example.net", "below.example")
        for domain, host in [("example.com", "all"), ("a.b.example.net", "below"), ("example.org", "old")]:
            self.assertEqual(self.hosts(domain), [(f"{host}.example", 25)])
        self.assertEqual(self.hosts("here.example"), [])

    def test_dns_is_needed_no_more(self) -> None:
        """
        Where every route leads to an address, the DNS need not be ready.
        """
        self.section = Section()
        self.begin()
        self.assertTrue(self.routing.needs_dns)
        self.give("*", "127.0.0.1:2525")
        self.assertFalse(self.routing.needs_dns)
        self.give("example.org", "mx.example")
        self.assertTrue(self.routing.needs_dns)

    def test_after_a_restart(self) -> None:
        """
        They lead mail again, and are listed by domain.
        """
        self.give("example.net", "b.example", "a.example:26")
        self.give("*.example.com", "c.example")
        self.begin()
        self.assertEqual(self.hosts("example.net"), [("b.example", 25), ("a.example", 26)])
        listed = {"*.example.com": ("c.example",), "example.net": ("b.example", "a.example:26")}
        self.assertEqual(list(self.overrides.overrides().items()), list(listed.items()))

    def test_many_after_a_restart(self) -> None:
        """
        However many there are.
        """
        storage = self.storages.of(".dns")
        for number in range(1100):
            self.successResultOf(storage.put(f"{PREFIX}d{number}.example", '["mx.example"]'))
        self.begin()
        self.assertEqual(len(self.overrides.overrides()), 1100)

    def test_after_a_reload(self) -> None:
        """
        A new section changes what they stand for, not them.
        """
        self.give("example.org", "new.example")
        self.routing.reconfigure(Section(port=2525, domains={"example.org": Domain(tls_policy="required")}))
        self.assertEqual(self.hosts("example.org"), [("new.example", 2525)])
        self.assertIs(self.routing.find("example.org").tls, Policy.REQUIRED)
        self.routing.reconfigure(Section(domains={"example.org": Domain(strategy="maildir")}))
        self.assertEqual((self.routing.find("example.org").strategy, self.hosts("example.org")), ("maildir", []))

    def test_taken_away(self) -> None:
        """
        Mail goes again as the configuration says, now and after a restart.
        """
        self.give("example.org", "new.example")
        self.assertTrue(self.done(self.overrides.remove_override("EXAMPLE.org")))
        self.assertEqual(self.hosts("example.org"), [("old.example", 25)])
        self.assertFalse(self.done(self.overrides.remove_override("example.org")))
        self.begin()
        self.assertEqual((self.hosts("example.org"), self.overrides.overrides()), ([("old.example", 25)], {}))

    def test_refused(self) -> None:
        """
        What is no domain or no host, and mail that stays on this machine, changes nothing.
        """
        for domain, hosts in [
            ("", ["mx.example"]),
            ("a b", ["mx.example"]),
            ("*.", ["mx.example"]),
            ("example.net", []),
            ("example.net", ["mx.example"] * (MOST_HOSTS + 1)),
            ("example.net", ["mx.example:0"]),
            ("example.net", ["mx.example", ""]),
            ("example.net", ["two words"]),
            ("example.net", ["semi;colon"]),
            ("here.example", ["mx.example"]),
        ]:
            asked = Deferred.fromCoroutine(self.overrides.set_override(domain, hosts))
            self.failureResultOf(asked, ValueError)
        self.assertEqual((self.overrides.overrides(), self.hosts("example.net")), ({}, []))
        self.failureResultOf(Deferred.fromCoroutine(self.overrides.remove_override("a b")), ValueError)

    def test_not_stored(self) -> None:
        """
        What cannot be stored does not count.
        """
        self.done(self.storages.close())
        asked = Deferred.fromCoroutine(self.overrides.set_override("example.net", ["mx.example"]))
        self.failureResultOf(asked, StorageError)
        self.assertEqual((self.overrides.overrides(), self.hosts("example.net")), ({}, []))

    def test_stored_nonsense(self) -> None:
        """
        What cannot be read is said in the log, and the rest counts.
        """
        self.give("example.net", "mx.example")
        storage = self.storages.of(".dns")
        for key, text in [("a.example", "{"), ("b.example", "{}"), ("c.example", "[1]"), ("d e", '["mx.example"]')]:
            self.successResultOf(storage.put(PREFIX + key, text))
        self.begin()
        self.assertEqual(self.overrides.overrides(), {"example.net": ("mx.example",)})
