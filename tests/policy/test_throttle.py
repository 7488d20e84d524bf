"""
Waiting after wrong guesses.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.throttle import Throttle


class ThrottleTests(SynchronousTestCase):
    """
    Three within a minute.
    """

    def setUp(self) -> None:
        self.throttle = Throttle(3, 60.0, max_clients=2)

    def fail_at(self, client: str, *moments: float) -> None:
        """
        Let a client fail.
        """
        for moment in moments:
            self.throttle.failed(client, moment)

    def test_held_off_for_the_rest_of_the_window(self) -> None:
        """
        The last failure that is allowed closes the door until the window of the first is over.
        """
        self.fail_at("a", 10.0, 20.0)
        self.assertFalse(self.throttle.holds_off("a", 20.0))
        self.fail_at("a", 30.0)
        self.assertTrue(self.throttle.holds_off("a", 30.0))
        self.assertTrue(self.throttle.holds_off("a", 69.9))
        self.assertFalse(self.throttle.holds_off("a", 70.0))
        self.fail_at("a", 70.0)
        self.assertFalse(self.throttle.holds_off("a", 70.0))

    def test_other_bounds(self) -> None:
        """
        They count at once, for what was counted before, too.
        """
        self.fail_at("a", 10.0, 20.0)
        self.throttle.reconfigure(2, 30.0)
        self.assertTrue(self.throttle.holds_off("a", 39.9))
        self.assertFalse(self.throttle.holds_off("a", 40.0))

    def test_clients_are_apart(self) -> None:
        """
        Nobody waits for another.
        """
        self.fail_at("a", 0.0, 0.0, 0.0)
        self.assertFalse(self.throttle.holds_off("b", 0.0))

    def test_success_forgives(self) -> None:
        """
        Who gets in begins anew.
        """
        self.fail_at("a", 0.0, 0.0)
        self.throttle.succeeded("a")
        self.throttle.succeeded("nobody")
        self.fail_at("a", 0.0)
        self.assertFalse(self.throttle.holds_off("a", 0.0))

    def test_memory(self) -> None:
        """
        Of too many the one that failed longest ago is forgotten.
        """
        self.fail_at("a", 0.0, 0.0, 0.0)
        self.fail_at("b", 0.0, 0.0, 0.0)
        self.fail_at("a", 1.0)
        self.fail_at("c", 2.0)
        self.assertEqual(len(self.throttle), 2)
        self.assertTrue(self.throttle.holds_off("a", 2.0))
        self.assertFalse(self.throttle.holds_off("b", 2.0))

    def test_a_clock_that_is_set_back(self) -> None:
        """
        Nobody waits longer than the window.
        """
        self.fail_at("a", 1000.0, 1000.0, 1000.0)
        self.assertFalse(self.throttle.holds_off("a", 0.0))

    def test_no_limit(self) -> None:
        """
        0 holds off nobody.
        """
        throttle = Throttle(0, 60.0)
        throttle.failed("a", 0.0)
        self.assertFalse(throttle.holds_off("a", 0.0))
