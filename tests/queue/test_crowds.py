"""
Many sites in trouble, many destinations at one site, sites that fail and work by turns: nobody waits for ever, nothing
grows without bound.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from empath.config import schema
from empath.config.units import Rate, seconds
from empath.errors import SpoolError
from empath.mail.life import BreakerMoved, DeliveryLimited
from empath.mail.message import Status
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.hold import Hold, Why
from empath.queue import gates, recovery
from empath.queue.entry import Place
from tests.queue.bench import SECTION, QueueCase
from tests.queue.fakes import DOWN, SENT

BREAKABLE = attrs.evolve(
    SECTION,
    circuit_breaker=schema.CircuitBreaker(),
    base_retry_delay=seconds(20),
    max_retry_delay=seconds(20),
    message_expiration=seconds(2000),
    shaping=schema.Shaping(enabled=False),
)


class StartedCase(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def restart(self) -> None:
        self.successResultOf(self.stopped())
        self.queue = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.queue.restore()))
        self.queue.start()

    def states(self) -> list[str]:
        return [event.state for event in self.events if isinstance(event, BreakerMoved)]


class TroubledTests(StartedCase):
    """
    Sites that failed share half of the slots.
    """

    section = attrs.evolve(
        SECTION, max_parallel_deliveries=4, rate_limits=schema.RateLimits(default=Rate(1, 1000.0), burst=1)
    )

    def test_a_slot_that_one_cannot_use_goes_to_the_next(self) -> None:
        """
        Where a troubled site is given a slot, but something else holds it, another troubled one starts.
        """
        domains = [f"{letter}.example" for letter in "abcdef"]
        for domain in domains:
            self.queue.window.lines.line(domain)
            self.queue.window.lines.suppose_trouble(domain)
        self.agent.hanging = {"a.example", "b.example"}
        self.accept(1, "u@a.example")
        self.accept(2, "u@b.example")  # both slots of the troubled are taken
        for number, domain in enumerate(domains[2:], 3):
            self.accept(number, f"u@{domain}")
        self.assertEqual(len(self.agent.calls), 2)
        for domain in domains[2:5]:  # their own rates hold these
            bucket = self.queue.window.lines.by_domain[domain].bucket
            assert bucket is not None
            bucket.take(self.clock.seconds())
        for call in self.agent.hung:
            call.end(DOWN)
        self.assertEqual(self.agent.domains()[2:], ["f.example"])

    def test_many_that_fail_at_once(self) -> None:
        """
        What one failure costs does not grow with the number of sites in trouble.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_parallel_deliveries=10))
        lines = self.queue.window.lines
        self.agent.hang_all = True
        for number in range(600):
            self.queue.window.lines.line(f"d{number}.example")
            self.queue.window.lines.suppose_trouble(f"d{number}.example")
            self.accept(number, f"u@d{number}.example")
        self.assertEqual(len(lines.suspects), 595)
        before = len(lines.turns)
        gate = lines.line("other.example").gate
        lines.judge(gate, False)
        self.assertEqual(len(lines.turns), before)


