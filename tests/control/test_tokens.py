"""
Requirements on tokens.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ControlToken
from empath.control.tokens import Tokens
from tests.control.asking import token


class TokensTests(SynchronousTestCase):
    """
    Told by their hashes.
    """

    def test_without_any_everybody_comes_in(self) -> None:
        """
        Whatever token they have.
        """
        self.assertEqual([Tokens([]).name_of(each) for each in ("", "x")], ["", ""])

    def test_with_some_only_who_has_one(self) -> None:
        """
        Hashes may be written in capitals; a token may be any text.
        """
        shouted = token("loud", "geheim ü")
        tokens = Tokens([token("ops", "secret"), ControlToken("loud", shouted.sha256.upper())])
        self.assertEqual([tokens.name_of(each) for each in ("secret", "geheim ü")], ["ops", "loud"])
        self.assertEqual([tokens.name_of(each) for each in ("", "Secret", "secret ", "\udcff")], [None] * 4)
