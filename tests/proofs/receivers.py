"""
Proof: 1,000 messages of all kinds, from 1 byte to 20 MB, reach each receiver in a form that it takes, or come back.
"""

from __future__ import annotations

from tests.e2e import test_receivers


class AllReceiversTests(test_receivers.ReceiversTests):
    """
    The full number, at the full size.
    """

    count = 1000
    largest = 20_000_000
    limit = 15_000_000
    seconds = 900.0
    pause = 2.0
