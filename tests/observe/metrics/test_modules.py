"""
What modules do can be seen: in the metrics, and in the log.
"""

from __future__ import annotations

from empath.mail import life
from empath.observe.metrics.modules import DURATIONS, MOST_LABEL
from tests.observe import made
from tests.observe.logs.test_journal import JournalTests
from tests.observe.metrics.test_totals import MetricsCase

NAMED = "module=greylist"


class ModuleMetricsTests(MetricsCase):
    def test_hooks_are_counted_by_module_and_hook(self) -> None:
        counts = self.metrics.modules.of("greylist").hook("rcpt_to")
        counts.quick += 2
        counts.quick_seconds += 0.00005
        counts.observe(0.5)
        counts.failed()
        counts.decided("refuse")
        counts.decided("refuse")
        counts.decided("shadow-refuse")
        told = self.samples()
        hook = ("hook=rcpt_to", NAMED)
        self.assertEqual(told["module_duration_seconds_bucket", "hook=rcpt_to", f"le={DURATIONS[0]}", NAMED], 2)
        self.assertEqual(told["module_duration_seconds_count", *hook], 3)
        self.assertAlmostEqual(told["module_duration_seconds_sum", *hook], 0.50005)
        self.assertEqual(told["module_errors_total", *hook], 1)
        self.assertEqual(told["module_verdicts_total", *hook, "verdict=refuse"], 2)
        self.assertEqual(told["module_verdicts_total", *hook, "verdict=shadow-refuse"], 1)

    def test_hooks_that_have_not_failed_say_so(self) -> None:
        self.metrics.modules.of("greylist").hook("data")
        self.assertEqual(self.samples()["module_errors_total", "hook=data", NAMED], 0)

    def test_breakers_are_looked_at(self) -> None:
        counts = self.metrics.modules.of("greylist")
        self.assertEqual(self.samples()["module_breaker_state", NAMED], 0)
        counts.breaker = lambda: 2
        self.assertEqual(self.samples()["module_breaker_state", NAMED], 2)

    def test_modules_count_events_of_their_own(self) -> None:
        counts = self.metrics.modules.of("greylist")
        counts.event("known")
        counts.event("known", 4)
        counts.event('odd "\n' + "x" * 500)
        told = self.samples()
        self.assertEqual(told["module_events_total", "event=known", NAMED], 5)
        self.assertEqual(sum(name[0] == "module_events_total" for name in told), 2)
        self.assertTrue(
            all(len(label) <= MOST_LABEL + 6 for name in told for label in name if label.startswith("event="))
        )

    def test_counts_outlive_the_module(self) -> None:
        self.assertIs(self.metrics.modules.of("greylist"), self.metrics.modules.of("greylist"))

    def test_discarded_messages_are_counted(self) -> None:
        self.events.emit(life.MessageDiscarded(made.message(), made.session(), "spam", "score 9"))
        self.assertEqual(self.samples()["smtp_messages_discarded_total",], 1)


class ModuleJournalTests(JournalTests):
    def refused(self, decided_by: str, why: str = "") -> str:
        event = made.refused("450 4.7.1 later", verb="EHLO")
        event.decided_by, event.why = decided_by, why
        [line] = self.told(event)
        return line

    def test_a_module_that_refused_is_named_with_its_reason(self) -> None:
        line = self.refused("greylist", "not seen {before}")
        self.assertTrue(line.endswith("helo=<client.test> module=greylist why=(not seen {before})"), line)

    def test_checks_of_our_own_are_no_modules(self) -> None:
        for decided_by in ("", "core", "relay", "senders", "chain"):
            self.assertTrue(self.refused(decided_by, "x").endswith("helo=<client.test>"))

    def test_a_long_reason_is_cut_short(self) -> None:
        self.assertLess(len(self.refused("greylist", "x" * 5000)), 900)

    def test_a_discarded_message_is_told_of(self) -> None:
        event = life.MessageDiscarded(made.message(), made.session(), "spam", "score 9")
        self.assertEqual(
            self.told(event),
            [
                f"info receive: {made.QUEUE_ID}: discarded: from=<a@src.test>, size=4096, nrcpt=1, "
                "client=unknown[192.0.2.9]:40123, module=spam why=(score 9)"
            ],
        )
