"""
Content that is written, cleared, read and dropped in any order while threads are slow and disks fill up.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.errors import SpoolError
from empath.interfaces import IBodyReader
from empath.mail.message import deliveries_of
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import HeldThread, Post

KIB = 1024


class Reading:
    """
    One who reads: `whole` is what there was when it was opened, `over` that the end was seen, `failed` that it was not.
    """

    def __init__(self, reader: IBodyReader, whole: bytes) -> None:
        self.reader = reader
        self.whole = whole
        self.came = b""
        self.over = False
        self.failed = False
        self.waiting: Deferred[None] | None = None

    def read(self) -> None:
        if self.waiting is None or self.waiting.called:
            self.waiting = Deferred.fromCoroutine(self._read())
            self.waiting.addErrback(self._failed)

    async def _read(self) -> None:
        piece = await self.reader.read()
        self.came += piece
        self.over = not piece

    def _failed(self, failure: Failure) -> None:
        failure.trap(SpoolError)
        self.failed = True


class Body:
    """
    One message's content, and what it should be; `ended` once nothing more can be done.
    """

    def __init__(self, spool: SqliteSpool, queue_id: str) -> None:
        self.queue_id = queue_id
        self.writer: Any = spool.begin(queue_id)
        self.whole = b""
        self.readings: list[Reading] = []
        self.resume: Any = None
        self.ended = False
        self.done: Deferred[None] | None = None
        self.stored: bool | None = None
        self.withdrawn = False

    def let_readers_go(self) -> None:
        for reading in self.readings:
            reading.reader.close()


class Trial:
    """
    One history, as `chance` has it. With little `room` the disk is soon full.
    """

    def __init__(self, chance: random.Random, root: str) -> None:
        self.chance = chance
        self.root = root
        self.post = Post()
        self.room = chance.choice([10**12, 10**12, 8_000_000])
        self.writer, self.reader, self.threads = HeldThread(), HeldThread(), HeldThread()
        self.spool = self.make()
        self.bodies: list[Body] = []
        self.refused = 0  # though there was room

    def make(self) -> SqliteSpool:
        spool = SqliteSpool(
            Spool(path=Folder(self.root), inline_limit=Size(300), min_free=Size(0)),
            clock=Clock(),
            in_writer=self.writer,
            in_reader=self.reader,
            in_thread=self.threads,
            emit=lambda event: None,
            ballast=4096,
            free=lambda path: self.room,
        )
        spool.open()
        return spool

    def work(self) -> None:
        self.chance.shuffle(self.threads.calls)
        for thread in (self.threads, self.writer, self.reader):
            if thread.calls:
                thread.run()

    def step(self) -> None:
        chance = self.chance
        live = [body for body in self.bodies if not body.ended]
        draw = chance.random()
        if not live or draw < 0.05:
            self.bodies.append(Body(self.spool, self.post.new_id()))
        elif draw < 0.4:
            self.work()
        else:
            self.touch(chance.choice(live))

    def touch(self, body: Body) -> None:
        chance = self.chance
        draw = chance.random()
        try:
            if draw < 0.5:
                self.write(body)
            elif draw < 0.6:
                body.let_readers_go()
                body.writer.clear()
                body.whole = b""
            elif draw < 0.7:
                body.readings.append(Reading(body.writer.open(), body.whole))
            elif draw < 0.9:
                for reading in body.readings:
                    reading.read()
            else:
                self.end(body)
        except SpoolError:
            body.ended = True
            body.let_readers_go()

    def write(self, body: Body) -> None:
        """
        Add, unless the one before is waited for.
        """
        if body.resume is None or body.resume.called:
            data = bytes([self.chance.randrange(65, 91)]) * self.chance.choice([1, 200, 5000, 70_000, 600_000])
            body.resume = body.writer.write(data)
            body.whole += data
            if body.resume is not None:
                body.resume.addErrback(lambda failure: failure.trap(SpoolError))

    def end(self, body: Body) -> None:
        body.ended = True
        body.let_readers_go()
        if self.chance.random() < 0.4:
            body.writer.abort()
            return
        message = attrs.evolve(
            self.post.message(queue_id=body.queue_id), body=body.writer.body, body_file=body.writer.body_file
        )
        message = attrs.evolve(message, size=len(message.header) + len(body.whole))
        body.done = body.writer.commit(message, deliveries_of(message))
        body.done.addCallbacks(lambda _: self.told(body, True), lambda failure: self.told(body, False))
        if self.chance.random() < 0.2:
            body.withdrawn = True
            body.writer.abort()

    def told(self, body: Body, stored: bool) -> None:
        body.stored = stored
        if not stored and not body.withdrawn and self.room > 10**9:
            self.refused += 1

    def run(self) -> None:
        for _ in range(self.chance.choice([30, 200])):
            self.step()
        for body in self.bodies:
            if not body.ended:
                self.end(body)
        while any(body.done is not None and body.stored is None and not body.withdrawn for body in self.bodies):
            self.work()
        over: list[object] = []
        Deferred.fromCoroutine(self.spool.close()).addCallback(over.append)
        while not over:
            self.work()


class AnyContentTests(SynchronousTestCase):
    """
    Many histories.
    """

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        Who was told that a message is stored finds it whole; readers saw what was there when they began; nothing else
        is left, in files or in memory.
        """
        root = os.path.abspath(self.mktemp())
        trial = Trial(random.Random(seed), root)
        trial.run()
        self.assertEqual((trial.spool.pending_bytes, trial.refused), (0, 0))
        for body in trial.bodies:
            for reading in body.readings:
                self.assertTrue(reading.whole.startswith(reading.came))
                self.assertTrue(reading.came == reading.whole or not reading.over)
        for thread in (trial.writer, trial.reader, trial.threads):
            thread.release()
        spool = trial.make()
        stored = {delivery.queue_id for delivery in self.successResultOf(spool.due(1e12, 10**6, ()))}
        self.assertEqual(stored, {body.queue_id for body in trial.bodies if body.stored})
        files = set()
        for body in trial.bodies:
            if body.stored:
                message = self.successResultOf(spool.load(body.queue_id))
                files |= {message.body_file} - {None}
                reading = Reading(spool.open_body(message), body.whole)
                while not (reading.over or reading.failed):
                    reading.read()
                self.assertTrue(reading.came == body.whole and not reading.failed)
                reading.reader.close()
        self.assertEqual({name for _, _, names in os.walk(os.path.join(root, "content")) for name in names}, files)
        self.assertEqual(spool.orphans, 0)
        self.successResultOf(Deferred.fromCoroutine(spool.close()))
        shutil.rmtree(root)
