"""
Any history of many destinations at few sites, under limits that change: nothing is stranded, nothing is in two places.
"""

from __future__ import annotations

import random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from empath.config import schema
from empath.config.units import NO_LIMIT, Rate, seconds
from empath.mail.message import Status
from empath.mail.outcome import Outcome, Scope, TransientFailure
from empath.mail.reply import Reply
from tests.queue.bench import SECTION, QueueCase
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT

SLOW_DOWN = TransientFailure(Reply.of("421 4.7.0 too many messages"), Scope.SESSION, "mx")
ENDS: tuple[Outcome, ...] = (SENT, SENT, SENT, DOWN, DOWN, SLOW_DOWN, GREY, REFUSED)
DOMAINS = [f"d{number}.example" for number in range(24)]


class AnySitesTests(QueueCase):
    def any_section(self, chance: random.Random) -> schema.Delivery:
        rates = [NO_LIMIT, NO_LIMIT, Rate(5, 1.0), Rate(60, 60.0)]
        return attrs.evolve(
            SECTION,
            max_parallel_deliveries=chance.choice([1, 4, 10, 100]),
            max_active=chance.choice([10, 60, 1000]),
            base_retry_delay=seconds(chance.choice([5, 50])),
            max_retry_delay=seconds(100),
            max_attempts=10**6,
            circuit_breaker=schema.CircuitBreaker(
                failure_threshold=chance.choice([2, 1000]),
                timeout=seconds(chance.choice([5, 100])),
                half_open_max_calls=chance.choice([1, 3]),
            ),
            rate_limits=schema.RateLimits(
                global_=chance.choice(rates), default=chance.choice(rates), burst=chance.choice([1, 20])
            ),
            shaping=schema.Shaping(enabled=chance.choice([True, False])),
            domains={
                name: schema.Domain(max_connections=chance.choice([1, 3, None]), rate_limit=chance.choice(rates))
                for name in chance.sample(DOMAINS, 4)
            },
        )

    def move_sites(self, chance: random.Random) -> None:
        self.sites.sites = {domain: f"site{chance.randrange(6)}" for domain in DOMAINS if chance.random() < 0.8}
        self.sites.slow = {domain for domain in DOMAINS if chance.random() < 0.2}

    def step(self, chance: random.Random, number: int) -> None:
        what = chance.randrange(100)
        if what < 45:
            body = b"x" * chance.choice([10, 10, 2**20])
            message = self.mail(number, f"u@{chance.choice(DOMAINS)}", body=body)
            message = attrs.evolve(message, priority=chance.choice([0, 0, 3, 9, -3]))
            deliveries = self.spool.keep(message)
            if chance.random() < 0.8:
                self.queue.fresh(message, deliveries)
        elif what < 75 and self.agent.hung:
            chance.choice(self.agent.hung).end(chance.choice(ENDS))
        elif what < 90:
            self.clock.advance(chance.choice([0.1, 1.0, 7.0, 61.0]))
        elif what < 94:
            self.sites.answer()
        elif what < 96:
            self.move_sites(chance)
            self.queue.routes_changed()
        elif what < 98:
            self.queue.reconfigure(self.any_section(chance))
        else:
            self.clock.rightNow -= chance.choice([0.0, 1.0, 100.0])

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        All mail comes to its end once the sites work; at no time do lines, gates and entries disagree.
        """
        chance = random.Random(seed)
        self.setUp()
        self.section = self.any_section(chance)
        self.queue = self.make()
        self.move_sites(chance)
        self.agent.hang_all = True
        self.queue.start()
        for number in range(250):
            self.step(chance, number)
            self.assertEqual(self.queue.window.lines.faults(self.queue.window.active.values()), 0)
        self.agent.hang_all = False
        for _ in range(400):
            for call in self.agent.hung:
                call.end(SENT)
            self.sites.answer()
            self.clock.advance(chance.choice([0.5, 10.0, 60.0]))
        self.assertEqual({each.status for each in self.spool.deliveries.values()} - {Status.FAILED}, set())
        self.assertEqual((self.queue.active, self.queue.in_flight, self.queue.watchdog.strays), (0, 0, 0))
        self.assertEqual(self.queue.window.lines.suspects_in_flight, 0)
        self.successResultOf(self.stopped())
        self.assertEqual(self.clock.getDelayedCalls(), [])
