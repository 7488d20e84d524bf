"""
Proof: a message of 500 MB passes through while the process's RSS rises by less than 40 MB.
"""

from __future__ import annotations

from tests.e2e.limits import MIB, LargeMessageCase

SIZE = 500 * 1000 * 1000
RISE = 40 * 1000 * 1000


class LargeMessageTests(LargeMessageCase):
    """
    The full size.
    """

    def test_500_mb_pass_through_in_less_than_40_mb_of_memory(self) -> None:
        risen = self.pass_through(SIZE)
        print(f"\n500 MB passed through; RSS rose by {risen / MIB:.1f} MiB at most (allowed: {RISE / MIB:.1f})")
        self.assertLess(risen, RISE)
