"""
Metadata stays as small as what one can keep with each message.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.metadata import MOST_KEYS, MOST_OCTETS, mend

TEXTS = st.text(max_size=8) | st.integers() | st.just("\ud800") | st.just("x" * 40_000) | st.none()


def octets(metadata: dict[str, str]) -> int:
    """
    Measure in UTF-8.
    """
    return sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())


class MetadataTests(SynchronousTestCase):
    """
    What was there is `before`; a hook made it what it is.
    """

    def mended(self, now: dict[Any, Any], before: dict[str, str] | None = None) -> tuple[dict[Any, Any], str]:
        why = mend(now, before or {})
        return now, why

    def test_texts_may_stay(self) -> None:
        """
        Up to the bounds.
        """
        full = {f"{number:03}": "" for number in range(MOST_KEYS)}
        for metadata in ({"a": "é"}, full, {"k": "v" * (MOST_OCTETS - 1)}, {}):
            self.assertEqual(self.mended(dict(metadata)), (metadata, ""))

    def test_what_is_no_text_goes(self) -> None:
        """
        Other types, and what no UTF-8 can say.
        """
        now: dict[Any, Any] = {"a": "b", "n": 1, 2: "x", "s": "\ud800", None: None, "b": b"x"}
        now, why = self.mended(now)
        self.assertEqual(now, {"a": "b"})
        self.assertIn("no text: 'n', 2, 's'", why)

    def test_the_newest_goes_first(self) -> None:
        """
        What one hook adds too much is taken from its end.
        """
        now, why = self.mended({"old": "1", **{str(number): "" for number in range(MOST_KEYS)}}, {"old": "1"})
        self.assertEqual((len(now), next(iter(now)), list(now)[-1]), (MOST_KEYS, "old", str(MOST_KEYS - 2)))
        self.assertIn("1001 keys", why)
        now, why = self.mended({"a": "x" * 40_000, "b": "y", "c": "é" * 20_000})
        self.assertEqual(list(now), ["a", "b"])

    def test_what_others_left_is_kept(self) -> None:
        """
        A value that grew without bounds is again what it was.
        """
        before = {"mine": "small", "other": "x"}
        self.assertEqual(self.mended({"mine": "y" * 70_000, "other": "x"}, before)[0], before)
        self.assertEqual(self.mended({"mine": None, "other": "x"}, before)[0], before)

    def test_what_was_too_much_before_goes_in_the_end(self) -> None:
        """
        However it came there, the bound holds.
        """
        flood = {"old": "x" * 70_000}
        now, _ = self.mended({**flood, "new": "y"}, flood)
        self.assertEqual(now, {})

    @settings(max_examples=200, deadline=None)
    @given(st.dictionaries(TEXTS, TEXTS, max_size=6), st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
    def test_whatever_a_hook_leaves_fits(self, now: dict[Any, Any], before: dict[str, str]) -> None:
        """
        Texts within the bounds, and nothing of what others left is lost to a hook that only added.
        """
        mend(now, before)
        self.assertTrue(all(isinstance(text, str) for pair in now.items() for text in pair))
        self.assertLessEqual(octets(now), MOST_OCTETS)
        whole: dict[Any, Any] = {**before, "added": "x" * 70_000}
        mend(whole, before)
        self.assertEqual(whole, before)
