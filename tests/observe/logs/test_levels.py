"""
Requirements on the log levels of namespaces.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.observe.logs.levels import Levels


class LevelsTests(SynchronousTestCase):
    """
    A level for all, and others for some.
    """

    def test_the_longest_name_that_fits_counts(self) -> None:
        """
        A name fits what it is the name of, and all that is below it by dots.
        """
        levels = Levels("info", {"empath": "warn", "empath.dns": "debug", "empath.dns.cache": "error"})
        names = ("twisted.web", "empath", "empath.deliver", "empath.dns", "empath.dns.servers", "empath.dnssec", "")
        self.assertEqual(
            [levels.of(name) for name in (*names, "empath.dns.cache")],
            ["info", "warn", "warn", "debug", "debug", "warn", "info", "error"],
        )

    def test_tells_what_is_written(self) -> None:
        """
        At or above the level of who says it.
        """
        levels = Levels("warn", {"empath.dns": "debug"})
        self.assertTrue(levels.shows("debug", "empath.dns.cache"))
        self.assertFalse(levels.shows("info", "empath.deliver"))
        self.assertTrue(levels.shows("error", "empath.deliver"))
        self.assertFalse(levels.shows("info"))

    def test_many_names_do_not_fill_memory(self) -> None:
        """
        What was found out is kept for some only.
        """
        levels = Levels("info", {"a": "warn"})
        for number in range(3000):
            self.assertTrue(levels.shows("info", f"n{number}"))
        self.assertLessEqual(len(levels._known), 1000)

    def test_other_words_are_no_levels(self) -> None:
        """
        They are refused, for all and for some.
        """
        self.assertRaises(ValueError, Levels, "loud")
        self.assertRaises(ValueError, Levels, "info", {"empath": "loud"})
