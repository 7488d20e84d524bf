"""
What is asked about routes, the DNS, limits, circuits, suppressed addresses and stopped senders.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail

from empath.control.terms.delivery import (
    ListCircuits,
    ListRateLimits,
    LookUpRoute,
    ResetCircuit,
    RouteAnswer,
    SetRateLimit,
)
from empath.control.terms.dns import (
    ClearCache,
    GetDnsStats,
    ListCache,
    ListOverrides,
    RefreshDomain,
    RemoveOverride,
    SetOverride,
)
from empath.control.terms.managing import Freeze
from empath.control.terms.safety import (
    ListStopped,
    ListSuppressed,
    ReleaseSender,
    StopSender,
    Suppress,
    Unsuppress,
)
from empath.errors import StorageError
from tests.service.control.asking import CONFIG, AskingCase

MORE = """
rate_limits = { default = "100/min", global = "50/s" }
suppression = { enabled = true }
[delivery.srs]
domain = "srs.example.org"
secret = "nobody knows this one"
[delivery.domains."*.limited.example"]
rate_limit = "200/min"
max_connections = 3
[delivery.domains."sink.example"]
strategy = "discard"
"""


class SendingCase(AskingCase):
    """
    An MTA with limits and routes.
    """

    config = CONFIG + MORE

    def setUp(self) -> None:
        super().setUp()
        self.asked.peer("sender.example")
        self.asked.peer("there.example")


class RouteTests(SendingCase):
    """
    What would happen to mail.
    """

    def route(self, address: str) -> RouteAnswer:
        told = self.ask(LookUpRoute(address))
        assert isinstance(told, RouteAnswer)
        return told

    def test_a_domain_elsewhere(self) -> None:
        """
        Its hosts, limits, and how RCPT judges it; nobody is connected to.
        """
        told = self.route("bob@there.example")
        self.assertEqual(
            (told.domain, told.strategy, told.site, told.override), ("there.example", "smtp", "mx.there.example", False)
        )
        self.assertEqual([(each.host, each.preference) for each in told.hosts], [("mx.there.example", 10)])
        self.assertEqual(told.accepted, "refused from outside: 550 5.7.1 relay access denied")
        self.assertEqual(told.limits["rate"], "100/min (default)")
        self.assertEqual(told.limits["rate of all mail"], "50/s")
        self.assertIn("from trusted networks and logins it is relayed", told.notes)
        self.assertTrue(any("SRS" in note for note in told.notes))
        self.assertIsNone(told.hold)
        self.assertEqual(self.asked.peers["mx.there.example"].commands, [])

    def test_our_domain(self) -> None:
        """
        It is taken from anybody.
        """
        told = self.route("bob@example.org")
        self.assertEqual((told.accepted, told.notes[0]), ("local domain", "any mailbox is taken"))
        self.assertEqual(self.route("example.org").accepted, "local domain")

    def test_what_is_configured(self) -> None:
        """
        The name under which it was found, and what it says.
        """
        told = self.route("x@a.limited.example")
        self.assertEqual(
            (told.route, told.limits["rate"], told.limits["connections"]), ("*.limited.example", "200/min", "3")
        )
        self.assertTrue(any(note.startswith("mail for it fails: 550 5.1.2") for note in told.notes), told.notes)
        self.assertEqual((self.route("x@sink.example").strategy, self.route("x@sink.example").hosts), ("discard", ()))

    def test_what_was_set_by_hand(self) -> None:
        """
        It is told to be so.
        """
        self.ask(SetOverride("far.example", ("mx.there.example:2525",)))
        told = self.route("x@far.example")
        self.assertTrue(told.override)
        self.assertEqual([(each.host, each.port) for each in told.hosts], [("mx.there.example", 2525)])
        self.ask(Freeze("far.example"))
        hold = self.route("x@far.example").hold
        assert hold is not None
        self.assertEqual(hold.why, "frozen")

    def test_suppressed(self) -> None:
        """
        Who gets no mail.
        """
        self.ask(Suppress("bob@there.example", "he asked"))
        told = self.route("<Bob@There.example>")
        self.assertTrue(told.suppressed)
        self.assertTrue(any("he asked" in note for note in told.notes))

    def test_a_suppression_list_that_cannot_be_read(self) -> None:
        """
        The answer says so: whether there is mail for the address or not is not known.
        """
        suppression = self.asked.service.outgoing.returning.suppression
        suppression._storage.get = lambda *asked: fail(StorageError("gone"))  # type: ignore[method-assign]  # as told
        told = self.route("bob@there.example")
        self.assertFalse(told.suppressed)
        self.assertIn("the suppression list cannot be read: gone", told.notes)

    def test_what_is_no_address(self) -> None:
        """
        It is refused.
        """
        for text in ("", "a b@c", "@", "x@y@z w", "Postmaster@"):
            self.assertIn("address", self.refusal(LookUpRoute(text)), text)


class DnsTests(SendingCase):
    """
    The cache.
    """

    def test_listing(self) -> None:
        """
        By name, in pages.
        """
        self.ask(LookUpRoute("x@there.example"))
        self.ask(LookUpRoute("x@sender.example"))
        whole = self.ask(ListCache())
        names = [(each.name, each.rdtype) for each in whole.answers]
        self.assertEqual(names, sorted(names))
        self.assertIn("10 mx.there.example", whole.answers[names.index(("there.example", "MX"))].records)
        walked: list[Any] = []
        page = self.ask(ListCache(limit=2))
        walked += page.answers
        while page.after:
            page = self.ask(ListCache(limit=2, after=page.after))
            walked += page.answers
        self.assertEqual([(each.name, each.rdtype) for each in walked], names)
        below = self.ask(ListCache("There.example.")).answers
        self.assertEqual({each.name for each in below}, {name for name, _ in names if name.endswith("there.example")})

    def test_clearing(self) -> None:
        """
        All, or a domain.
        """
        self.ask(LookUpRoute("x@there.example"))
        self.ask(LookUpRoute("x@sender.example"))
        self.assertGreater(self.ask(ClearCache("there.example")).cleared, 0)
        self.assertGreater(self.ask(ClearCache()).cleared, 0)
        self.assertEqual(self.ask(GetDnsStats()).size, 0)
        self.assertIn("domain", self.refusal(ClearCache("a b")))

    def test_refresh(self) -> None:
        """
        The servers are asked again, for hosts elsewhere, too.
        """
        self.asked.dns.mx("moved.example", "mx.there.example")
        answers = self.ask(RefreshDomain("moved.example")).answers
        self.assertIn(("moved.example", "MX"), [(each.name, each.rdtype) for each in answers])
        self.assertIn(("mx.there.example", "A"), [(each.name, each.rdtype) for each in answers])
        self.assertIn("domain", self.refusal(RefreshDomain("a b")))

    def test_stats(self) -> None:
        """
        They are counted since the start.
        """
        self.ask(LookUpRoute("x@there.example"))
        stats = self.ask(GetDnsStats())
        self.assertGreater(stats.misses, 0)
        self.assertTrue(stats.servers)
        self.assertIsNotNone(stats.last_answer)

    def test_overrides(self) -> None:
        """
        Set, listed, taken back; what makes no sense is refused.
        """
        told = self.ask(SetOverride("far.example", ("mx.there.example",)))
        self.assertTrue(told.changed)
        self.assertFalse(self.ask(SetOverride("far.example", ("mx.there.example",))).changed)
        self.assertEqual(
            [(each.domain, each.hosts) for each in self.ask(ListOverrides()).overrides],
            [("far.example", ("mx.there.example",))],
        )
        self.assertTrue(self.ask(RemoveOverride("far.example")).changed)
        self.assertFalse(self.ask(RemoveOverride("far.example")).changed)
        self.assertIn("hosts", self.refusal(SetOverride("far.example", ())))
        self.assertIn("discard", self.refusal(SetOverride("sink.example", ("mx.there.example",))))
        self.assertIn("domain", self.refusal(RemoveOverride("a b")))


class LimitTests(SendingCase):
    """
    Rates and circuits.
    """

    def test_rates(self) -> None:
        """
        What was set stands beside what is configured.
        """
        told = self.ask(SetRateLimit("A.limited.example", "10/s"))
        self.assertEqual(
            [(each.domain, each.rate, each.set_here, each.configured) for each in told.limits],
            [("*.limited.example", "200/min", False, ""), ("a.limited.example", "10/s", True, "200/min")],
        )
        self.assertEqual((told.overall, told.default), ("50/s", "100/min"))
        self.assertEqual(self.ask(SetRateLimit("there.example", "none")).limits[-1].configured, "100/min")
        self.ask(SetRateLimit("there.example", None))
        self.assertEqual(len(self.ask(SetRateLimit("a.limited.example", None)).limits), 1)

    def test_it_outlasts_a_crash(self) -> None:
        """
        It is on disk when it is answered.
        """
        self.ask(SetRateLimit("there.example", "10/s"))
        self.asked.restart()
        self.assertEqual(
            [each.domain for each in self.ask(ListRateLimits()).limits if each.set_here], ["there.example"]
        )

    def test_what_is_no_rate(self) -> None:
        """
        It is refused, and so is what can be no destination.
        """
        for domain, rate in (("there.example", "fast"), ("there.example", "-1/s"), ("*", "1/s"), ("a b", "1/s")):
            self.refusal(SetRateLimit(domain, rate))
        self.ask(SetRateLimit("sink.example", "1/s"))

    def test_circuits(self) -> None:
        """
        Sites by pages, those in trouble by themselves; one is reset by its name, or by that of a domain.
        """
        self.asked.peer("down.example")
        self.asked.down("down.example")
        self.send("a@there.example")
        for number in range(6):
            self.send(f"{number}@down.example")
        page = self.ask(ListCircuits(limit=1))
        self.assertEqual([each.site for each in page.circuits], ["mx.down.example"])
        self.assertEqual(self.ask(ListCircuits(limit=5, after=page.after)).circuits[0].site, "mx.there.example")
        [open_one] = self.ask(ListCircuits(troubled=True)).circuits
        self.assertEqual(open_one.state, "open")
        self.assertIsNotNone(open_one.until)
        self.assertTrue(self.ask(ResetCircuit("Down.example")).known)
        self.assertEqual([each.state for each in self.ask(ListCircuits(troubled=True)).circuits], ["closed"])
        self.assertFalse(self.ask(ResetCircuit("unheard-of.example")).known)


class SafetyTests(SendingCase):
    """
    Addresses and senders.
    """

    def test_suppression(self) -> None:
        """
        Added, listed by pages, removed.
        """
        for name in "abc":
            self.assertTrue(self.ask(Suppress(f"{name}@there.example")).changed)
        self.assertFalse(self.ask(Suppress("a@there.example")).changed)
        page = self.ask(ListSuppressed(limit=2))
        self.assertEqual([each.address[0] for each in page.addresses], ["a", "b"])
        self.assertEqual([each.address[0] for each in self.ask(ListSuppressed(2, page.after)).addresses], ["c"])
        self.assertIn("root", page.addresses[0].detail)
        self.assertTrue(self.ask(Unsuppress("A@There.example")).changed)
        self.assertFalse(self.ask(Unsuppress("a@there.example")).changed)
        self.assertIn("address", self.refusal(Suppress("nobody")))

    def test_a_list_that_cannot_be_read(self) -> None:
        """
        The answer says so.
        """
        suppression = self.asked.service.outgoing.returning.suppression
        suppression._storage.items = lambda *asked: fail(StorageError("gone"))  # type: ignore[method-assign]  # as told
        self.assertIn("cannot be read", self.refusal(ListSuppressed()))

    def test_senders(self) -> None:
        """
        Stopped with all their mail, and released with it.
        """
        told = self.ask(StopSender("ann@sender.example", "odd"))
        self.assertTrue(told.changed)
        [row] = told.senders
        self.assertEqual((row.sender, row.state), ("ann@sender.example", "stopped"))
        self.assertIn("odd (root", row.detail)
        self.assertFalse(self.ask(StopSender("ann@sender.example")).changed)
        self.assertTrue(self.ask(ReleaseSender("ann@sender.example")).changed)
        self.assertEqual(self.ask(ListStopped()).senders, ())
        self.assertIn("sender", self.refusal(StopSender("nonsense")))

    def test_a_sender_with_very_much_mail(self) -> None:
        """
        It is stopped at once, though its mail is still being held when that is told.
        """
        assert self.asked.spool is not None
        select = self.asked.spool.select
        self.asked.spool.select = lambda *asked: Deferred()  # type: ignore[method-assign]  # a slow one
        begin = self.asked.seconds()
        told = self.ask(StopSender("ann@sender.example"))
        self.assertEqual((told.changed, told.senders[0].state), (True, "stopping"))
        self.assertEqual(self.asked.seconds() - begin, 5)
        self.asked.spool.select = select  # type: ignore[method-assign]  # as before
