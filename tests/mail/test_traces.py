"""
Requirements on which trace a message is followed under.
"""

from __future__ import annotations

from contextvars import copy_context

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import Delivery
from empath.mail.origin import OUTSIDE, OWN, TRUSTED
from empath.mail.trace_context import TraceContext, is_sampled, parse_traceparent, span_id_of, trace_id_of
from empath.mail.traces import (
    MOST_ASKED,
    MOST_CONTINUED,
    MOST_RECENT,
    Traces,
    attempt_span_of,
    context_of,
    parent_in,
    parent_of,
)
from tests.observe.made import message

QUEUE_ID = "01JD0000000000000000000001"
PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
FIELD = f"Traceparent:  {PARENT} \r\n".encode()
OURS = b"Received: from a.test by mx.test; date\r\n"
REST = b"From: <ann@one.test>\r\n"


class TracesTests(SynchronousTestCase):
    """
    What is decided when a message becomes ours.
    """

    def test_nothing_is_traced_while_it_is_off(self) -> None:
        traces = Traces(False, 1.0)
        self.assertIsNone(traces.steps(QUEUE_ID))
        self.assertEqual(traces.received(QUEUE_ID, FIELD, TRUSTED), "")
        self.assertEqual(traces.written(QUEUE_ID, str(PARENT)), "")
        self.assertIsNone(traces.ids_of(QUEUE_ID))

    def test_a_trace_begins_with_its_message(self) -> None:
        for ratio in (0.0, 1.0):
            traces = Traces(True, ratio)
            root = TraceContext(trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID), ratio == 1.0)
            self.assertEqual(traces.received(QUEUE_ID, REST, TRUSTED), str(root))
            self.assertEqual(traces.ids_of(QUEUE_ID), (root.trace_id, root.span_id))
            self.assertEqual(traces.steps(QUEUE_ID) is not None, root.sampled)

    def test_that_of_a_trusted_client_goes_on(self) -> None:
        """
        With its id, recorded if it was there, under a span of ours, whatever the ratio.
        """
        for ratio, sampled in ((0.0, True), (1.0, False)):
            traces, parent = Traces(True, ratio), attrs.evolve(PARENT, sampled=sampled)
            header = f"traceparent: {parent}\r\n".encode() + REST
            root = TraceContext(PARENT.trace_id, span_id_of(QUEUE_ID), sampled)
            self.assertEqual(traces.received(QUEUE_ID, header, TRUSTED), str(root))
            self.assertEqual(traces.ids_of(QUEUE_ID), (root.trace_id, root.span_id))

    def test_that_of_anybody_else_does_not(self) -> None:
        own = str(TraceContext(trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID)))
        self.assertEqual(Traces(True, 0.0).received(QUEUE_ID, FIELD + REST, OUTSIDE), own)

    def test_only_what_the_last_hop_wrote_counts(self) -> None:
        """
        Below a Received field anybody may have written it; of several the topmost counts, even if it is none.
        """
        self.assertEqual(parent_in(REST + FIELD), PARENT)
        self.assertEqual(parent_in(FIELD + OURS + FIELD), PARENT)
        self.assertIsNone(parent_in(OURS + FIELD))
        self.assertIsNone(parent_in(b"traceparent: 00-x\r\n" + FIELD))
        self.assertIsNone(parent_in(b"Subject: traceparent\r\n" + REST))
        self.assertIsNone(parent_in(REST))

    def test_what_we_write_has_its_own_trace(self) -> None:
        """
        It is recorded where the trace is that it is about.
        """
        traces = Traces(True, 0.0)
        own = TraceContext(trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID))
        self.assertEqual(traces.written(QUEUE_ID), str(own))
        self.assertEqual(traces.written(QUEUE_ID, str(PARENT)), str(attrs.evolve(own, sampled=True)))

    def test_others_cannot_have_everything_recorded(self) -> None:
        """
        Beyond so many a second only what we would have chosen, whoever asks.
        """
        for ratio, wanted in ((0.0, MOST_ASKED), (1.0, MOST_ASKED + 9)):
            traces = Traces(True, ratio)
            found = [traces.received(f"01JD000000{n:016d}", FIELD + REST, TRUSTED) for n in range(MOST_ASKED + 9)]
            self.assertEqual(sum(is_sampled(each) for each in found), wanted)
            self.assertEqual({each[3:35] for each in found}, {PARENT.trace_id})
            self.assertTrue(is_sampled(traces.received("01JD0001000000000000000000", FIELD + REST, TRUSTED)))

    def test_of_others_only_so_many_are_remembered(self) -> None:
        traces = Traces(True, 0.0)
        for number in range(MOST_CONTINUED + 1):
            traces.received(f"01JD{number:022d}", FIELD, TRUSTED)
        self.assertEqual(traces.ids_of(f"01JD{0:022d}"), (trace_id_of(f"01JD{0:022d}"), span_id_of(f"01JD{0:022d}")))
        self.assertEqual((traces.ids_of(f"01JD{1:022d}") or ("",))[0], PARENT.trace_id)

    def test_other_words_are_no_queue_ids(self) -> None:
        self.assertIsNone(Traces(True, 0.0).ids_of("6b-1"))


