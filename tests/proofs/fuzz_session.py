"""
Proof: ten million dialogues with the server's session, and no crash, no relay for who did not prove who it is, no state
that depends on how the bytes are divided.

`python -m pytest -s tests/proofs/fuzz_session.py`; EMPATH_FUZZ_COUNT (inputs), EMPATH_FUZZ_GUIDED (how many of them
Atheris makes, where it is installed), EMPATH_FUZZ_PROCESSES and EMPATH_SEED change it. What breaks something is kept in
`fuzz/crashes`.
"""

from __future__ import annotations

import os
import random

from twisted.trial.unittest import SynchronousTestCase

from fuzz.millions import Plan, record

COUNT = int(os.environ.get("EMPATH_FUZZ_COUNT", "10000000"))
GUIDED = int(os.environ.get("EMPATH_FUZZ_GUIDED", str(COUNT // 10)))
PROCESSES = int(os.environ.get("EMPATH_FUZZ_PROCESSES", "0")) or os.cpu_count() or 1
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
DIFFERENT = 0.9  # of all inputs


class SessionTests(SynchronousTestCase):
    """
    The recorded run.
    """

    def test_millions_of_dialogues_break_nothing(self) -> None:
        print()
        recorded = record(Plan(COUNT, GUIDED, PROCESSES, SEED), lambda line: print(line, flush=True))
        self.assertEqual(recorded.failures, ())
        self.assertGreaterEqual(recorded.count, COUNT)
        self.assertGreater(recorded.different, DIFFERENT * recorded.count)
        self.assertEqual([name for name, number in recorded.reach().items() if not number], [])
