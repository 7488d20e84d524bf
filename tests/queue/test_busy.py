"""
Which sites have most to do, as people see it.
"""

from __future__ import annotations

import attrs

from empath.config import schema
from empath.config.units import Rate
from empath.policy.shaping import Told
from empath.queue.busy import BusySite, busiest, rate_limited, site_of
from tests.queue.bench import SECTION, QueueCase


class BusyTests(QueueCase):
    """
    A queue with something to do.
    """

    section = attrs.evolve(
        SECTION,
        domains={
            "few.example": schema.Domain(max_connections=1),
            "slow.example": schema.Domain(rate_limit=Rate(1, 60.0)),
            "odd.example": schema.Domain(rate_limit=Rate(1, 7.0), max_connections=2),
        },
        rate_limits=schema.RateLimits(burst=1),
    )

    def setUp(self) -> None:
        super().setUp()
        self.agent.hang_all = True
        self.queue.start()

    def test_the_busiest(self) -> None:
        """
        Those with the most mail first, those without any not at all.
        """
        for number in range(1, 5):
            self.accept(number, "a@few.example")
        self.accept(5, "a@other.example")
        self.assertEqual(busiest(self.queue.gates, 5), ["few.example", "other.example"])
        self.assertEqual(busiest(self.queue.gates, 1), ["few.example"])
        few = site_of(self.queue.gates, "few.example")
        self.assertEqual(few, BusySite("few.example", 3, 1, "closed", "1 at a time"))

    def test_one_that_is_not_known(self) -> None:
        """
        Has nothing to do.
        """
        self.assertEqual(site_of(self.queue.gates, "x.example"), BusySite("x.example", 0, 0, "closed", ""))

    def test_limits_in_words(self) -> None:
        """
        Of connections and of rates, in the units that people write them in, else as they are.
        """
        self.accept(1, "a@slow.example")
        self.accept(2, "a@odd.example")
        limits = [site_of(self.queue.gates, name).limit for name in ("slow.example", "odd.example")]
        self.assertEqual(limits, ["1/min", "2 at a time; 1 in 7 s"])

    def test_what_a_site_asked_for(self) -> None:
        """
        Comes first.
        """
        self.accept(1, "a@few.example")
        site, now = self.queue.gates.by_name["few.example"].site, self.clock.seconds()
        site.ended(now, Told.SLOW_DOWN, 0.0, "it is busy")
        self.assertEqual(site_of(self.queue.gates, "few.example").limit, "shaped to 1 at a time, 0.5/s; 1 at a time")

    def test_held_by_a_rate(self) -> None:
        """
        Deliveries that wait for a rate are counted, those that wait for a connection are not.
        """
        for number in range(1, 5):
            self.accept(number, "a@slow.example")
            self.accept(number + 10, "a@few.example")
        self.assertEqual(rate_limited(self.queue.window.lines, self.clock.seconds()), 3)

    def test_held_by_the_rate_of_all(self) -> None:
        """
        Then all that is ready waits for it.
        """
        self.section = attrs.evolve(SECTION, rate_limits=schema.RateLimits(global_=Rate(1, 60.0), burst=1))
        self.queue = self.make()
        self.queue.start()
        for number in range(1, 4):
            self.accept(number, f"a@d{number}.example")
        self.assertEqual(rate_limited(self.queue.window.lines, self.clock.seconds()), 2)
