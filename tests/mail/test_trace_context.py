"""
Requirements on trace contexts (W3C Trace Context).
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.queue_id import new_queue_id
from empath.mail.trace_context import (
    TraceContext,
    is_chosen,
    is_sampled,
    parse_traceparent,
    span_id_of,
    trace_id_of,
)

EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # §3.2.4


class ParsingTests(SynchronousTestCase):
    """
    What a traceparent says.
    """

    def test_the_example_of_the_standard(self) -> None:
        found = parse_traceparent(EXAMPLE)
        self.assertEqual(found, TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True))
        self.assertEqual(str(found), EXAMPLE)

    def test_a_later_version_is_read_as_far_as_it_is_known(self) -> None:
        """
        §4.3: what a later version adds stands behind a dash.
        """
        later = f"01{EXAMPLE[2:]}"
        self.assertEqual(parse_traceparent(f"{later}-more"), parse_traceparent(EXAMPLE))
        self.assertEqual(parse_traceparent(later), parse_traceparent(EXAMPLE))
        self.assertIsNone(parse_traceparent(f"{later}more"))

    def test_what_is_none(self) -> None:
        for text in (
            "",
            EXAMPLE[:-1],
            f"{EXAMPLE}-more",
            f"ff{EXAMPLE[2:]}",
            EXAMPLE.upper(),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
            EXAMPLE.replace("00f067aa0ba902b7", "0" * 16),
            EXAMPLE.replace("-01", "-0g"),
            EXAMPLE.replace("-", "_"),
            EXAMPLE.replace("-0", "_0", 1),
            f"{EXAMPLE[:52]}_01",
        ):
            self.assertIsNone(parse_traceparent(text), text)

    def test_other_flags_say_nothing(self) -> None:
        for flags, sampled in (("03", True), ("02", False), ("ff", True), ("00", False)):
            found = parse_traceparent(EXAMPLE[:-2] + flags)
            assert found is not None
            self.assertEqual(found.sampled, sampled)

    @given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
    def test_what_is_written_is_read(self, trace: int, span: int, sampled: bool) -> None:
        context = TraceContext(f"{trace:032x}", f"{span:016x}", sampled)
        self.assertEqual(parse_traceparent(str(context)), context)
        self.assertEqual(is_sampled(str(context)), sampled)

    @given(st.text(max_size=60))
    def test_no_text_is_too_strange(self, text: str) -> None:
        found = parse_traceparent(text)
        self.assertTrue(found is None or str(found)[3:52] == text[3:52])

    def test_no_trace_is_sampled_where_there_is_none(self) -> None:
        self.assertFalse(is_sampled(""))


class NamingTests(SynchronousTestCase):
    """
    Ids that can be told again at any time.
    """

    def test_a_trace_has_the_bits_of_the_queue_id(self) -> None:
        self.assertEqual(trace_id_of("00000000000000000000000001"), f"{1:032x}")
        self.assertEqual(trace_id_of("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), "f" * 32)
        self.assertEqual(trace_id_of("0" * 26), f"{1:032x}")  # never all zero

    @given(st.floats(0, 2**40), st.integers())
    def test_other_queue_ids_have_other_traces(self, now: float, seed: int) -> None:
        chance = random.Random(seed)
        one, two = new_queue_id(now, chance), new_queue_id(now, chance)
        self.assertNotEqual(trace_id_of(one), trace_id_of(two))
        self.assertEqual(len(trace_id_of(one)), 32)

    def test_spans_are_named_by_what_they_are_of(self) -> None:
        names = [("A",), ("A", "one.test", 1), ("A", "one.test", 2), ("A", "two.test", 1), ("B",)]
        found = [span_id_of(*each) for each in names]
        self.assertEqual(len(set(found)), len(names))
        self.assertEqual(found, [span_id_of(*each) for each in names])
        self.assertEqual({len(each) for each in found}, {16})

    def test_a_share_is_chosen(self) -> None:
        chance = random.Random(7)
        traces = [trace_id_of(new_queue_id(1.0, chance)) for _ in range(4000)]
        self.assertFalse(any(is_chosen(each, 0.0) for each in traces))
        self.assertTrue(all(is_chosen(each, 1.0) for each in traces))
        tenth = {each for each in traces if is_chosen(each, 0.1)}
        self.assertTrue(300 < len(tenth) < 500, len(tenth))
        self.assertLessEqual(tenth, {each for each in traces if is_chosen(each, 0.2)})