class RecoveryTests(StartedCase):
    section = BREAKABLE

    def test_recovery_after_a_restart(self) -> None:
        """
        A site whose breaker was open before has its mail, retries too, due at once when it accepts again.
        """
        self.queue.reconfigure(attrs.evolve(BREAKABLE, base_retry_delay=seconds(1500), max_retry_delay=seconds(1500)))
        self.agent.always = {"x.example": TransientFailure(Reply.of("421 4.4.2 no"), Scope.HOST, "mx")}
        for number in range(8):
            self.accept(number, "a@x.example")
        self.assertEqual((len(self.agent.calls), self.states()), (5, ["open"]))
        self.restart()
        self.agent.always.clear()
        self.pass_time(310)
        self.assertEqual(self.states(), ["open", "half-open", "closed"])
        self.assertEqual(self.spool.deliveries, {})

    def test_recovery_of_a_site_that_asked_for_less(self) -> None:
        """
        Without shaping that is a failure: when its breaker closes all its mail is due.
        """
        self.queue.reconfigure(attrs.evolve(BREAKABLE, base_retry_delay=seconds(1500), max_retry_delay=seconds(1500)))
        slow = TransientFailure(Reply.of("450 4.7.28 too many messages, slow down"), Scope.RECIPIENT, "mx")
        self.agent.always = {"x.example": slow}
        for number in range(8):
            self.accept(number, "a@x.example")
        self.agent.always.clear()
        self.pass_time(310)
        self.assertEqual(self.states(), ["open", "half-open", "closed"])
        self.assertEqual(self.spool.deliveries, {})

    def test_a_site_that_fails_and_works_by_turns(self) -> None:
        """
        Not each success makes everything due: mail would use up its attempts in no time.
        """
        self.queue.reconfigure(attrs.evolve(BREAKABLE, base_retry_delay=seconds(600), max_retry_delay=seconds(600)))
        self.agent.script["x.example"] = [(DOWN,)] * 3
        for number in range(3):
            self.accept(number, "a@x.example")
        for number in range(100):
            self.agent.script["x.example"] = [(SENT,), *[(DOWN,)] * 10]
            self.accept(1000 + number, "a@x.example")
            self.pass_time(2)
        attempts = [each.attempts for each in self.spool.deliveries.values()]
        self.assertLess(max(attempts), 8)
        self.assertLess(self.spool.calls.count("hasten"), 8)
        self.agent.script.clear()
        self.accept(2000, "a@x.example")
        self.pass_time(300)
        self.assertEqual(self.spool.deliveries, {})

    def test_a_site_with_many_destinations(self) -> None:
        """
        The spool is asked for a part of them at a time, so that commits come between.
        """
        self.patch(recovery, "AT_ONCE", 10)
        for number in range(25):
            self.sites.sites[f"d{number}.example"] = "mx"
        self.queue.reconfigure(attrs.evolve(BREAKABLE, circuit_breaker=schema.CircuitBreaker(failure_threshold=1000)))
        self.agent.always = {f"d{number}.example": DOWN for number in range(25)}
        for number in range(25):
            self.accept(number, f"a@d{number}.example")
        self.agent.always.clear()
        self.accept(99, "a@d0.example")
        self.assertEqual(self.spool.calls.count("hasten"), 3)
        self.pass_time(1)
        self.assertEqual(self.spool.deliveries, {})


class CrowdTests(StartedCase):
    """
    More destinations of a site than are remembered.
    """

    section = attrs.evolve(BREAKABLE, max_active=200)

    def setUp(self) -> None:
        super().setUp()
        self.patch(gates, "REMEMBERED", 100)

    def break_site(self, count: int) -> None:
        for number in range(count):
            self.sites.sites[f"d{number}.example"] = "mx"
        self.agent.always = {f"d{number}.example": DOWN for number in range(count)}
        for number in range(5):
            self.accept(number, f"a@d{number}.example")
        self.assertEqual(self.states(), ["open"])

    def test_what_lies_behind_is_found(self) -> None:
        """
        Mail for one dead site, however many destinations it has, hides no other mail, and is not searched for ever.
        """
        self.break_site(2000)
        for number in range(5, 2000):
            self.hold(number, f"a@d{number}.example")
        self.hold(5000, "a@live.example")
        before = self.spool.calls.count("due")
        self.pass_time(30)
        self.assertEqual(self.agent.domains().count("live.example"), 1)
        self.assertLess(self.spool.calls.count("due") - before, 100)

    def test_all_of_it_goes_when_the_site_recovers(self) -> None:
        self.break_site(1500)
        for number in range(5, 1500):
            self.hold(number, f"a@d{number}.example")
        self.pass_time(200)
        self.agent.always.clear()
        self.pass_time(300)
        self.assertEqual(self.spool.deliveries, {})

    def test_all_of_it_expires(self) -> None:
        self.break_site(1500)
        for number in range(5, 1500):
            self.hold(number, f"a@d{number}.example")
        self.pass_time(2600, 2)
        left = [each for each in self.spool.deliveries.values() if each.status in (Status.PENDING, Status.RETRY)]
        self.assertEqual(len(left), 0)


