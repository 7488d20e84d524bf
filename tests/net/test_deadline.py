"""
The deadline of a connection.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.net.deadline import Deadline


class DeadlineTests(SynchronousTestCase):
    """
    A deadline expires once, when the time set last has passed.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.expiries: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.expiries.append(self.clock.seconds()))

    def test_expires_once(self) -> None:
        """
        It expires at its time and not again.
        """
        self.deadline.set(5)
        self.clock.pump([4.9, 0.1, 10])
        self.assertEqual(self.expiries, [5.0])

    def test_moved_later(self) -> None:
        """
        Setting it again counts from then on.
        """
        self.deadline.set(5)
        self.clock.advance(3)
        self.deadline.set(5)
        self.clock.pump([2, 2.5])
        self.assertEqual(self.expiries, [])
        self.clock.advance(0.5)
        self.assertEqual(self.expiries, [8.0])

    def test_moved_sooner(self) -> None:
        """
        An earlier time replaces a later one, and leaves one timer.
        """
        self.deadline.set(300)
        self.deadline.set(2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2)
        self.assertEqual(self.expiries, [2.0])

    def test_cleared(self) -> None:
        """
        Once cleared it does not expire until set again.
        """
        self.deadline.set(5)
        self.deadline.clear()
        self.clock.advance(6)
        self.assertEqual(self.expiries, [])
        self.deadline.set(1)
        self.clock.advance(1)
        self.assertEqual(self.expiries, [7.0])

    def test_remaining(self) -> None:
        """
        It tells what is left, and None while nothing is set.
        """
        self.assertIsNone(self.deadline.remaining)
        self.deadline.set(5)
        self.clock.advance(2)
        self.assertEqual(self.deadline.remaining, 3.0)

    def test_stopped(self) -> None:
        """
        Stopping leaves no timer behind, and may be repeated.
        """
        self.deadline.set(5)
        self.deadline.stop()
        self.deadline.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_for_good(self) -> None:
        """
        It lets go of whom it would have told, and tells nobody any more.
        """
        self.deadline.stop()
        self.deadline.set(5)
        self.clock.advance(5)
        self.assertEqual(self.expiries, [])
