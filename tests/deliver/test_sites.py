"""
The names of sites.
"""

from __future__ import annotations

from collections.abc import Awaitable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.config import schema
from empath.config.units import Folder, Options
from empath.deliver.routing import Routing
from empath.deliver.sites import LONGEST_NAME, Sites, name_of_hops, name_of_hosts
from empath.interfaces import IResolver, ISites
from empath.mail.answer import Answer, Found, MxRecord
from empath.policy.route import NextHop

GOOGLE = ("gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com", "alt2.gmail-smtp-in.l.google.com")


@implementer(IResolver)
class Resolver:
    """
    Answers at once with `hosts` by domain, or as `slow` says later; `asked` records.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, tuple[str, ...]] = {}
        self.failing = False
        self.slow: Deferred[Answer] | None = None
        self.asked: list[tuple[str, str]] = []

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        self.asked.append((name, rdtype))
        return self.slow or self.answer(name)

    def answer(self, name: str) -> Answer:
        if self.failing:
            return Answer(name, "MX", Found.FAILED)
        records = tuple(MxRecord(10, host) for host in self.hosts.get(name, ()))
        return Answer(name, "MX", Found.RECORDS if records else Found.NO_DATA, records, expires=100.0)


class SitesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.resolver = Clock(), Resolver()
        domains = {
            "fixed.example": schema.Domain(mx_override=("b.example", "a.example:25")),
            "box.example": schema.Domain(strategy="maildir", path=Folder("/var/mail")),
            "hook.example": schema.Domain(strategy="webhook", url="https://hooks.example/mail?token=secret"),
            "none.example": schema.Domain(strategy="discard"),
            "one.example": schema.Domain(strategy="mine:Own"),
            "two.example": schema.Domain(strategy="mine:Own", options=Options({"speed": 2})),
            "three.example": schema.Domain(strategy="mine:Own", options=Options({"speed": 3})),
        }
        routing = Routing(schema.Delivery(domains=domains))
        self.sites = Sites(routing, self.resolver, self.clock)

    def test_provides_the_interface(self) -> None:
        verifyObject(ISites, self.sites)

    def test_the_same_hosts_are_the_same_site(self) -> None:
        """
        In whatever order, with whatever preferences.
        """
        self.resolver.hosts = {"x.example": GOOGLE, "y.example": GOOGLE[::-1], "z.example": GOOGLE[:1]}
        name = self.sites.site_of("x.example")
        self.assertEqual(name, self.sites.site_of("y.example"))
        self.assertEqual(name, "(alt1.gmail-smtp-in|alt2.gmail-smtp-in|gmail-smtp-in).l.google.com")
        self.assertEqual(self.sites.site_of("z.example"), "gmail-smtp-in.l.google.com")

    def test_routes(self) -> None:
        """
        Configured hosts and other strategies need no look-up.
        """
        self.assertEqual(self.sites.site_of("fixed.example"), "(a|b).example:25")
        self.assertEqual(self.sites.site_of("box.example"), "maildir:/var/mail")
        self.assertEqual(self.sites.site_of("[192.0.2.1]"), "[192.0.2.1]")
        self.assertEqual(self.sites.site_of("hook.example"), "webhook:https://hooks.example/mail")
        self.assertEqual(self.sites.site_of("none.example"), "discard")
        names = [str(self.sites.site_of(f"{name}.example")) for name in ("one", "two", "three")]
        self.assertEqual([name.partition("#")[0] for name in names], ["mine:Own"] * 3)
        self.assertEqual(len(set(names)), 3)
        self.assertEqual(self.resolver.asked, [])

    def test_a_domain_without_mx_is_its_own_host(self) -> None:
        """
        RFC 5321 §5.1; so is one that takes no mail (RFC 7505).
        """
        self.resolver.hosts["null.example"] = ("",)
        self.assertEqual([self.sites.site_of(n) for n in ("a.example", "null.example")], ["a.example", "null.example"])

    def test_names_are_remembered_as_long_as_the_records(self) -> None:
        """
        And at least half a minute.
        """
        self.resolver.hosts["x.example"] = ("one.example",)
        self.sites.site_of("x.example")
        self.resolver.hosts["x.example"] = ("two.example",)
        self.clock.advance(99.0)
        self.assertEqual(self.sites.site_of("x.example"), "one.example")
        self.assertEqual(len(self.resolver.asked), 1)
        self.clock.advance(1.0)
        self.assertEqual(self.sites.site_of("x.example"), "two.example")

    def test_a_failed_look_up_moves_nobody(self) -> None:
        """
        A destination stays where it was; one that was never known is a site of its own.
        """
        self.resolver.hosts["x.example"] = ("one.example",)
        self.sites.site_of("x.example")
        self.resolver.failing = True
        self.clock.advance(1000.0)
        self.assertEqual(self.sites.site_of("x.example"), "one.example")
        self.assertEqual(self.sites.site_of("y.example"), "y.example")

    def test_a_look_up_that_takes_its_time(self) -> None:
        """
        It is awaited.
        """
        self.resolver.hosts["x.example"] = ("one.example",)
        self.resolver.slow = Deferred()
        asked = self.sites.site_of("x.example")
        assert not isinstance(asked, str)
        told: Deferred[str] = Deferred.fromCoroutine(asked)  # type: ignore[arg-type]  # an Awaitable that is a coroutine
        self.assertNoResult(told)
        self.resolver.slow.callback(self.resolver.answer("x.example"))
        self.assertEqual(self.successResultOf(told), "one.example")


class NameTests(SynchronousTestCase):
    def test_hosts_of_a_hostile_dns(self) -> None:
        """
        No host is named so that its site is taken for the site of others.
        """
        self.assertEqual(name_of_hosts(["(a|b).example"]), "")
        self.assertEqual(name_of_hosts(["a.example", "b|c.example"]), "")
        self.assertEqual(name_of_hosts(["a.example:25"]), "")

    def test_long_names(self) -> None:
        """
        They are cut, and still differ.
        """
        hosts = [f"mail-exchanger-number-{number}.example" for number in range(50)]
        name, other = name_of_hosts(hosts), name_of_hosts([*hosts, "x.example"])
        self.assertLessEqual(len(name), LONGEST_NAME)
        self.assertNotEqual(name, other)

    def test_configured_hosts(self) -> None:
        """
        With their ports; IP addresses have no labels that could be shared.
        """
        for hops, name in (
            ([NextHop("localhost", 2525)], "localhost:2525"),
            ([NextHop("192.0.2.1", 25), NextHop("192.0.3.1", 25)], "(192.0.2.1|192.0.3.1):25"),
            ([NextHop("2001:db8::1", 25)], "[2001:db8::1]:25"),
            ([NextHop("a.example", 25), NextHop("a.example", 26)], "(a.example:25|a.example:26)"),
            ([NextHop("a.example", 25), NextHop("b.test", 25)], "(a.example|b.test):25"),
        ):
            self.assertEqual(name_of_hops(hops), name)

    @settings(max_examples=200)
    @given(st.lists(st.sampled_from(["a.x", "b.x", "a.b.x", "x", "a.y", "b.a.x", "ab.x"]), min_size=1))
    def test_one_name_for_one_set(self, hosts: list[str]) -> None:
        """
        Order and repetition do not matter, everything else does: the set can be read back from its name.
        """
        name = name_of_hosts(hosts)
        own, _, suffix = name.removeprefix("(").partition(")")
        if not name.startswith("("):
            self.assertEqual({name}, set(hosts))
        else:
            self.assertEqual({each + suffix for each in own.split("|")}, set(hosts))