class LookUpTests(StartedCase):
    section = attrs.evolve(BREAKABLE, max_active=200)

    def test_destinations_that_turn_out_to_share_a_dead_site(self) -> None:
        """
        They do not fill the window, so that others go on.
        """
        self.sites.sites = {f"d{number}.example": "mx" for number in range(400)}
        self.agent.always = {f"d{number}.example": DOWN for number in range(400)}
        for number in range(5):
            self.accept(number, f"a@d{number}.example")
        self.assertEqual(self.states(), ["open"])
        self.sites.slow = set(self.sites.sites)
        for number in range(5, 400):
            self.accept(number, f"a@d{number}.example")
        self.sites.answer()
        self.pass_time(1)
        self.sites.answer()
        self.assertLessEqual(self.queue.active, 100)
        self.accept(900, "a@live.example")
        self.assertEqual(self.agent.domains()[-1], "live.example")
        self.assertEqual(self.queue.window.lines.faults(self.queue.window.active.values()), 0)

    def test_a_look_up_that_never_ends(self) -> None:
        """
        The watchdog finds it: the destination is a site of its own then.
        """
        self.sites.slow = {"x.example"}
        self.accept(1, "a@x.example")
        self.pass_time(600, 10)
        self.assertEqual(self.agent.domains(), ["x.example"])

    def test_a_look_up_that_raises(self) -> None:
        """
        As one that fails later: the others are still found.
        """
        self.sites.site_of = self.raises  # type: ignore[method-assign]  # a bug
        self.accept(1, "a@x.example")
        self.assertEqual(self.agent.domains(), ["x.example"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def raises(self, domain: str) -> str:
        raise ValueError(domain)


class OverdueTests(StartedCase):
    section = BREAKABLE

    def test_overdue_mail_that_cannot_be_read(self) -> None:
        """
        It is tried again in the next round, and not at once, again and again.
        """
        self.agent.always = {"x.example": DOWN}
        for number in range(5):
            self.accept(number, "a@x.example")
        self.hold(9, "a@x.example", received=self.clock.seconds() - 5000)
        self.spool.faults["load"] = [SpoolError("damaged") for _ in range(1000)]
        self.pass_time(61)
        self.assertGreater(len(self.spool.faults["load"]), 990)
        self.spool.faults.clear()
        self.pass_time(61)
        self.assertEqual(self.spool.deliveries[f"{9:026}", "x.example"].status, Status.EXPIRED)


class MemoryTests(StartedCase):
    """
    What is kept of sites is bounded, whatever became of them.
    """

    section = BREAKABLE

    def test_sites_that_failed_are_forgotten(self) -> None:
        self.patch(gates, "REMEMBERED", 100)
        for number in range(500):
            self.agent.always[f"d{number}.example"] = DOWN
            self.accept(number, f"a@d{number}.example")
        self.assertLessEqual(len(self.queue.gates.by_name), 110)

    def test_look_ups_are_few(self) -> None:
        """
        However many sites are left alone, a round looks at some of their destinations only.
        """
        for number in range(300):
            self.agent.always[f"d{number}.example"] = DOWN
            for each in range(5):
                self.accept(number * 10 + each, f"a@d{number}.example")
        self.assertEqual(len(self.queue.gates.shut), 300)
        self.spool.deliveries.clear()
        self.sites.slow = set(self.agent.always)
        self.pass_time(60)
        self.assertLessEqual(len(self.sites.asked), 100)


class ClockTests(StartedCase):
    """
    The wall clock is set back.
    """

    section = attrs.evolve(
        SECTION, domains={"x.example": schema.Domain(rate_limit=Rate(1, 1.0))}, rate_limits=schema.RateLimits(burst=1)
    )

    def test_limits_are_looked_at_anew(self) -> None:
        """
        As soon as anything happens: what waited for a second does not wait for a day.
        """
        for number in range(3):
            self.accept(number, "a@x.example")
        self.clock.rightNow -= 86400.0
        self.accept(9, "a@y.example")
        self.pass_time(5)
        self.assertEqual(self.agent.domains().count("x.example"), 3)


class WatchdogTests(StartedCase):
    section = attrs.evolve(
        SECTION, domains={"x.example": schema.Domain(rate_limit=Rate(1, 1.0))}, rate_limits=schema.RateLimits(burst=1)
    )

    def look(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.queue.watchdog.look()))

    def test_a_timer_that_got_lost(self) -> None:
        """
        A gate that says when it is called, and never is, is found.
        """
        for number in range(3):
            self.accept(number, "a@x.example")
        self.queue.window.lines.timers.clear()
        self.look()
        self.pass_time(5)
        self.assertEqual(self.queue.watchdog.strays, 1)
        self.assertEqual(len(self.agent.calls), 3)

    def test_a_call_that_got_lost(self) -> None:
        """
        So is one that waits for a line that is in no turn.
        """
        self.agent.hang_all = True
        for number in range(3):
            self.accept(number, "a@x.example")
        lines = self.queue.window.lines
        gate = lines.by_domain["x.example"].gate
        [line] = gate.parked
        gate.parked.clear()
        gate.parked.append(line)
        gate.called, gate.until = lines.line("z.example"), 0.0
        lines.timers.clear()
        self.look()
        self.assertGreaterEqual(self.queue.watchdog.strays, 1)

    def test_nothing_is_wrong_while_limits_hold(self) -> None:
        for number in range(3):
            self.accept(number, "a@x.example")
        self.look()
        self.assertEqual(self.queue.watchdog.strays, 0)
        held = self.queue.controls.explain(f"{2:026}", "x.example")
        assert isinstance(held, Hold)
        self.assertIs(held.why, Why.RATE)
        self.assertIs(self.queue.window.active[f"{2:026}", "x.example"].place, Place.READY)


class CostTests(StartedCase):
    """
    Destinations that share a site pay for much content among themselves, too.
    """

    section = attrs.evolve(
        SECTION, domains={"*": schema.Domain(max_connections=1)}, max_parallel_deliveries=100, max_active=100
    )

    def test_much_content_for_one_of_them(self) -> None:
        """
        While small mail waits for another, it gets its turns; then it goes, too.
        """
        self.sites.sites = {"big.example": "mx", "small.example": "mx"}
        self.agent.hang_all = True
        for number in range(5):
            self.accept(number, "a@big.example", body=b"x" * 2**21)
        for number in range(100, 120):
            self.accept(number, "a@small.example")
        for _ in range(25):
            self.agent.hung[0].end(SENT)
        order = "".join(domain[0] for domain in self.agent.domains())
        self.assertEqual((order.count("b"), order.count("s")), (5, 20))
        self.assertGreaterEqual(order.index("b", 1), 8)
        self.assertEqual(self.spool.deliveries, {})


class ExplainedTests(StartedCase):
    """
    Whatever keeps a delivery, it can be told.
    """

    def test_a_settlement_that_the_spool_refuses(self) -> None:
        self.spool.faults["settle"] = [SpoolError("disk full")]
        self.accept(1, "a@x.example")
        held = self.queue.controls.explain(f"{1:026}", "x.example")
        assert isinstance(held, Hold)
        self.assertIs(held.why, Why.SPOOL)

    def test_each_place(self) -> None:
        """
        Nothing of what the spool alone has; its place for what is on its way.
        """
        self.agent.hang_all = self.spool.slow = True
        self.assertIsNone(self.queue.controls.explain(f"{1:026}", "x.example"))
        self.accept(1, "a@x.example")
        self.assertIs(self.queue.controls.explain(f"{1:026}", "x.example"), Place.IN_FLIGHT)
        self.agent.hung[0].end(SENT)
        self.assertIs(self.queue.controls.explain(f"{1:026}", "x.example"), Place.SETTLING)

    def test_slots(self) -> None:
        """
        Its site's share of them, that of all sites that failed, and all there are.
        """
        self.agent.hang_all = True
        self.queue.reconfigure(attrs.evolve(SECTION, max_parallel_deliveries=5))
        for number in range(3):
            self.accept(number, "a@x.example")
        self.assertIn("x.example has its share", self.detail(2, "x.example"))
        self.queue.window.lines.line("y.example")
        self.queue.window.lines.suppose_trouble("x.example")
        self.queue.window.lines.suppose_trouble("y.example")
        self.accept(3, "a@y.example")
        self.accept(4, "a@y.example")
        self.assertIn("sites that failed have 2 of 5", self.detail(4, "y.example"))
        self.queue.reconfigure(attrs.evolve(SECTION, max_parallel_deliveries=2))
        self.assertIn("2 of 2", self.detail(4, "y.example"))

    def detail(self, number: int, domain: str) -> str:
        held = self.queue.controls.explain(f"{number:026}", domain)
        assert isinstance(held, Hold)
        self.assertIs(held.why, Why.SLOTS)
        return held.detail


class LateTests(ClockTests):
    def test_no_delay_is_less_than_none(self) -> None:
        """
        What is told of how long a limit held mail up is not negative where the clock was set back meanwhile.
        """
        self.test_limits_are_looked_at_anew()
        late = [event.seconds for event in self.events if isinstance(event, DeliveryLimited)]
        self.assertEqual(len(late), 2)
        self.assertGreaterEqual(min(late), 0.0)
