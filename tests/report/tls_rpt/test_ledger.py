"""
The counts of all domains.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import StorageError
from empath.report.tls_rpt import ledger as room
from empath.report.tls_rpt.ledger import KEPT, PERSISTENCE, SPREAD, Ledger, Page, read_page
from tests.report.tls_rpt.support import DAY, MIDNIGHT, FakeStorage, tried

NOON = MIDNIGHT + DAY / 2
OVER = MIDNIGHT + DAY + SPREAD  # all reports of the day are due


class LedgerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.storage = FakeStorage()
        self.ledger = Ledger(self.storage)

    def done(self, work: Coroutine[Any, Any, None]) -> None:
        """
        Let it come to its end.
        """
        self.successResultOf(Deferred.fromCoroutine(work))

    def counted(self, *domains: str, now: float = NOON) -> None:
        """
        Count a session with each, and store that.
        """
        for domain in domains:
            self.ledger.count(tried(domain), now)
        self.done(self.ledger.flush())

    def due(self, now: float, ledger: Ledger | None = None) -> list[str]:
        """
        Tell whose reports are due.
        """
        ledger = ledger or self.ledger
        ledger.turn(now)
        return sorted(page.domain for page in ledger.due(now))

    def restored(self, now: float) -> Ledger:
        """
        Begin again with what is stored.
        """
        again = Ledger(self.storage)
        self.done(again.restore(now))
        return again


class LedgerTests(LedgerCase):
    def test_a_day(self) -> None:
        """
        Nothing is due before the day is over; then it is, within hours, and not all at the same moment.
        """
        domains = [f"d{nth}.test" for nth in range(20)]
        self.counted(*domains)
        self.assertEqual(self.due(MIDNIGHT + DAY - 1), [])
        half = self.due(MIDNIGHT + DAY + SPREAD / 2)
        self.assertTrue(2 < len(half) < 18, half)
        self.assertEqual(self.due(OVER), sorted(domains))

    def test_two_days(self) -> None:
        """
        Each day has its own page.
        """
        self.counted("one.test")
        self.counted("one.test", now=NOON + DAY)
        self.assertEqual(self.due(OVER), ["one.test"])
        self.assertEqual(self.due(OVER + DAY), ["one.test", "one.test"])
        self.assertEqual(len(self.storage.kept), 2)

    def test_across_a_restart(self) -> None:
        """
        What was stored goes on: today's counts, and those of days that are over.
        """
        self.counted("one.test", "two.test", "three.test")
        again = self.restored(NOON)
        again.count(tried("one.test"), NOON)
        self.assertEqual(self.due(OVER, again), ["one.test", "three.test", "two.test"])
        [page] = [page for page in again.due(OVER) if page.domain == "one.test"]
        [policy] = page.counts.policies("one.test")
        self.assertEqual(policy["summary"]["total-successful-session-count"], 2)
        self.assertEqual(self.due(OVER, self.restored(OVER)), ["one.test", "three.test", "two.test"])

    def test_only_what_changed_is_stored(self) -> None:
        """
        And it expires by itself once it is of no use.
        """
        self.counted("one.test")
        self.done(self.ledger.flush())
        self.assertEqual(self.storage.writes, 1)
        self.assertEqual(self.storage.expires, {f"{MIDNIGHT:.0f} one.test": MIDNIGHT + DAY + KEPT})

    def test_a_storage_that_fails(self) -> None:
        """
        What it does not take now it gets with the next flush.
        """
        self.storage.trouble = StorageError("the disk is full")
        with capturedLogs() as events:
            self.counted("one.test", "two.test")
        self.assertEqual(len(events), 1)
        self.storage.trouble = None
        self.done(self.ledger.flush())
        self.assertEqual(len(self.storage.kept), 2)

    def test_forgotten(self) -> None:
        """
        What is forgotten is neither due nor stored any more.
        """
        self.counted("one.test", "two.test")
        self.due(OVER)
        for page in self.ledger.due(OVER):
            self.ledger.changed(page)
            self.done(self.ledger.forget(page))
        self.done(self.ledger.flush())
        self.assertEqual((self.due(OVER), self.storage.kept), ([], {}))

    def test_forgotten_though_the_storage_fails(self) -> None:
        """
        At least while we run.
        """
        self.counted("one.test")
        self.due(OVER)
        self.storage.trouble = StorageError("the disk is full")
        for page in self.ledger.due(OVER):
            self.done(self.ledger.forget(page))
        self.assertEqual(self.due(OVER), [])

    def test_what_cannot_be_read(self) -> None:
        """
        Is passed over.
        """
        self.counted("one.test")
        self.storage.kept.update(
            {"": "", f"{MIDNIGHT} x": "[1]", f"{MIDNIGHT} y": "[", "a b": "[[],[],0,0,0]", "c": "1"}
        )
        with capturedLogs() as events:
            again = self.restored(NOON)
        self.assertEqual((self.due(OVER, again), len(events)), (["one.test"], 4))  # the key "" cannot be asked for

    def test_too_many_domains(self) -> None:
        """
        Memory is bounded; the log says so once a day.
        """
        self.patch(room, "MOST_DAYS", 2)
        with capturedLogs() as events:
            self.counted("one.test", "two.test", "three.test", "four.test", "one.test")
        self.assertEqual((self.due(OVER), len(events)), (["one.test", "two.test"], 1))
        with capturedLogs() as events:
            self.counted("three.test", now=NOON + DAY)
        self.assertEqual(len(events), 1)

    def test_a_clock_that_is_set_back(self) -> None:
        """
        Takes up the day where it was.
        """
        self.counted("one.test")
        self.counted("one.test", now=NOON + DAY)
        self.counted("one.test", now=NOON)
        self.assertEqual(self.due(OVER), ["one.test"])
        [page] = self.ledger.due(OVER)
        [policy] = page.counts.policies("one.test")
        self.assertEqual(policy["summary"], {"total-successful-session-count": 2, "total-failure-session-count": 0})


class PageTests(LedgerCase):
    def page(self) -> Page:
        """
        Give the one page.
        """
        self.counted("one.test")
        self.ledger.turn(OVER)
        [page] = self.ledger.due(OVER)
        return page

    def test_postponed(self) -> None:
        """
        Tries are further and further apart, and end a day after the first one (RFC 8460 §5.5).
        """
        page = self.page()
        now, times = page.due, []
        while page.postpone(now):
            self.assertGreater(page.next_try, now)
            now = page.next_try
            times.append(now - page.due)
        self.assertEqual(times[:3], [900.0, 2700.0, 6300.0])
        self.assertTrue(PERSISTENCE - SPREAD <= times[-1] <= PERSISTENCE)

    def test_written(self) -> None:
        """
        With how far it is.
        """
        page = self.page()
        page.done.add("https://one.test/")
        page.postpone(OVER)
        again = read_page(page.key, page.write())
        for name in ("domain", "began", "done", "tries", "first", "next_try", "due", "key"):
            self.assertEqual(getattr(again, name), getattr(page, name), name)
