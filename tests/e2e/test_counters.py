"""
Requirement: every counter equals what clients and peers counted, though it is read all the time.

`tests/proofs/counters.py` has more messages.
"""

from __future__ import annotations

from tests.e2e.counting_case import CountingCase

MESSAGES = 500


class CountersTests(CountingCase):
    def test_every_counter_equals_what_the_peers_counted(self) -> None:
        self.reckon(MESSAGES, 60.0)
