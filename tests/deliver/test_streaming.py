"""
Content that is streamed to a server.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError
from tests.deliver.fakes import CLOSE, HANG
from tests.deliver.world import BODY, CONTENT, HEADER, SENT, SENT_2, Reader, World, message, spell


class StreamTests(SynchronousTestCase):
    """
    Content that lies in a file.
    """

    def test_streamed(self) -> None:
        """
        Header and pieces arrive whole, dots included, and the reader is closed.
        """
        world = World()
        world.reader = Reader([BODY[:2], BODY[2:9], BODY[9:]])
        self.assertEqual(world.deliver(message(body=None)), SENT)
        self.assertEqual(world.mx1.contents, [CONTENT])
        self.assertTrue(world.reader.closed)
        self.assertIsNone(world.mx1.transports[0].producer)

    def test_back_pressure(self) -> None:
        """
        While the transport holds enough, no more is read.
        """
        world = World()
        world.reader = Reader([b"\r\n", *[b"x" * 1000 + b"\r\n"] * 10])
        world.server(1, DATA=HANG)
        delivery = world.start(message(body=None, size=len(HEADER) + 2 + 10 * 1002))
        world.reactor.run()
        transport = world.mx1.transports[0]
        transport.full = True
        world.mx1.go_on(transport, "354 go")
        self.assertEqual(len(world.reader.pieces), 10)
        transport.producer.resumeProducing()
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)

    def test_block_timeout(self) -> None:
        """
        A server that takes no more content has three minutes; the next host gets the message from the beginning.
        """
        world = World()
        world.reader = Reader([b"x" * 100, b"y" * 100])
        world.server(1, DATA=HANG)
        delivery = world.start(message(body=None))
        world.reactor.run()
        transport = world.mx1.transports[0]
        transport.full = True
        world.mx1.go_on(transport, "354 go")
        world.reactor.advance(179)
        self.assertNoResult(delivery)
        reader, world.reader = world.reader, Reader([BODY])
        world.reactor.advance(1)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT_2)
        self.assertTrue(reader.closed)
        self.assertEqual(world.mx2.contents, [CONTENT])

    def test_refused_in_the_middle(self) -> None:
        """
        A server that refuses or closes before the final dot ends the stream, not the program.
        """
        for answer in (CLOSE, "552 5.3.4 too much", "354 go\r\n552 5.3.4 too much"):
            world = World()
            world.reader = Reader([b"x"] * 3)
            world.server(1, DATA=answer if "354" in answer else ["354 go"])
            waiting: Deferred[bytes] = Deferred()

            async def read(waiting: Deferred[bytes] = waiting) -> bytes:
                return await waiting

            world.reader.read = read  # type: ignore[method-assign]  # the disk is slow
            delivery = world.start(message(body=None))
            world.reactor.run()
            if "354" not in answer:
                world.mx1.answers["CONTENT"] = [answer]
                world.mx1.answer(world.mx1.transports[0], "CONTENT")
                world.reactor.run()
            world.reader = Reader([BODY])
            waiting.callback(b"more")
            world.reactor.run()
            self.assertEqual(len(self.successResultOf(delivery)), 1)
            self.assertEqual(world.mx1.contents, [])

    def test_spool_trouble(self) -> None:
        """
        Content that cannot be read never ends with a dot: the connection is closed, the mail waits.
        """
        world = World()
        world.reader = Reader([b"half", SpoolError("gone")])
        self.assertEqual(world.deliver(message(body=None)), ["TransientFailure 451 4.3.0"])
        self.assertEqual((world.mx1.contents, world.mx1.open), ([], 0))
        self.assertTrue(world.reader.closed)

    def test_bug_in_the_reader(self) -> None:
        """
        A fault of our own is logged and leaves the mail waiting.
        """
        world = World()
        world.reader = Reader([KeyError("bug")])
        self.assertEqual(world.deliver(message(body=None)), ["TransientFailure 451 4.3.0"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_cancelled(self) -> None:
        """
        A cancelled delivery stops its stream.
        """
        world = World()
        world.reader = Reader([b"x"])
        waiting: Deferred[bytes] = Deferred()

        async def read() -> bytes:
            return await waiting

        world.reader.read = read  # type: ignore[method-assign]  # the disk is slow
        delivery = world.start(message(body=None))
        world.reactor.run()
        delivery.cancel()
        self.failureResultOf(delivery, CancelledError)
        world.reactor.run()
        waiting.callback(b"late")
        self.assertTrue(world.reader.closed)
        self.assertEqual(world.mx1.open, 0)
