"""
Clients that come and go at any moment while the disk is slow: what got a 250 is stored, and nothing else.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener, Spool
from empath.config.units import Folder, Size
from empath.mail.message import Delivery, Message
from empath.mail.reply import Reply
from empath.receive.terms import Terms
from empath.spool.sqlite import SqliteSpool
from tests.receive.support import Client, World
from tests.receive.tls_support import TlsClient, TlsWorld
from tests.spool.support import HeldThread

ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
LISTENER = Listener(tls="starttls", auth=True, auth_cleartext=True)
LOGINS = (b"", b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n", b"AUTH PLAIN AHRpbQB3cm9uZw==\r\n")


def message(size: int, chance: random.Random) -> bytes:
    """
    Make what sends one message: after DATA, or in chunks, some of them in vain.
    """
    content = b"X: y\r\n\r\n" + b"z" * size + b"\r\n"
    if chance.random() < 0.5:
        return ENVELOPE + b"DATA\r\n" + content + b".\r\n"
    said, at = ENVELOPE, 0
    while chance.random() < 0.5:
        more = chance.randrange(len(content) - at + 1)
        said += b"BDAT %d\r\n%s" % (more, content[at : at + more])
        at += more
    if chance.random() < 0.2:
        said += chance.choice([b"RSET\r\n", b"EHLO x\r\n"]) + ENVELOPE
    return said + b"BDAT %d LAST\r\n%s" % (len(content) - at, content[at:])


class Script:
    """
    A client with all that it wants to say.
    """

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.client = client
        self.gone = self.finished = False
        self.heard = b""
        sizes = [chance.choice([0, 10, 290, 400, 2000, 70_000, 700_000]) for _ in range(chance.choice([1, 2, 4]))]
        messages = b"".join(message(size, chance) for size in sizes)
        self.rest = b"EHLO x\r\n" + chance.choice(LOGINS) + messages
        if isinstance(client, TlsClient):
            client.say(b"EHLO x\r\nSTARTTLS\r\n")
            client.begin()

    @property
    def reading(self) -> bool:
        """
        Whether the server would see what is said now.
        """
        return not (self.gone or self.finished or self.client.hung_up) and (
            self.client.transport.producerState != "paused"
        )

    def say(self, size: int) -> None:
        if self.reading and self.rest:
            piece, self.rest = self.rest[:size], self.rest[size:]
            if isinstance(self.client, TlsClient):
                self.heard += self.client.say(piece[:16000])
                self.rest = piece[16000:] + self.rest
            else:
                self.client.protocol.dataReceived(piece)

    def finish(self) -> None:
        if self.reading and not isinstance(self.client, TlsClient):
            self.finished = True
            protocol: Any = self.client.protocol
            protocol.readConnectionLost()

    def go(self) -> None:
        if not self.gone:
            self.gone = True
            self.listen()
            self.client.lose()

    def listen(self) -> None:
        self.heard += self.client.exchange() if isinstance(self.client, TlsClient) else self.client.heard()


class Trial:
    """
    One history, as `chance` has it; `stored` is what the queue was told.
    """

    def __init__(self, chance: random.Random, root: str, terms: Terms) -> None:
        self.chance = chance
        self.root = root
        self.writer, self.reader, self.threads = HeldThread(), HeldThread(), HeldThread()
        self.world = World()
        self.world.factory.terms = terms
        self.stored: set[str] = set()
        self.spool = self.make_spool()
        self.world.factory.around = attrs.evolve(self.world.around, begin=self.spool.begin, on_stored=self.on_stored)
        self.spool.open()
        self.clients: list[Script] = []

    def make_spool(self) -> SqliteSpool:
        return SqliteSpool(
            Spool(path=Folder(self.root), inline_limit=Size(300), min_free=Size(0)),
            clock=self.world.clock,
            in_writer=self.writer,
            in_reader=self.reader,
            in_thread=self.threads,
            emit=lambda event: None,
            ballast=4096,
        )

    def on_stored(self, message: Message, deliveries: tuple[Delivery, ...]) -> None:
        self.stored.add(message.queue_id)

    def work(self, thread: HeldThread) -> None:
        if thread is self.threads:  # several at once: in any order
            self.chance.shuffle(thread.calls)
        if thread.calls:
            thread.run()

    def step(self) -> None:
        chance = self.chance
        what = chance.randrange(20)
        if what < 3 or not self.clients:
            host = f"192.0.2.{chance.randrange(250)}"
            secure = chance.random() < 0.3
            client = TlsClient(self.world.factory, host) if secure else self.world.connect(host)
            self.clients.append(Script(client, chance))
        elif what < 10:
            chance.choice(self.clients).say(chance.choice([1, 50, 5000, 200_000, 10**7]))
        elif what < 11:
            chance.choice([Script.go, Script.finish])(chance.choice(self.clients))
        elif what < 19:
            self.work(chance.choice([self.writer, self.threads, self.threads, self.reader]))
        else:
            self.world.clock.advance(chance.choice([0.01, 1.0, 600.0]))

    def end(self, done: Deferred[None]) -> None:
        """
        Let everything happen until `done` fires.
        """
        over: list[object] = []
        done.addCallback(over.append)
        turns = 0
        while not over:
            turns += 1
            for thread in (self.writer, self.threads, self.reader):
                self.work(thread)
            for client in self.clients:
                client.say(5000)
                if client.client.hung_up or client.client.transport.aborted:
                    client.go()
            if turns % 50 == 0:
                self.world.clock.advance(1.0)

    def run(self) -> None:
        for _ in range(self.chance.choice([50, 200])):
            self.step()
        self.end(Deferred.fromCoroutine(self.world.sessions.drain(Reply.of("421 4.3.2 bye"), 30.0)))
        self.end(Deferred.fromCoroutine(self.spool.close()))


class AnyReceptionTests(SynchronousTestCase):
    """
    Many histories.
    """

    def setUp(self) -> None:
        self.terms = TlsWorld(self, listener=LISTENER).factory.terms

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        The spool holds what the queue was told of, every 250 is among it, and no file is without its message.
        """
        root = os.path.abspath(self.mktemp())
        trial = Trial(random.Random(seed), root, self.terms)
        trial.run()
        self.assertEqual((trial.spool.pending_bytes, trial.world.sessions.count), (0, 0))
        self.assertEqual(trial.world.clock.getDelayedCalls(), [])
        heard = b"".join(client.heard for client in trial.clients)
        answered = {queue_id.decode() for queue_id in re.findall(rb"queued as (\w+)", heard)}
        for thread in (trial.writer, trial.threads, trial.reader):
            thread.release()
        self.found(trial.make_spool(), root, answered, trial.stored)
        shutil.rmtree(root)

    def found(self, spool: SqliteSpool, root: str, answered: set[str], stored: set[str]) -> None:
        spool.open()
        due = {delivery.queue_id for delivery in self.successResultOf(spool.due(1e12, 10**6, ()))}
        self.assertEqual(due, stored)
        self.assertLessEqual(answered, stored)
        files = {name for _, _, names in os.walk(os.path.join(root, "content")) for name in names}
        messages = [self.successResultOf(spool.load(queue_id)) for queue_id in due]
        self.assertEqual(files, {message.body_file for message in messages} - {None})
        self.assertEqual(spool.orphans, 0)
        self.successResultOf(Deferred.fromCoroutine(spool.close()))
