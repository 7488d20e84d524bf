"""
Who is next within a line.
"""

from __future__ import annotations

from collections import Counter, deque

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import deliveries_of
from empath.policy.site import Limits, Site
from empath.queue.entry import Entry
from empath.queue.line import Gate, Line
from empath.queue.waiting import Classes, Urgency, urgency
from tests.queue.fakes import mail

LINE = Line("x", Gate(Site("x", Limits())))
PRIORITIES = {Urgency.CRITICAL: 7, Urgency.HIGH: 4, Urgency.NORMAL: 0, Urgency.LOW: -4}


def entry(number: int, priority: int = 0) -> Entry:
    [delivery] = deliveries_of(mail(number, "a@x"))
    return Entry((delivery.queue_id, "x"), attrs.evolve(delivery, priority=priority), LINE)


class ClassesTests(SynchronousTestCase):
    def test_the_classes_of_priorities(self) -> None:
        """
        RFC 6710 knows -9 to 9; STANAG 4406 spreads its levels from -4 to 6, MIXER from -4 to 4.
        """
        found = [urgency(priority).name for priority in (-9, -1, 0, 1, 5, 6, 9)]
        self.assertEqual(found, ["LOW", "LOW", "NORMAL", "HIGH", "HIGH", "CRITICAL", "CRITICAL"])

    def test_turns_by_weight(self) -> None:
        """
        While all have something the classes get 8, 4, 2 and 1 of 15, so that none starves.
        """
        classes = Classes(entry(number, priority) for priority in PRIORITIES.values() for number in range(60))
        taken = Counter(urgency(classes.popleft().delivery.priority) for _ in range(60))
        self.assertEqual([taken[each] for each in Urgency], [32, 16, 8, 4])

    def test_the_more_urgent_begins(self) -> None:
        """
        Of two that wait alone the more urgent is first, and within a class the older.
        """
        classes = Classes([entry(1), entry(2), entry(3, 9), entry(4, 7)])
        self.assertEqual([int(classes.popleft().key[0]) for _ in range(4)], [3, 4, 1, 2])

    def test_nothing_is_saved_up(self) -> None:
        """
        A class that was empty has no more turns for it afterwards.
        """
        classes = Classes(entry(number) for number in range(200))
        for _ in range(100):
            classes.popleft()
        for number in range(100):
            classes.append(entry(number, 9))
        taken = Counter(classes.popleft().delivery.priority for _ in range(50))
        self.assertGreaterEqual(taken[0], 9)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("apPr"), st.integers(-9, 9))))
    def test_it_is_a_deque(self, steps: list[tuple[str, int]]) -> None:
        """
        Whatever is done, it holds what a deque would, and gives each once.
        """
        classes, held = Classes(), deque[Entry]()
        for number, (what, priority) in enumerate(steps):
            match what:
                case "a":
                    held.append(entry(number, priority))
                    classes.append(held[-1])
                case "r" if held:
                    classes.remove(held[0])
                    held.popleft()
                case "p" | "P" if held:
                    held.remove(classes.popleft() if what == "p" else classes.pop())
                case _:
                    pass
            self.assertEqual((len(classes), set(classes)), (len(held), set(held)))
        while classes:
            held.remove(classes.popleft())
        self.assertEqual(len(held), 0)
        self.assertRaises(IndexError, classes.popleft)
        self.assertRaises(IndexError, classes.pop)
        self.assertRaises(ValueError, classes.remove, entry(1))
