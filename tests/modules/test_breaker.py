"""
A module that fails again and again is left alone for a while.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.breaker import ADMITTED, CLOSED, HALF_OPEN, OPEN, REFUSED, TRIAL, Breaker


class BreakerTests(SynchronousTestCase):
    """
    Three failures in a row are too many; then a minute has to pass.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker("test", 3, 60.0, self.clock)

    def fail_times(self, times: int) -> None:
        for _ in range(times):
            self.breaker.failed("data", ADMITTED)

    def test_failures_that_are_not_in_a_row_do_not_open_it(self) -> None:
        """
        A success sets the count back.
        """
        for _ in range(5):
            self.fail_times(2)
            self.assertEqual(self.breaker.admits("data"), ADMITTED)
            self.breaker.succeeded("data", ADMITTED)
        self.assertEqual((self.breaker.state, self.breaker.failures), (CLOSED, 0))

    def test_opens_after_so_many_failures(self) -> None:
        """
        From then on nobody is let through until the time is over; one log line says so.
        """
        with capturedLogs() as events:
            self.fail_times(3)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.warn])
        self.assertEqual((self.breaker.state, self.breaker.admits("data")), (OPEN, REFUSED))
        self.clock.advance(59.9)
        self.assertFalse(self.breaker.admits("data"))

    def test_one_call_finds_out(self) -> None:
        """
        The others are not let through while it is under way; its success closes the breaker, with one log line.
        """
        self.fail_times(3)
        self.clock.advance(60)
        self.assertEqual([self.breaker.admits("data"), self.breaker.admits("data")], [TRIAL, REFUSED])
        self.assertEqual(self.breaker.state, HALF_OPEN)
        with capturedLogs() as events:
            self.breaker.succeeded("data", TRIAL)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])
        self.assertEqual((self.breaker.state, self.breaker.failures), (CLOSED, 0))

    def test_its_failure_opens_it_again(self) -> None:
        """
        For another minute.
        """
        self.fail_times(3)
        self.clock.advance(60)
        self.assertEqual(self.breaker.admits("data"), TRIAL)
        self.breaker.failed("data", TRIAL)
        self.assertEqual((self.breaker.state, self.breaker.admits("data")), (OPEN, REFUSED))
        self.clock.advance(60)
        self.assertEqual(self.breaker.admits("data"), TRIAL)

    def test_a_call_that_told_nothing_leaves_it_to_the_next(self) -> None:
        """
        The session of the one call went away.
        """
        self.breaker.released(ADMITTED)
        self.fail_times(3)
        self.clock.advance(60)
        self.assertEqual(self.breaker.admits("data"), TRIAL)
        self.breaker.released(TRIAL)
        self.assertEqual(self.breaker.state, OPEN)
        self.assertEqual(self.breaker.admits("data"), TRIAL)

    def test_what_was_asked_before_it_opened_changes_nothing(self) -> None:
        """
        A late success does not close it, a late failure does not prolong it.
        """
        self.fail_times(3)
        self.breaker.succeeded("data", ADMITTED)
        self.assertEqual(self.breaker.state, OPEN)
        self.clock.advance(59)
        with capturedLogs() as events:
            self.breaker.failed("data", ADMITTED)
        self.clock.advance(1)
        self.assertEqual((events, self.breaker.admits("data")), ([], TRIAL))

    def test_while_one_call_finds_out_no_other_does(self) -> None:
        """
        Whatever becomes of those that were asked before it opened.
        """
        self.fail_times(3)
        self.clock.advance(60)
        self.breaker.admits("data")
        self.breaker.succeeded("data", ADMITTED)
        self.breaker.failed("data", ADMITTED)
        self.breaker.released(ADMITTED)
        self.assertEqual((self.breaker.state, self.breaker.admits("data")), (HALF_OPEN, REFUSED))

    def test_another_hook_that_succeeds_proves_nothing(self) -> None:
        """
        One that does nothing at MAIL, and asks a scanner that is gone in `data`, fails in a row all the same.
        """
        for _ in range(3):
            self.breaker.succeeded("mail_from", self.breaker.admits("mail_from"))
            self.breaker.failed("data", self.breaker.admits("data"))
        self.assertEqual((self.breaker.admits("mail_from"), self.breaker.admits("data")), (REFUSED, REFUSED))
        self.clock.advance(60)
        self.breaker.succeeded("mail_from", self.breaker.admits("mail_from"))
        self.assertEqual(self.breaker.state, OPEN)
        self.assertEqual([self.breaker.admits("data"), self.breaker.admits("mail_from")], [TRIAL, ADMITTED])
        self.breaker.succeeded("data", TRIAL)
        self.assertEqual((self.breaker.state, self.breaker.failures), (CLOSED, 0))

    def test_another_hook_that_fails_as_well(self) -> None:
        """
        While the first is still to find out: the module rests again.
        """
        self.fail_times(3)
        self.clock.advance(60)
        self.breaker.failed("mail_from", self.breaker.admits("mail_from"))
        self.assertEqual((self.breaker.state, self.breaker.admits("data")), (OPEN, REFUSED))

    def test_a_clock_that_is_set_back_does_not_keep_it_open(self) -> None:
        """
        Not for longer than it was to be.
        """
        self.clock.advance(10_000)
        self.fail_times(3)
        self.clock.rightNow = 1.0
        self.assertEqual(self.breaker.admits("data"), TRIAL)
