"""
Proof: 2,000 messages of smtp-source and swaks, beside the corpus, arrive exactly once.
"""

from __future__ import annotations

from tests.e2e import test_corpus


class FullCorpusTests(test_corpus.CorpusTests):
    """
    The full number.
    """

    sourced = 1900
    swaks = 100
