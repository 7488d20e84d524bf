"""
Proof: after 10,000 messages with a known mix of outcomes from 10 clients, every counter equals what clients and peers
counted, and no total ever fell for those who read the page all the time.

EMPATH_MESSAGES changes the number.
"""

from __future__ import annotations

import os
from typing import Final

from tests.e2e.counting_case import CountingCase

MESSAGES: Final = int(os.environ.get("EMPATH_MESSAGES", "10000"))


class CountersTests(CountingCase):
    """
    As tests/e2e/test_counters.py, with many.
    """

    def test_every_counter_is_exact(self) -> None:
        self.reckon(MESSAGES, 600.0)
