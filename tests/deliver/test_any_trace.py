"""
Whatever servers do: each step of a traced delivery has an end, and none has anything of another one's mail.
"""

from __future__ import annotations

import random
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool
from empath.config.schema import Delivery as Section
from empath.mail.attempt import Attempt
from empath.mail.life import LifeEvent, StepEnded
from empath.mail.message import deliveries_of
from empath.mail.step import Steps
from tests.deliver.fakes import CHUNKING, CLOSE, HANG, PIPELINING, STARTTLS
from tests.deliver.world import World, message

SEEDS = 200
ANSWERS = {
    "GREETING": ["220 hi", "220 hi", "421 no", "554 no", HANG, CLOSE, "garbage"],
    "EHLO": [PIPELINING, PIPELINING, CHUNKING, STARTTLS, "250 x", "421 no", CLOSE, HANG],
    "STARTTLS": ["220 go", "454 no"],
    "MAIL": ["250 ok", "250 ok", "421 x", "450 x", "550 x", HANG, CLOSE],
    "RCPT": ["250 ok", "250 ok", "452 4.5.3 x", "550 x", HANG, CLOSE],
    "DATA": ["354 go", "354 go", "451 x", "554 x", HANG, CLOSE],
    "CONTENT": ["250 ok", "250 ok", "451 x", "554 x", HANG, CLOSE],
    "RSET": ["250 ok", HANG, CLOSE],
    "QUIT": ["221 x", HANG, CLOSE],
}


@attrs.define
class Job:
    """
    One delivery, traced or not.
    """

    number: int
    attempt: Attempt
    told: list[Any] = attrs.field(factory=list)


class AnyServerTests(SynchronousTestCase):
    """
    Several deliveries over the same few connections, to servers that answer by chance.
    """

    def storm(self, chance: random.Random) -> tuple[World, list[Job], list[LifeEvent]]:
        """
        Make them all, and wait until they are over.
        """
        pool = ConnectionPool(max_per_server=chance.choice([1, 1, 3]), max_messages=chance.choice([1, 2, 100]))
        world, late = World(Section(connection_pool=pool)), list[LifeEvent]()
        world.reactor.advance(1000)
        world.agent.emit = late.append
        for number in (1, 2):
            world.server(number, **{step: chance.choices(given, k=4) for step, given in ANSWERS.items()})
            if chance.random() < 0.1:
                away: list[Exception | str] = ["hang", ConnectionRefusedError()]
                world.reactor.servers[f"192.0.2.{number}:25"] = chance.choice(away)
        jobs = [self.begin(world, number, chance) for number in range(6)]
        for _ in range(40):
            world.reactor.run(30)
            world.reactor.advance(100)
        self.assertTrue(all(job.told for job in jobs))
        return world, jobs, late

    def begin(self, world: World, number: int, chance: random.Random) -> Job:
        """
        Begin one, and perhaps give it up.
        """
        name = f"01HZZZZZZZZZZZZZZZZZZZZZZ{number}"
        others = [f"c{number}@example.org"] if chance.random() < 0.4 else []
        carried = message(f"b{number}@example.org", *others, queue_id=name)
        (delivery,) = deliveries_of(carried)
        job = Job(number, Attempt(1, 1000.0, steps=Steps() if chance.random() < 0.6 else None))
        begun = Deferred.fromCoroutine(cast(Any, world.agent.deliver(carried, delivery, job.attempt)))
        begun.addBoth(job.told.append)
        world.reactor.run(chance.choice([0, 3, 20]))
        if chance.random() < 0.1:
            begun.cancel()
        return job

    def test_steps(self) -> None:
        """
        Their lines name their own recipients only; what ends later is QUIT, is told once, and changes nothing else.
        """
        for seed in range(SEEDS):
            world, jobs, late = self.storm(random.Random(seed))
            before = [spelled(job) for job in jobs]
            world.agent.stop()
            world.reactor.advance(1000)
            world.reactor.run()
            self.assertEqual([spelled(job) for job in jobs], before, seed)
            for job in jobs:
                self.check(job)
            for event in late:
                assert isinstance(event, StepEnded)
                self.assertEqual((event.step.name, event.step.ended > 0), ("quit", True), seed)
                assert event.attempt.steps is not None
                self.assertNotIn(event.step, event.attempt.steps.steps, seed)
            self.assertEqual(len({id(cast(StepEnded, event).step) for event in late}), len(late), seed)

    def check(self, job: Job) -> None:
        """
        Look at the steps of one.
        """
        for step in [] if job.attempt.steps is None else job.attempt.steps.steps:
            self.assertGreaterEqual(step.ended, step.started)
            for line in step.said:
                self.assertTrue("RCPT" not in line.text or f"{job.number}@" in line.text, line)


def spelled(job: Job) -> list[tuple[str, float, str, int]]:
    """
    Spell what is known of an attempt's steps.
    """
    steps = [] if job.attempt.steps is None else job.attempt.steps.steps
    return [(step.name, step.ended, step.trouble, len(step.said)) for step in steps]
