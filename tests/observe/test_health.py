from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.errors import SpoolFull
from empath.observe.health import FRESH, PATIENCE, Checks, Findings, Readiness


class Service:
    """
    Parts that answer what they are told to answer, and count how often they were asked.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = dict.fromkeys(("smtp", "spool", "delivery", "dns", "disk"), True) | {
            "queue_size": 0
        }
        self.asked: list[str] = []
        self.stopping = False

    def checks(self) -> Checks:
        checks = {name: self._check(name) for name in self.answers}
        return Checks(**checks, shutting_down=lambda: self.stopping)

    def _check(self, name: str) -> Callable[[], Any]:
        def check() -> Any:
            self.asked.append(name)
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return check


class ReadinessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.service = Service()
        self.readiness = Readiness(schema.Health(max_queue_size=10), self.service.checks(), self.clock)

    def found(self) -> Findings:
        return self.successResultOf(self.readiness.look())

    def test_all_well_is_ready(self) -> None:
        self.assertEqual(
            attrs.asdict(self.found()),
            {
                "alive": True,
                "ready": True,
                "smtp_ready": True,
                "spool_ready": True,
                "delivery_ready": True,
                "dns_ready": True,
                "disk_ready": True,
                "shutting_down": False,
                "queue_size": 0,
                "max_queue_size": 10,
            },
        )

    def test_each_required_part_can_make_it_unready(self) -> None:
        for part in ("smtp", "spool", "delivery", "dns", "disk"):
            service = Service()
            service.answers[part] = False
            found = self.successResultOf(Readiness(schema.Health(), service.checks(), self.clock).look())
            self.assertFalse(found.ready, part)
            self.assertFalse(getattr(found, f"{part}_ready"), part)

    def test_parts_that_are_not_required_do_not_count(self) -> None:
        self.service.answers.update(dns=False, queue_size=11)
        self.assertFalse(self.found().ready)
        self.readiness.reconfigure(schema.Health(max_queue_size=10, require=("smtp", "spool")))
        found = self.found()
        self.assertTrue(found.ready)
        self.assertFalse(found.dns_ready)

    def test_a_full_disk_counts_with_the_spool_only(self) -> None:
        self.service.answers["disk"] = False
        self.readiness.reconfigure(schema.Health(require=("smtp",)))
        self.assertTrue(self.found().ready)

    def test_the_queue_is_ready_up_to_its_limit(self) -> None:
        self.service.answers["queue_size"] = 10
        self.assertTrue(self.found().ready)
        self.clock.advance(FRESH)
        self.service.answers["queue_size"] = 11
        self.assertFalse(self.found().ready)

    def test_shutting_down_is_never_ready_and_told_at_once(self) -> None:
        self.assertTrue(self.found().ready)
        self.service.stopping = True
        found = self.found()
        self.assertEqual((found.ready, found.shutting_down), (False, True))

    def test_a_flood_of_requests_asks_once_while_fresh(self) -> None:
        for _ in range(100):
            self.found()
        self.assertEqual(self.service.asked.count("spool"), 1)
        self.clock.advance(FRESH)
        self.found()
        self.assertEqual(self.service.asked.count("spool"), 2)

    def test_requests_share_a_round_that_is_under_way(self) -> None:
        probe: Deferred[bool] = Deferred()
        self.service.answers["spool"] = probe
        looks = [self.readiness.look() for _ in range(5)]
        self.assertNoResult(looks[0])
        probe.callback(True)
        self.assertTrue(all(self.successResultOf(look).ready for look in looks))
        self.assertEqual(self.service.asked.count("spool"), 1)

    def test_coroutines_may_answer_too(self) -> None:
        async def dead() -> bool:
            return False

        self.service.answers["delivery"] = dead()
        self.assertFalse(self.found().delivery_ready)

    def test_a_check_that_hangs_is_not_ready_after_a_bounded_time_and_not_asked_again(self) -> None:
        probe: Deferred[bool] = Deferred()
        self.service.answers["spool"] = probe
        for _ in range(3):
            look = self.readiness.look()
            self.clock.advance(PATIENCE)
            found = self.successResultOf(look)
            self.assertEqual((found.ready, found.spool_ready, found.smtp_ready), (False, False, True))
            self.clock.advance(FRESH)
        self.assertEqual(self.service.asked.count("spool"), 1)
        probe.callback(True)
        self.service.answers["spool"] = True
        self.assertTrue(self.found().ready)

    def test_a_queue_that_does_not_tell_its_size_is_not_ready(self) -> None:
        self.service.answers["queue_size"] = Deferred()
        look = self.readiness.look()
        self.clock.advance(PATIENCE)
        found = self.successResultOf(look)
        self.assertEqual((found.ready, found.queue_size), (False, None))

    def test_a_check_that_raises_or_fails_is_not_ready_and_logged(self) -> None:
        probe: Deferred[bool] = Deferred()
        self.service.answers.update(dns=ZeroDivisionError(), spool=probe)
        look = self.readiness.look()
        probe.errback(OSError("read-only"))
        found = self.successResultOf(look)
        self.assertEqual((found.dns_ready, found.spool_ready, found.smtp_ready), (False, False, True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, OSError)), 2)

    def test_trouble_that_empath_names_itself_is_one_warning_and_no_traceback(self) -> None:
        self.service.answers.update(spool=SpoolFull("the disk is full"))
        with capturedLogs() as events:
            self.assertFalse(self.found().spool_ready)
            self.clock.advance(FRESH)
            self.found()
        event, summary = events
        self.assertEqual(formatEvent(summary), "not ready: spool")
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(formatEvent(event), "not ready: spool: the disk is full")
        self.assertNotIn("log_failure", event)

    def test_what_is_wrong_is_said_once_and_again_when_it_is_another_thing(self) -> None:
        with capturedLogs() as events:
            for spool, dns in ((True, True), (False, True), (False, True), (False, False), (True, True), (True, True)):
                self.service.answers.update(spool=spool, dns=dns)
                self.found()
                self.clock.advance(FRESH)
        self.assertEqual(
            [formatEvent(event) for event in events], ["not ready: spool", "not ready: spool, dns", "ready"]
        )

    def test_trouble_is_seen_within_a_second_of_its_beginning_however_late_a_check_answers(self) -> None:
        self.assertLess(FRESH + PATIENCE, 0.9)

    def test_what_stops_is_not_asked_any_more(self) -> None:
        self.found()
        asked = len(self.service.asked)
        self.service.stopping = True
        for _ in range(3):
            self.clock.advance(FRESH)
            found = self.found()
            self.assertEqual((found.ready, found.shutting_down, found.spool_ready), (False, True, True))
        self.assertEqual(len(self.service.asked), asked)

    def test_a_clock_set_back_does_not_keep_old_findings(self) -> None:
        self.found()
        self.clock.rightNow -= 500
        self.found()
        self.assertEqual(self.service.asked.count("spool"), 2)

    def test_a_look_that_was_given_up_harms_no_other(self) -> None:
        probe: Deferred[bool] = Deferred()
        self.service.answers["spool"] = probe
        first, second = self.readiness.look(), self.readiness.look()
        first.cancel()
        self.failureResultOf(first)
        probe.callback(True)
        self.assertTrue(self.successResultOf(second).ready)

    def test_stopping_lets_go_of_checks_and_timers(self) -> None:
        let_go: list[Deferred[bool]] = []
        self.service.answers["spool"] = Deferred(let_go.append)
        look = self.readiness.look()
        self.readiness.stop()
        self.assertFalse(self.successResultOf(look).ready)
        self.assertEqual((len(let_go), self.clock.getDelayedCalls()), (1, []))

    def test_no_timer_stays_behind(self) -> None:
        self.found()
        self.assertEqual(self.clock.getDelayedCalls(), [])
