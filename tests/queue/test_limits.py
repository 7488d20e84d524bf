"""
Limits of sites and destinations: rates, connections, breakers; what is told of them, and what outlasts a restart.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from empath.config import schema
from empath.config.units import NO_LIMIT, Rate, seconds
from empath.errors import StorageError
from empath.mail.life import BreakerMoved, DeliveryLimited
from empath.mail.message import Status
from empath.mail.notice import Action
from empath.mail.outcome import PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.hold import Hold, Why
from empath.queue.entry import Place
from tests.queue.bench import SECTION, START, QueueCase
from tests.queue.fakes import SENT

UNREACHABLE = TransientFailure(Reply.of("451 4.4.1 no answer"), Scope.HOST)
ONE_A_SECOND = Rate(1, 1.0)


class LimitCase(QueueCase):
    """
    Runs the queue with changed settings.
    """

    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def use(self, **changes: Any) -> None:
        self.queue.reconfigure(attrs.evolve(self.section, **changes))

    def times(self) -> list[float]:
        return [call.attempt.started - START for call in self.agent.calls]

    def limited(self) -> list[tuple[str, float, str]]:
        return [(e.domain, e.seconds, e.why) for e in self.events if isinstance(e, DeliveryLimited)]

    def moves(self) -> list[tuple[str, str, str]]:
        return [(e.site, e.domain, e.state) for e in self.events if isinstance(e, BreakerMoved)]

    def explained(self, number: int, domain: str) -> Hold | Place | None:
        return self.queue.controls.explain(f"{number:026}", domain)

    def why(self, number: int, domain: str) -> Why | None:
        hold = self.explained(number, domain)
        assert hold is None or isinstance(hold, Hold)
        return None if hold is None else hold.why


class RateTests(LimitCase):
    section = attrs.evolve(
        SECTION,
        rate_limits=schema.RateLimits(burst=1),
        domains={"x.example": schema.Domain(rate_limit=ONE_A_SECOND), "y.example": schema.Domain(max_connections=2)},
    )

    def test_a_site_keeps_to_its_rate(self) -> None:
        """
        What is over it waits without an attempt, in its order, and goes as soon as it may; that is told.
        """
        for number in range(3):
            self.accept(number, "a@x.example")
        self.assertEqual(self.times(), [0.0])
        self.assertEqual(self.why(1, "x.example"), Why.RATE)
        self.pass_time(2.5, 0.5)
        self.assertEqual(self.times(), [0.0, 1.0, 2.0])
        self.assertEqual([call.attempt.number for call in self.agent.calls], [1, 1, 1])
        self.assertEqual([call.message.queue_id[-1] for call in self.agent.calls], ["0", "1", "2"])
        self.assertEqual(self.limited(), [("x.example", 1.0, "rate"), ("x.example", 2.0, "rate")])
        self.assertEqual(self.spool.deliveries, {})

    def test_others_do_not_wait(self) -> None:
        """
        A destination elsewhere is not held up.
        """
        for number in range(3):
            self.accept(number, "a@x.example")
        self.accept(3, "a@z.example")
        self.assertEqual(self.agent.domains(), ["x.example", "z.example"])

    def test_destinations_of_one_site_share_its_limits(self) -> None:
        """
        The rate of one of them holds for all together, and they take turns.
        """
        self.sites.sites = {"x.example": "mx.big.example", "w.example": "mx.big.example"}
        for number, domain in enumerate(("x", "x", "x", "w", "w")):
            self.accept(number, f"a@{domain}.example")
        self.pass_time(5, 0.5)
        self.assertEqual(self.times(), [0.0, 1.0, 2.0, 3.0, 4.0])
        self.assertEqual([domain[0] for domain in self.agent.domains()], ["x", "x", "w", "x", "w"])
        self.assertEqual({call.attempt.site for call in self.agent.calls}, {"mx.big.example"})

    def test_connections_of_a_site(self) -> None:
        """
        No more attempts at a time than `max_connections`; the next begins when one ends.
        """
        self.agent.hang_all = True
        for number in range(4):
            self.accept(number, "a@y.example")
        self.assertEqual(len(self.agent.calls), 2)
        self.assertEqual(self.explained(2, "y.example"), Hold(Why.CONNECTIONS, None, self.detail(2)))
        self.agent.hung[0].end(SENT)
        self.assertEqual(len(self.agent.calls), 3)
        self.assertEqual(self.limited(), [("y.example", 0.0, "connections")])
        for call in self.agent.hung:
            call.end(SENT)
        for call in self.agent.hung:
            call.end(SENT)
        self.assertEqual(self.spool.deliveries, {})

    def detail(self, number: int) -> str:
        hold = self.explained(number, "y.example")
        assert isinstance(hold, Hold)
        self.assertIn("2 of 2", hold.detail)
        return hold.detail

    def test_a_default_rate_is_for_each_destination(self) -> None:
        """
        Also where they share a site; one with a rate of its own has only that.
        """
        self.use(rate_limits=schema.RateLimits(default=Rate(1, 10.0), burst=1))
        self.sites.sites = {"v.example": "mx.example", "w.example": "mx.example"}
        for number, domain in enumerate(("v", "v", "w", "x", "x")):
            self.accept(number, f"a@{domain}.example")
        self.assertEqual(self.agent.domains(), ["v.example", "w.example", "x.example"])
        self.assertEqual(self.why(1, "v.example"), Why.RATE)
        self.pass_time(10, 0.5)
        self.assertEqual(self.times(), [0.0, 0.0, 0.0, 1.0, 10.0])

    def test_a_rate_for_everything(self) -> None:
        """
        `global` bounds all attempts together, and destinations take turns.
        """
        self.use(rate_limits=schema.RateLimits(global_=Rate(2, 1.0), burst=1))
        for number in range(4):
            self.accept(number, f"a@{'vw'[number % 2]}.example")
        self.assertEqual(self.why(1, "w.example"), Why.GLOBAL_RATE)
        self.pass_time(2, 0.25)
        self.assertEqual(self.times(), [0.0, 0.5, 1.0, 1.5])
        self.assertEqual({why for _, _, why in self.limited()}, {"global-rate"})
        self.assertEqual(self.limited()[-1][1], 1.5)
        self.use()
        self.accept(8, "a@v.example")
        self.accept(9, "a@v.example")
        self.assertEqual(len(self.agent.calls), 6)

    def test_a_rate_that_is_set_while_running(self) -> None:
        """
        It stands in for the configured one at once, is stored, and gone when it is taken back.
        """
        for number in range(3):
            self.accept(number, "a@x.example")
        self.queue.controls.set_rate_limit("X.example", NO_LIMIT)
        self.assertEqual(len(self.agent.calls), 3)
        self.assertEqual(
            [(each.domain, each.set_here) for each in self.queue.controls.rate_limits()], [("x.example", True)]
        )
        self.successResultOf(self.stopped())
        self.queue = self.make()
        self.restored()
        self.queue.start()
        self.accept(4, "a@x.example")
        self.accept(5, "a@x.example")
        self.assertEqual(len(self.agent.calls), 5)
        self.queue.controls.set_rate_limit("x.example", None)
        self.assertEqual(self.storage.texts, {})
        [told] = self.queue.controls.rate_limits()
        self.assertEqual((told.rate, told.set_here), (ONE_A_SECOND, False))
        self.accept(6, "a@x.example")
        self.accept(7, "a@x.example")
        self.assertEqual(len(self.agent.calls), 6)

    def test_a_rate_for_a_destination_of_which_nothing_is_configured(self) -> None:
        """
        Slower at once, for what is in line already.
        """
        self.agent.hang_all = True
        for number in range(30):
            self.accept(number, "a@z.example")
        begun = len(self.agent.calls)
        self.queue.controls.set_rate_limit("z.example", ONE_A_SECOND)
        self.agent.hang_all = False
        for call in self.agent.hung:
            call.end(SENT)
        self.assertEqual(len(self.agent.calls), begun + 1)

    def test_a_rate_that_is_raised(self) -> None:
        """
        Nobody waits for the time that the old one told: not for a destination's, a site's, nor that of all mail.
        """
        slow, fast = Rate(1, 36000.0), Rate(1, 10.0)
        for before, after in (
            ({"rate_limits": schema.RateLimits(default=slow, burst=1)}, schema.RateLimits(default=fast, burst=1)),
            ({"rate_limits": schema.RateLimits(global_=slow, burst=1)}, schema.RateLimits(global_=fast, burst=1)),
            ({"domains": {"x.example": schema.Domain(rate_limit=slow)}}, schema.RateLimits(default=fast, burst=1)),
        ):
            self.setUp()
            self.use(**{"rate_limits": schema.RateLimits(burst=1), "domains": {}, **before})
            for number in range(3):
                self.accept(number, "a@x.example")
            self.pass_time(5)
            self.use(rate_limits=after, domains={})
            self.pass_time(40)
            self.assertEqual(len(self.agent.calls), 3, before)

    def restored(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.queue.restore()))

    def test_nonsense_in_storage_is_no_reason_not_to_begin(self) -> None:
        """
        A broken storage is: what an operator froze would go out.
        """
        self.storage.texts = {"rate/a": "{", "rate/b": "[-1, 1]", "rate/c": "[1]", "rate/d": "[2, 1]", "site/q": "?"}
        self.restored()
        self.assertEqual([each.domain for each in self.queue.controls.rate_limits()], ["d", "x.example"])
        self.storage.faults.append(StorageError("broken"))
        self.failureResultOf(Deferred.fromCoroutine(self.queue.restore()), StorageError)


class LookUpTests(LimitCase):
    def test_a_line_waits_for_its_site_without_a_slot(self) -> None:
        """
        Others go on; when the site is known the line goes, under its limits.
        """
        self.sites.slow = {"x.example"}
        self.accept(1, "a@x.example")
        self.accept(2, "a@y.example")
        self.assertEqual((self.agent.domains(), self.queue.in_flight), (["y.example"], 0))
        self.assertEqual(self.why(1, "x.example"), Why.ROUTING)
        self.sites.sites["x.example"] = "mx.example"
        self.sites.answer()
        self.assertEqual([call.attempt.site for call in self.agent.calls], ["y.example", "mx.example"])
        self.assertEqual(self.queue.window.lines.faults(()), 0)

    def test_a_look_up_that_breaks(self) -> None:
        """
        The destination is a site of its own.
        """
        self.sites.slow = {"x.example"}
        self.accept(1, "a@x.example")
        self.sites.asked[0][1].errback(ValueError("a bug"))
        self.assertEqual([call.attempt.site for call in self.agent.calls], ["x.example"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_stop_ends_look_ups(self) -> None:
        """
        Nothing is left of them.
        """
        self.sites.slow = {"x.example"}
        self.accept(1, "a@x.example")
        self.successResultOf(self.stopped())
        self.assertTrue(self.sites.asked[0][1].called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_destination_that_moves(self) -> None:
        """
        A line that lasts is looked up again, and goes on under the limits of its new site.
        """
        self.use(
            domains={"x.example": schema.Domain(rate_limit=Rate(1, 400.0))}, rate_limits=schema.RateLimits(burst=1)
        )
        self.sites.sites = {"x.example": "old.example", "y.example": "new.example"}
        for number in range(4):
            self.accept(number, "a@x.example")
        self.sites.sites["x.example"] = "new.example"
        self.pass_time(1500, 10.0)
        self.assertEqual([call.attempt.site for call in self.agent.calls], ["old.example"] + ["new.example"] * 3)
        self.assertEqual(self.queue.watchdog.strays, 0)


class BreakerTests(LimitCase):
    section = attrs.evolve(
        SECTION,
        circuit_breaker=schema.CircuitBreaker(),
        base_retry_delay=seconds(20),
        max_retry_delay=seconds(20),
        message_expiration=seconds(2000),
        shaping=schema.Shaping(enabled=False),
    )

    def setUp(self) -> None:
        super().setUp()
        self.agent.always = {"x.example": UNREACHABLE}

    def test_it_opens_after_five_failures(self) -> None:
        """
        Nothing more is tried, no attempt is counted, and somebody who asks hears why.
        """
        self.fail_ten()
        self.assertEqual(len(self.agent.calls), 5)
        self.assertEqual(self.moves(), [("x.example", "x.example", "open")])
        hold = self.explained(7, "x.example")
        assert isinstance(hold, Hold)
        self.assertEqual((hold.why, hold.until), (Why.BREAKER, START + 300))
        self.assertEqual(self.spool.deliveries[f"{7:026}", "x.example"].attempts, 0)
        [circuit] = self.queue.controls.circuits()
        self.assertEqual((circuit.site, circuit.state, circuit.until), ("x.example", "open", START + 300))

    def fail_ten(self) -> None:
        for number in range(10):
            self.accept(number, "a@x.example")

    def test_it_closes_when_the_site_accepts_again(self) -> None:
        """
        One that is tried after the time-out lets all others go, those that wait for a retry, too.
        """
        self.fail_ten()
        self.pass_time(299, 1.0)
        self.assertEqual(len(self.agent.calls), 5)
        self.agent.always.clear()
        self.pass_time(3, 1.0)
        self.assertEqual([state for _, _, state in self.moves()], ["open", "half-open", "closed"])
        self.assertEqual(self.spool.deliveries, {})
        self.assertEqual(self.queue.recovery.count, 1)

    def test_all_destinations_of_the_site_recover(self) -> None:
        """
        Mail for each of them is due at once.
        """
        self.sites.sites = {"x.example": "mx", "y.example": "mx"}
        self.agent.always = {"x.example": UNREACHABLE, "y.example": UNREACHABLE}
        self.accept(1, "a@x.example")
        self.accept(2, "a@y.example")
        self.agent.always.clear()
        self.pass_time(10, 1.0)
        self.assertEqual(len(self.agent.calls), 2)
        self.accept(3, "a@x.example")
        self.pass_time(1, 0.5)
        self.assertEqual(self.spool.deliveries, {})

    def test_it_does_not_hold_what_goes_another_way(self) -> None:
        """
        Mail that is sent to other hosts goes to them at once, that which lies in the spool, too; what became of the
        destinations that stay is not changed.
        """
        self.sites.sites = {"x.example": "dead", "y.example": "dead"}
        self.agent.always = {"x.example": UNREACHABLE, "y.example": UNREACHABLE}
        for number in range(30):
            self.accept(number, "a@x.example", "a@y.example")
        calls = len(self.agent.calls)
        self.sites.sites["x.example"] = "alive"
        self.sites.slow = {"y.example"}
        self.agent.always.pop("x.example")
        self.queue.routes_changed()
        self.sites.answer()
        self.pass_time(30)
        after = self.agent.calls[calls:]
        self.assertEqual(len({call.message.queue_id for call in after}), 30)
        self.assertEqual({call.attempt.site for call in after}, {"alive"})
        self.assertEqual(self.moves(), [("dead", "x.example", "open")])
        self.assertEqual(self.queue.window.lines.faults(self.queue.window.active.values()), 0)

    def test_it_outlasts_a_restart(self) -> None:
        """
        The new process does not try before the old one would have.
        """
        self.fail_ten()
        self.successResultOf(self.stopped())
        self.queue = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.queue.restore()))
        self.queue.start()
        self.pass_time(299, 1.0)
        self.assertEqual(len(self.agent.calls), 5)
        self.pass_time(3, 1.0)
        self.assertGreater(len(self.agent.calls), 5)

    def test_an_operator_resets_it(self) -> None:
        """
        Mail flows at once, by the name of the site or of any destination.
        """
        self.fail_ten()
        self.agent.always.clear()
        self.assertFalse(self.queue.controls.reset_circuit("other.example"))
        self.assertTrue(self.queue.controls.reset_circuit("X.example"))
        self.assertEqual(len(self.agent.calls), 10)
        self.assertEqual(self.moves()[-1], ("x.example", "x.example", "closed"))
        self.assertEqual(self.storage.texts, {})

    def test_what_waits_for_it_is_not_counted_as_due(self) -> None:
        """
        Nor is it read again and again.
        """
        self.fail_ten()
        for number in range(100, 300):
            self.hold(number, "a@x.example")
        self.pass_time(50, 1.0)
        self.assertEqual(self.queue.due_waiting, 0)
        self.assertLessEqual(self.queue.active, 50)
        rounds = self.spool.calls.count("due")
        self.pass_time(100, 1.0)
        self.assertLess(self.spool.calls.count("due") - rounds, 40)
        self.agent.always.clear()
        self.pass_time(200, 1.0)
        self.assertEqual(self.spool.deliveries, {})

    def test_little_of_a_dead_site_is_kept_in_memory(self) -> None:
        """
        When its breaker opens, all but a few are left to the spool, and found again when it works.
        """
        self.agent.hanging.add("x.example")
        for number in range(400):
            self.accept(number, "a@x.example")
        self.assertEqual(self.queue.active, 400)
        self.agent.hanging.clear()
        for call in list(self.agent.hung):
            call.end(UNREACHABLE)
        self.assertLessEqual(self.queue.active, 50)
        self.agent.always.clear()
        self.pass_time(310, 1.0)
        self.assertEqual(self.spool.deliveries, {})
        self.assertEqual(self.queue.watchdog.strays, 0)

    def test_mail_expires_behind_it(self) -> None:
        """
        Without a connection, with a reason, whether it is in memory or not; senders hear of it.
        """
        self.use(circuit_breaker=schema.CircuitBreaker(timeout=seconds(10_000)))
        self.fail_ten()
        for number in range(100, 300):
            self.hold(number, "a@x.example")
        self.pass_time(2070, 10.0)
        self.assertEqual(self.agent.domains().count("x.example"), 5)
        failed = [notice for _, notices in self.reports for notice in notices]
        self.assertEqual(len(failed), 210)
        self.assertEqual({notice.action for notice in failed}, {Action.FAILED})
        ended = [event.delivery for event in self.ended() if event.delivery.domain == "x.example"][5:]
        self.assertIn("circuit breaker", ended[-1].last_error)
        self.assertEqual({delivery.status for delivery in ended}, {Status.EXPIRED})
        self.assertEqual(self.queue.watchdog.strays, 0)

    def test_what_says_nothing_of_the_site_does_not_open_it(self) -> None:
        """
        Refusals of mail and recipients, and our own trouble.
        """
        refused = PermanentFailure(Reply.of("550 5.1.1 no"), Scope.RECIPIENT, "mx")
        self.agent.always["x.example"] = refused
        self.fail_ten()
        self.agent.always["x.example"] = Success(Reply.of("250 2.0.0 ok"), "mx")
        self.assertEqual((self.agent.domains().count("x.example"), self.moves()), (10, []))
