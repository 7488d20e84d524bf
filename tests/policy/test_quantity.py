"""
Quantities in the operator's spelling.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.quantity import DURATION_UNITS, SIZE_UNITS, read_amount, read_rate


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
