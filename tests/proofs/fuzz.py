"""
Proof: hostile bytes of many kinds break no promise of any target in `fuzz/targets`.

`python -m pytest -s tests/proofs/fuzz.py`; EMPATH_FUZZ_SECONDS (for each target) and EMPATH_SEED change it. An input
that breaks something is kept in `fuzz/crashes`, and fails the proof.
"""

from __future__ import annotations

import os
import random

from twisted.trial.unittest import SynchronousTestCase

from fuzz.running import Bounds, load, names, run

SECONDS = float(os.environ.get("EMPATH_FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)


class FuzzTests(SynchronousTestCase):
    """
    Each target for its time.
    """

    def test_no_target_breaks(self) -> None:
        print(f"\nfuzzing, {SECONDS:g} s each, seed {SEED}")
        reports = []
        for name in names():
            reports.append(run(load(name), Bounds(seconds=SECONDS), SEED))
            print(reports[-1].line(), flush=True)
        self.assertEqual([report.trace for report in reports if report.crasher], [])
