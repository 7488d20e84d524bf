from __future__ import annotations

import gc

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.metrics.counts import Domains, Example, Histogram, Histograms, Tally, snapshot


class HistogramTests(SynchronousTestCase):
    def test_a_value_on_a_bound_belongs_to_it(self) -> None:
        histogram = Histogram((1.0, 2.0))
        for value in (0.0, 1.0, 1.5, 2.0, 2.1, -1.0):
            histogram.observe(value)
        self.assertEqual((histogram.counts, histogram.total), ([3, 2, 1], 6.6))

    def test_a_sum_never_falls_although_clocks_are_set_back(self) -> None:
        histogram = Histogram((1.0,))
        histogram.observe(0.5)
        histogram.observe(-3600.0)
        self.assertEqual((histogram.counts, histogram.total), ([2, 0], 0.5))

    def test_what_is_traced_leaves_an_example_in_its_bucket(self) -> None:
        histogram = Histogram((1.0, 2.0))
        histogram.observe(0.5)
        self.assertIsNone(histogram.examples)
        histogram.observe_traced(1.5, "a" * 32, 1000.0)
        histogram.observe_traced(1.7, "b" * 32, 1001.0)
        histogram.observe_traced(-1.0, "c" * 32, 1002.0)
        self.assertEqual((histogram.counts, histogram.total), ([2, 2, 0], 3.7))
        self.assertEqual(histogram.examples, {1: Example(1.7, "b" * 32, 1001.0), 0: Example(0.0, "c" * 32, 1002.0)})

    @settings(max_examples=100)
    @given(st.lists(st.integers(-5, 20)))
    def test_every_value_is_counted_once(self, values: list[int]) -> None:
        histogram = Histogram((1.0, 5.0, 10.0))
        for value in values:
            histogram.observe(value)
        self.assertEqual(sum(histogram.counts), len(values))
        self.assertEqual(histogram.counts[3], sum(value > 10 for value in values))


class DomainsTests(SynchronousTestCase):
    def test_the_first_domains_have_their_own_counts_and_the_rest_shares(self) -> None:
        domains = Domains(2, ())
        for name in ("a", "b", "c", "d", "a"):
            domains.of(name).completed += 1
        self.assertEqual([(name, one.completed) for name, one in domains.items()], [("a", 2), ("b", 1), ("other", 2)])
        self.assertEqual(len(domains), 2)

    def test_high_priority_domains_always_have_their_own(self) -> None:
        domains = Domains(1, ("VIP.test",))
        for name in ("a", "b", "vip.test"):
            domains.of(name).completed += 1
        self.assertEqual([name for name, _ in domains.items()], ["a", "vip.test", "other"])

    def test_high_priority_domains_take_no_place_from_others(self) -> None:
        domains = Domains(1, ("vip.test",))
        domains.of("vip.test")
        self.assertIsNot(domains.of("a"), domains.other)

    def test_a_domain_that_is_called_other_is_no_second_label(self) -> None:
        domains = Domains(5, ())
        domains.of("other").failed += 1
        self.assertEqual([(name, one.failed) for name, one in domains.items()], [("other", 1)])

    def test_a_smaller_limit_takes_no_label_away(self) -> None:
        domains = Domains(2, ())
        domains.of("a")
        domains.of("b")
        domains.configure(1, ())
        self.assertIsNot(domains.of("b"), domains.other)
        self.assertIs(domains.of("c"), domains.other)


class LabelTests(SynchronousTestCase):
    def test_tallies_are_bounded(self) -> None:
        tally = Tally(2)
        for label in ("a", "b", "c", "d", "a"):
            tally.add(label)
        self.assertEqual(tally.by_label, {"a": 2, "b": 1, "other": 2})

    def test_labelled_histograms_are_bounded(self) -> None:
        histograms = Histograms((1.0,), 1)
        for label in ("a", "b", "c"):
            histograms.observe(label, 0.5)
        self.assertEqual({label: one.counts[0] for label, one in histograms.by_label.items()}, {"a": 1, "other": 2})


class BesideTests(SynchronousTestCase):
    """
    The page is written in a thread, while the reactor's goes on counting.
    """

    def test_what_is_listed_may_grow_meanwhile(self) -> None:
        domains, tally = Domains(100_000, ()), Tally(100_000)
        names = iter(range(1000, 100_000))

        def count(phase: str, told: object) -> None:
            name = str(next(names))
            domains.of(name)
            tally.add(name)

        for nth in range(1000):
            domains.of(str(nth))
            tally.add(str(nth))
        thresholds = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *thresholds)
        gc.callbacks.append(count)
        self.addCleanup(gc.callbacks.remove, count)
        gc.set_threshold(5)  # while a list is made, garbage is collected, and other threads have their turn
        self.assertGreater(len(domains.items()), 1000)
        self.assertGreaterEqual(len(snapshot(tally.by_label)), 1000)