class MessageTests(SynchronousTestCase):
    """
    What a stored message tells of its trace.
    """

    def test_its_root_span_and_what_that_is_under(self) -> None:
        root = TraceContext(PARENT.trace_id, span_id_of(QUEUE_ID), True)
        stored = attrs.evolve(message(), queue_id=QUEUE_ID, trace=str(root), header=OURS + FIELD + REST, origin=TRUSTED)
        self.assertEqual((context_of(stored), parent_of(stored)), (root, PARENT.span_id))
        self.assertEqual(parent_of(attrs.evolve(stored, origin=OUTSIDE)), "")
        self.assertEqual(parent_of(attrs.evolve(stored, header=OURS + REST, origin=OWN)), "")
        before = attrs.evolve(stored, trace="")
        self.assertEqual(context_of(before), TraceContext(trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID)))
        self.assertEqual(parent_of(before), "")
        self.assertEqual(parse_traceparent(str(root)), root)

    def test_attempts_that_are_counted_anew_are_others(self) -> None:
        """
        An operator may have a delivery that failed begin anew, by `queue retry`.
        """
        stored = attrs.evolve(message(), queue_id=QUEUE_ID)
        delivery = Delivery(QUEUE_ID, "dst.test", stored.received, ())
        self.assertEqual(attempt_span_of(stored, delivery, 1), span_id_of(QUEUE_ID, "dst.test", 1))
        anew = attempt_span_of(stored, attrs.evolve(delivery, received=5000.0), 1)
        self.assertNotIn(anew, {attempt_span_of(stored, delivery, number) for number in range(9)})


class AttemptTests(SynchronousTestCase):
    """
    What is said during an attempt.
    """

    def setUp(self) -> None:
        self.traces = Traces(True, 0.0)
        self.message = attrs.evolve(message(), queue_id=QUEUE_ID)
        self.delivery = Delivery(QUEUE_ID, "dst.test", self.message.received, ())
        self.root = (trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID))

    def test_belongs_to_its_span_until_it_is_over(self) -> None:
        def carry() -> None:
            own = (self.root[0], span_id_of(QUEUE_ID, "dst.test", 2))
            self.assertEqual(self.traces.attempting(self.message, self.delivery, 2), own)
            self.assertEqual(self.traces.ids_of(QUEUE_ID), own)
            self.assertEqual(copy_context().run(self.traces.ids_of, QUEUE_ID), own)
            self.traces.between_attempts()
            self.assertEqual(self.traces.ids_of(QUEUE_ID), self.root)

        copy_context().run(carry)

    def test_is_of_its_own_message_only(self) -> None:
        def carry() -> None:
            self.traces.attempting(self.message, self.delivery, 2)
            other = QUEUE_ID[:-1] + "2"
            self.assertEqual(self.traces.ids_of(other), (trace_id_of(other), span_id_of(other)))

        copy_context().run(carry)
        self.assertEqual(self.traces.ids_of(QUEUE_ID), self.root)

    def test_is_under_the_trace_that_the_message_continues(self) -> None:
        continued = attrs.evolve(self.message, trace=str(PARENT))
        ids = copy_context().run(self.traces.attempting, continued, self.delivery, 1)
        self.assertEqual(ids, (PARENT.trace_id, span_id_of(QUEUE_ID, "dst.test", 1)))

    def test_of_what_was_stored_before_a_restart_makes_its_ids_known(self) -> None:
        """
        A trace that others began has ids that the queue id does not tell.
        """
        continued = attrs.evolve(self.message, trace=str(PARENT))
        for stored, ids in ((continued, (PARENT.trace_id, PARENT.span_id)), (self.message, self.root)):
            traces = Traces(True, 0.0)
            copy_context().run(traces.attempting, stored, self.delivery, 1)
            self.assertEqual(traces.ids_of(QUEUE_ID), ids)

    def test_has_no_ids_while_nothing_is_traced(self) -> None:
        self.assertIsNone(Traces().attempting(self.message, self.delivery, 1))


class RecentTests(SynchronousTestCase):
    """
    What is kept so that it need not be made again.
    """

    def test_is_bounded_and_changes_nothing(self) -> None:
        traces = Traces(True, 0.0)
        for _ in range(2):
            for number in range(MOST_RECENT + 1):
                queue_id = f"01JD{number:022d}"
                self.assertEqual(traces.ids_of(queue_id), (trace_id_of(queue_id), span_id_of(queue_id)))
