"""
Quantities in the operator's spelling.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.quantity import DURATION_UNITS, SIZE_UNITS, read_amount, read_rate, span, written_rate


class QuantityTests(SynchronousTestCase):
    """
    Numbers, and texts with a unit.
    """

    def test_amounts(self) -> None:
        """
        A number stands for itself, a text is a number and one of the units.
        """
        for written, found in ((5, 5.0), (1.5, 1.5), ("5m", 300.0), (" 1.5 h ", 5400.0), ("0s", 0.0)):
            self.assertEqual(read_amount(written, DURATION_UNITS), found)
        self.assertEqual(read_amount("64KiB", SIZE_UNITS), 65536.0)

    def test_what_is_no_amount(self) -> None:
        """
        Truth, what is too long for TOML, texts without unit and unknown units are none.
        """
        for wrong in (True, 2**63, -(2**64), float("nan"), "5", "5w", "m", "-5m", "", None, [1]):
            self.assertIsNone(read_amount(wrong, DURATION_UNITS), wrong)

    def test_rates(self) -> None:
        """
        A count in a unit of time; 0 is no limit.
        """
        for written, found in (("10/s", (10, 1.0)), ("100/min", (100, 60.0)), ("5/h", (5, 3600.0)), (0, (0, 1.0))):
            self.assertEqual(read_rate(written), found)
        for wrong in ("0/s", "10", "10/d", "-1/s", 10, False, None, "1.5/s"):
            self.assertIsNone(read_rate(wrong), wrong)


class WrittenTests(SynchronousTestCase):
    """
    Quantities as people read them.
    """

    def test_rates(self) -> None:
        """
        As they are written, others in words.
        """
        for rate, wanted in (((2, 60.0), "2/min"), ((5, 1.0), "5/s"), ((0, 1.0), "none"), ((3, 7.0), "3 in 7 s")):
            self.assertEqual(written_rate(*rate), wanted)

    def test_spans(self) -> None:
        """
        Two units at the most.
        """
        short = ((0, "0s"), (-5, "0s"), (59.6, "1m"), (61, "1m 1s"), (3600, "1h"), (3601, "1h"))
        for seconds, wanted in (*short, (90_061, "1d 1h"), (432_000, "5d")):
            self.assertEqual(span(seconds), wanted)
