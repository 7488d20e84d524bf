"""
Tests for empath.policy.seal.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.seal import ALPHABET, DAY, LASTS, LENGTH, Seals, day_stamp, lasting

NOW = 1_795_000_000.0


class StampTests(SynchronousTestCase):
    """
    How long an address can be used.
    """

    def test_lasts_for_three_weeks(self) -> None:
        """
        A stamp counts for 21 days, and from a clock that is a day before ours.
        """
        stamp = day_stamp(NOW)
        self.assertEqual(
            [lasting(stamp, NOW + days * DAY) for days in (-2, -1, 0, LASTS, LASTS + 1)], [False] + [True] * 3 + [False]
        )

    def test_case_does_not_count(self) -> None:
        """
        A host that changes the case of letters takes nothing away.
        """
        self.assertTrue(lasting(day_stamp(NOW).lower(), NOW))

    def test_what_is_no_stamp(self) -> None:
        """
        Anything else never counts.
        """
        self.assertEqual([each for each in ("", "A", "AAA", "1A", "A1", "ÄA") if lasting(each, NOW)], [])

    @given(st.integers(0, 1023), st.floats(0, 4e9))
    def test_each_day_has_one(self, days: int, now: float) -> None:
        """
        Two characters say which day it was, for 1,024 days.
        """
        self.assertEqual(len(day_stamp(now)), 2)
        self.assertLessEqual(set(day_stamp(now)), set(ALPHABET))
        self.assertEqual(lasting(day_stamp(now), now + days * DAY), days <= LASTS or days == 1023)


class SealTests(SynchronousTestCase):
    """
    Seals.
    """

    def test_fits_its_text_only(self) -> None:
        """
        A seal fits the text that it was made of, in any case, for its own use, and for nobody with another secret.
        """
        seals = Seals(("secret",))
        seal = seals.seal("srs0", "AB=example.org=bob")
        self.assertEqual(len(seal) + 2, LENGTH)
        self.assertTrue(seals.fits("srs0", "ab=Example.org=BOB", seal.lower()))
        self.assertFalse(seals.fits("srs1", "AB=example.org=bob", seal))
        self.assertFalse(seals.fits("srs0", "AB=example.org=eve", seal))
        self.assertFalse(Seals(("other",)).fits("srs0", "AB=example.org=bob", seal))
        self.assertFalse(seals.fits("srs0", "AB=example.org=bob", "ÄÖÜ"))

    def test_an_older_secret_is_still_understood(self) -> None:
        """
        After a change of the secret seals are made with the new one, and those of the older ones fit.
        """
        before, after = Seals(("old",)), Seals(("new", "old"))
        self.assertTrue(after.fits("verp", "x", before.seal("verp", "x")))
        self.assertNotEqual(after.seal("verp", "x"), before.seal("verp", "x"))

    def test_secrets_are_not_shown(self) -> None:
        """
        Nothing that is logged tells them.
        """
        self.assertNotIn("hush", repr(Seals(("hush",))))

    def test_tokens(self) -> None:
        """
        A text has one token, and two texts do not share one, even if they differ in case only.
        """
        seals = Seals(("secret",))
        self.assertEqual(seals.token("a@b.example"), seals.token("a@b.example"))
        self.assertNotEqual(seals.token("a@b.example"), seals.token("A@b.example"))
        self.assertEqual(len(seals.token("x")), 16)
