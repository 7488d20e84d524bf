"""
Tests for where a message came from.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.origin import OUTSIDE, OWN, TRUSTED, Origin, Source, origin_of, read_origin


class OriginTests(SynchronousTestCase):
    """
    Tests for `Origin`.
    """

    def test_text_and_back(self) -> None:
        """
        Every origin is read again from its text; what is no such text is mail from outside.
        """
        for origin in (OUTSIDE, TRUSTED, OWN, Origin(Source.LOGIN, "alice"), Origin(Source.LOGIN, "")):
            self.assertEqual(read_origin(str(origin)), origin)
        self.assertEqual([read_origin(None), read_origin("root")], [OUTSIDE, OUTSIDE])

    def test_sessions(self) -> None:
        """
        A login counts before a trusted network; without either it is outside mail, which nobody vouches for.
        """
        self.assertEqual(origin_of(True, "alice"), Origin(Source.LOGIN, "alice"))
        self.assertEqual([origin_of(True, ""), origin_of(False, "")], [TRUSTED, OUTSIDE])
        self.assertEqual([each.vouched for each in (OUTSIDE, TRUSTED, OWN)], [False, True, True])
