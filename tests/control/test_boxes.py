"""
Requirements on boxes: the same octets as Twisted's AMP, cut anywhere, within bounds.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from empath.control.boxes import MAX_KEYS, BoxMalformed, BoxReader, BoxTooLarge, from_values, in_values, octets_of

LIMIT = 200_000
BOXES = st.dictionaries(st.binary(min_size=1, max_size=255), st.binary(max_size=70), min_size=1, max_size=5)


class BoxTests(SynchronousTestCase):
    """
    Written and read.
    """

    @settings(max_examples=100, deadline=None)
    @given(BOXES)
    def test_they_are_amps(self, box: dict[bytes, bytes]) -> None:
        """
        What we write, Twisted writes; what Twisted writes, we read.
        """
        octets = octets_of(box)
        self.assertEqual(octets, amp.AmpBox(box).serialize())
        self.assertEqual(BoxReader(LIMIT).feed(octets), [box])
        self.assertEqual([dict(each) for each in amp.parseString(octets)], [box])

    @settings(max_examples=50, deadline=None)
    @given(st.lists(BOXES, max_size=3), st.integers(1, 40))
    def test_it_does_not_matter_how_they_are_cut(self, boxes: list[dict[bytes, bytes]], size: int) -> None:
        """
        Whole, or in pieces of any size.
        """
        octets = b"".join(map(octets_of, boxes))
        reader = BoxReader(LIMIT)
        read = [box for at in range(0, len(octets), size) for box in reader.feed(octets[at : at + size])]
        self.assertEqual(read, boxes)
        self.assertFalse(reader.inside)

    def test_it_is_known_that_a_box_has_begun(self) -> None:
        """
        From its first octet on.
        """
        reader, octets = BoxReader(LIMIT), octets_of({b"a": b"b"})
        for at in range(len(octets)):
            self.assertEqual(reader.inside, at > 0)
            reader.feed(octets[at : at + 1])
        self.assertFalse(reader.inside)

    def test_long_values_go_on_in_more_of_them(self) -> None:
        """
        Full ones but for the last; none is not the same as empty.
        """
        for size in (0, 1, 65_535, 65_536, 200_000):
            content = b"x" * size
            values = in_values(b"json", content)
            self.assertEqual(len(values), max(1, -(-size // 65_535)))
            self.assertEqual(from_values(b"json", values), content)
        self.assertIsNone(from_values(b"json", {}))

    def test_what_is_too_large_is_not_kept(self) -> None:
        """
        Neither in long values, nor in many, nor in many boxes' worth of one.
        """
        reader = BoxReader(LIMIT)
        long = octets_of({b"_ask": b"1", **in_values(b"json", b"x" * LIMIT)})
        trouble = self.assertRaises(BoxTooLarge, reader.feed, long)
        self.assertEqual(trouble.box[b"_ask"], b"1")
        self.assertRaises(
            BoxTooLarge, BoxReader(LIMIT).feed, octets_of({b"%d" % at: b"" for at in range(MAX_KEYS + 1)})
        )
        self.assertEqual(len(BoxReader(LIMIT).feed(octets_of({b"a": b"b" * 60_000}) * 20)), 20)

    def test_what_is_no_box_is_told(self) -> None:
        """
        Keys that are too long, come twice, or not at all.
        """
        for octets in (b"GET / HTTP/1.0\r\n", b"\x01\x00", b"\0\0", b"\0\1a\0\0\0\1a\0\0"):
            self.assertRaises(BoxMalformed, BoxReader(LIMIT).feed, octets)

    def test_what_does_not_fit_is_not_written(self) -> None:
        """
        An empty key would end the box.
        """
        for box in ({b"": b"x"}, {b"k" * 256: b"x"}, {b"k": b"x" * 65_536}):
            self.assertRaises(ValueError, octets_of, box)
