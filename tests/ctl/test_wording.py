"""
Sizes, spans and times, as people read them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from empath.ctl.wording import Times, number, octets, some, span

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)


class NumberTests(SynchronousTestCase):
    """
    Requirements on numbers.
    """

    def test_sizes_are_told_in_the_unit_that_fits(self) -> None:
        """
        No size has more than four digits before its point.
        """
        sizes = [0, 812, 1024, 1024**2 - 1, 5 * 1024**2, 3 * 1024**3, 2 * 1024**4]
        told = ["0 B", "812 B", "1.0 KiB", "1.0 MiB", "5.0 MiB", "3.0 GiB", "2.0 TiB"]
        self.assertEqual([octets(size) for size in sizes], told)

    def test_numbers_have_their_thousands_apart(self) -> None:
        """
        Huge ones are shortened.
        """
        self.assertEqual([number(n) for n in (0, 12345, 12_345_678)], ["0", "12,345", "12.3 M"])

    def test_one_is_singular(self) -> None:
        """
        Things are counted as English counts them.
        """
        told = [some(0, "message"), some(1, "message"), some(2000, "message"), some(2, "delivery", "deliveries")]
        self.assertEqual(told, ["no messages", "1 message", "2,000 messages", "2 deliveries"])


class TimeTests(SynchronousTestCase):
    """
    Requirements on times.
    """

    def test_spans_have_two_units(self) -> None:
        """
        The two largest ones; below ten seconds a fraction, below one milliseconds.
        """
        spans = [-1, 0, 0.0004, 0.004, 0.24, 1.234, 9.999, 72, 3600, 3725, 90000, 86400 * 4 + 59]
        told = ["0ms", "0ms", "0.4ms", "4ms", "240ms", "1.2s", "10s", "1m 12s", "1h", "1h 2m", "1d 1h", "4d"]
        self.assertEqual([span(each) for each in spans], told)

    def test_a_time_of_today_has_no_date(self) -> None:
        """
        One of another day has it, one of another year the year; all in the reader's zone.
        """
        times = Times(NOW, timezone(timedelta(hours=1)))
        whens = [NOW, NOW - timedelta(hours=12), NOW - timedelta(days=365)]
        told = ["04:04:05", "21 Nov 16:04", "22 Nov 2025 04:04"]
        self.assertEqual([times.clock(when) for when in whens], told)

    def test_a_time_is_told_relative_to_now(self) -> None:
        """
        Before, after, and at the moment.
        """
        times = Times(NOW, UTC)
        whens = [NOW - timedelta(minutes=3), NOW, NOW + timedelta(days=4, hours=3)]
        self.assertEqual([times.relative(when) for when in whens], ["3m ago", "now", "in 4d 3h"])
        self.assertEqual(times.both(whens[0]), "03:01:05, 3m ago")
        self.assertEqual(times.stamp(NOW), "2026-11-22 03:04:05 UTC")
        self.assertEqual(times.since(whens[0]), "3m")
