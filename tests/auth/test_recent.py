"""
What was proved a moment ago.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.auth.recent import Recent


class RecentTests(SynchronousTestCase):
    """
    Half a minute, two logins.
    """

    def setUp(self) -> None:
        self.recent = Recent(b"secret", 30.0, max_entries=2)

    def test_a_while(self) -> None:
        """
        Exactly this login with this password, and not for long.
        """
        self.recent.add("tim", "x", 100.0)
        self.assertTrue(self.recent.knows("tim", "x", 129.9))
        for login, password, now in (("tim", "x", 130.0), ("tim", "y", 100.0), ("kurt", "x", 100.0), ("tim", "x", 0.0)):
            self.assertFalse(self.recent.knows(login, password, now))

    def test_nothing_readable_is_held(self) -> None:
        """
        Neither login nor password is in memory for longer than the check.
        """
        self.recent.add("tim", "s3cret", 0.0)
        self.assertNotIn("s3cret", repr(vars(self.recent)))

    def test_bounds(self) -> None:
        """
        The oldest goes first; all go when the file changes.
        """
        for login in ("a", "b", "a", "c"):
            self.recent.add(login, "x", 0.0)
        self.assertEqual([self.recent.knows(login, "x", 1.0) for login in "abc"], [True, False, True])
        self.recent.clear()
        self.assertEqual(len(self.recent), 0)
