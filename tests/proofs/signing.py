"""
Proof: 1,000 messages of every shape, signed by us, are verified by OpenDKIM and dkimpy in all canonicalizations.
"""

from __future__ import annotations

from tests.e2e import test_signing


class AllVerifiedTests(test_signing.VerifiedTests):
    """
    The full number.
    """

    each = 250
