"""
What the agent makes of a server's extensions: chunks, conversion to 7 bits, limits, parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool
from empath.config.schema import Delivery as Section
from empath.errors import SpoolError
from empath.mail.attempt import Attempt
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Custody, Outcome, Success
from empath.smtp import client_chunks
from tests.deliver.fakes import CHUNKING, HANG, PIPELINING
from tests.deliver.world import BODY, CONTENT, HEADER, SENT, SENT_2, Reader, World, message, spell

SEVEN_BIT = "250-mx\r\n250-PIPELINING\r\n250 SIZE 100000"
TEXT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
WORDS = "\r\nGrüße\r\n".encode()
ENCODED = TEXT.replace(b"8bit", b"quoted-printable") + b"\r\nGr=C3=BC=C3=9Fe\r\n"


def asked(carried: Message, **parameters: str) -> Message:
    """
    Give a message parameters of MAIL; BODY=8BITMIME is written BODY="8BITMIME", MT-PRIORITY as MT_PRIORITY.
    """
    named = {keyword.replace("_", "-"): value for keyword, value in parameters.items()}
    return attrs.evolve(carried, envelope=attrs.evolve(carried.envelope, parameters=named))


def in_file(*recipients: str, **more: Any) -> Message:
    """
    Make the usual message, its body in a file.
    """
    return message(*recipients, body=None, **{"size": len(CONTENT), **more})


def german(**more: Any) -> Message:
    """
    Make a message whose body is 8-bit.
    """
    return message(header=TEXT, eight_bit=True, **{"body": WORDS, "size": len(TEXT + WORDS), **more})


class ChunkTests(SynchronousTestCase):
    """
    Content in chunks.
    """

    def test_from_file(self) -> None:
        """
        Content in a file goes by BDAT where it can, byte for byte; the end of it is noted as sent.
        """
        world = World()
        world.server(1, EHLO=CHUNKING)
        world.reader = reader = Reader([BODY[:3], BODY[3:9], BODY[9:]])
        self.assertEqual(world.deliver(in_file()), SENT)
        self.assertEqual(world.mx1.contents, [CONTENT])
        self.assertEqual(world.mx1.verbs(), ["EHLO", "MAIL", "RCPT", "BDAT"])
        self.assertEqual(world.mx1.commands[-1], f"BDAT {len(CONTENT)} LAST")
        self.assertTrue(reader.closed)
        self.assertIsNone(world.mx1.transports[0].producer)

    def test_small_content(self) -> None:
        """
        Small content goes by DATA all the same.
        """
        world = World()
        world.server(1, EHLO=CHUNKING)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.mx1.verbs()[-1], "DATA")

    def test_next_attempt(self) -> None:
        """
        From the second attempt on content goes by DATA: the server may have been wrong about its CHUNKING.
        """
        world = World()
        world.server(1, EHLO=CHUNKING)
        world.reader = Reader([BODY])
        carried = in_file()
        (delivery,) = deliveries_of(carried)
        told: list[tuple[Outcome, ...]] = []
        attempt = Attempt(2, 0.0)
        Deferred.fromCoroutine(world.agent.deliver(carried, delivery, attempt)).addCallback(told.append)
        world.reactor.run()
        self.assertEqual(spell(told[0]), SENT)
        self.assertEqual((world.mx1.verbs()[-1], world.mx1.contents), ("DATA", [CONTENT]))

    def test_binary(self) -> None:
        """
        Binary content goes as it is where BINARYMIME is offered, small as it may be.
        """
        world = World()
        world.server(1, EHLO=CHUNKING)
        body = b"\r\n\0\n.\n\r"
        carried = asked(message(body=body, size=len(HEADER + body)), BODY="BINARYMIME")
        self.assertEqual(world.deliver(carried), SENT)
        self.assertEqual(world.mx1.contents, [HEADER + body])
        self.assertIn("BODY=BINARYMIME", world.mx1.commands[1])

    def test_many(self) -> None:
        """
        Chunks follow each other as they are answered, and wait for a slow transport.
        """
        self.patch(client_chunks, "CHUNK_SIZE", 7)
        for offer in (CHUNKING, CHUNKING.replace("250-PIPELINING\r\n", "")):
            world = World()
            world.server(1, EHLO=offer)
            world.reader = Reader([BODY[:3], BODY[3:]])
            self.assertEqual(world.deliver(in_file()), SENT)
            self.assertEqual(world.mx1.contents, [CONTENT])
            self.assertEqual(world.mx1.verbs().count("BDAT"), -(-len(CONTENT) // 7))

    def test_back_pressure(self) -> None:
        """
        While the transport holds enough, no more is read.
        """
        world = World()
        world.server(1, EHLO=CHUNKING, RCPT=HANG)
        world.reader = Reader([BODY[:3], BODY[3:6], BODY[6:]])
        delivery = world.start(in_file())
        world.reactor.run()
        transport = world.mx1.transports[0]
        transport.full = True
        world.mx1.go_on(transport, "250 recipient")
        self.assertEqual(len(world.reader.pieces), 2)
        transport.producer.resumeProducing()
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)

    def test_wrong_size(self) -> None:
        """
        Content that is shorter or longer than it was never becomes a message: no last chunk, no final dot, and the mail
        waits.
        """
        for offer in (CHUNKING, PIPELINING):
            for pieces in ([BODY, b"more"], [BODY[:-1]], [], [BODY + b"x"]):
                world = World()
                world.server(1, EHLO=offer)
                world.reader = reader = Reader(pieces)
                self.assertEqual(world.deliver(in_file()), ["TransientFailure 451 4.3.0"])
                self.assertEqual((world.mx1.contents, world.mx1.open, reader.closed), ([], 0, True))

    def test_bdat_unknown(self) -> None:
        """
        A server that offers CHUNKING without knowing BDAT gets the mail by DATA at once, on a new connection.
        """
        world = World()
        world.server(1, EHLO=CHUNKING, CONTENT=["502 5.5.1 what?", "250 2.0.0 queued"])
        readers = [Reader([BODY]), Reader([BODY])]
        opened = list(readers)
        world.agent._open_body = lambda _: opened.pop(0)
        self.assertEqual(world.deliver(in_file("b@example.org", "c@example.org")), SENT * 2)
        self.assertEqual((world.mx1.contents, world.mx1.verbs().count("MAIL")), ([CONTENT] * 2, 2))
        self.assertEqual((world.mx1.verbs()[-1], len(world.mx1.transports), world.mx1.open), ("DATA", 2, 1))
        self.assertEqual((world.mx2.commands, [reader.closed for reader in readers]), ([], [True, True]))

    def test_bdat_unknown_to_all(self) -> None:
        """
        One that refuses DATA as well is left for its own reasons.
        """
        world = World()
        world.server(1, EHLO=CHUNKING, CONTENT="502 5.5.1 what?", DATA="550 5.7.1 no")
        world.reader = Reader([BODY])
        self.assertEqual(world.deliver(in_file()), ["PermanentFailure 550 5.7.1 mx1.example.org"])

    def test_bdat_unknown_binary(self) -> None:
        """
        Binary content is made 7-bit for it, and returned where it must not be.
        """
        kinds = (("application/octet-stream", SENT), ("multipart/signed; boundary=x", ["PermanentFailure 554 5.6.3"]))
        for kind, expected in kinds:
            world = World()
            world.server(1, EHLO=CHUNKING, CONTENT=["503 5.5.1 what?", "250 2.0.0 queued"])
            header = f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n".encode()
            carried = asked(message(header=header, body=b"\r\n\0\n", size=len(header) + 4), BODY="BINARYMIME")
            self.assertEqual(world.deliver(carried), expected)
            self.assertEqual([b"AAo=" in content for content in world.mx1.contents[1:]], [True] * (expected == SENT))
            self.assertEqual(world.mx1.verbs().count("BDAT"), 1)

    def test_refused(self) -> None:
        """
        A refused chunk ends the message, not the session: the next one begins with RSET, whatever is still being read.
        """
        self.patch(client_chunks, "CHUNK_SIZE", 7)
        world = World(Section(connection_pool=ConnectionPool(max_per_server=1)))
        world.server(1, EHLO=CHUNKING, BDAT=["250 ok", "552 5.3.4 too big", "250 ok"])
        world.reader = first = Reader([])
        pieces: list[Deferred[bytes]] = []

        async def read() -> bytes:
            pieces.append(Deferred())
            return await pieces[-1]

        first.read = read  # type: ignore[method-assign]  # the disk is slow
        delivery = world.start(in_file())
        world.reactor.run()
        pieces[0].callback(BODY[:9])
        world.reactor.run()
        pieces[1].callback(BODY[9:10])
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), ["PermanentFailure 552 5.3.4 mx1.example.org"])
        world.reader = Reader([BODY])
        self.assertEqual(world.deliver(in_file()), SENT)
        pieces[2].callback(b"late")
        self.assertTrue(first.closed)
        self.assertEqual((len(world.mx1.transports), world.mx1.contents), (1, [CONTENT]))
        self.assertIn("RSET", world.mx1.verbs())

    def test_late_trouble(self) -> None:
        """
        A spool that fails after its message was refused is no trouble of the next message on the connection.
        """
        self.patch(client_chunks, "CHUNK_SIZE", 7)
        for trouble in (SpoolError("gone"), ZeroDivisionError("a bug")):
            world = World(Section(connection_pool=ConnectionPool(max_per_server=1)))
            world.server(1, EHLO=CHUNKING, BDAT=["250 ok", "552 5.3.4 too big"], CONTENT=HANG)
            world.reader = first = Reader([])
            pieces: list[Deferred[bytes]] = [Deferred(), Deferred(), Deferred()]
            waiting = iter(pieces)

            async def read(waiting: Iterator[Deferred[bytes]] = waiting) -> bytes:
                return await next(waiting)

            first.read = read  # type: ignore[method-assign]  # the disk is slow
            refused = world.start(in_file())
            world.reactor.run()
            pieces[0].callback(BODY[:9])
            world.reactor.run()
            pieces[1].callback(BODY[9:10])
            world.reactor.run()
            self.assertEqual(spell(self.successResultOf(refused)), ["PermanentFailure 552 5.3.4 mx1.example.org"])
            delivery = world.start()
            world.reactor.run()
            pieces[2].errback(trouble)
            self.assertTrue(first.closed)
            world.mx1.go_on(world.mx1.transports[0], "250 2.0.0 queued")
            self.assertEqual(spell(self.successResultOf(delivery)), SENT)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), isinstance(trouble, ZeroDivisionError))

    def test_late_chunk(self) -> None:
        """
        A server has data_block for each chunk; then its host is left.
        """
        world = World()
        world.server(1, EHLO=CHUNKING, BDAT=HANG)
        self.patch(client_chunks, "CHUNK_SIZE", 20)
        world.reader = Reader([BODY])
        delivery = world.start(in_file())
        world.reactor.run()
        world.reactor.advance(179)
        self.assertNoResult(delivery)
        world.reader = Reader([BODY])
        world.reactor.advance(1)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT_2)


class SevenBitTests(SynchronousTestCase):
    """
    Servers without 8BITMIME.
    """

    def test_small(self) -> None:
        """
        Small content is converted, and its new size declared.
        """
        world = World()
        world.server(1, EHLO=SEVEN_BIT)
        self.assertEqual(world.deliver(german()), SENT)
        self.assertEqual(world.mx1.contents, [ENCODED])
        self.assertEqual(world.mx1.commands[1], f"MAIL FROM:<a@example.net> SIZE={len(ENCODED)}")

    def test_from_file(self) -> None:
        """
        What lies in a file is measured first, then converted as it goes.
        """
        for offer in (SEVEN_BIT, SEVEN_BIT + "\r\n250 CHUNKING"):
            world = World()
            world.server(1, EHLO=offer.replace("250 SIZE", "250-SIZE") if "CHUNK" in offer else offer)
            readers: list[Reader] = []

            def open_body(_: Message, readers: list[Reader] = readers) -> Reader:
                readers.append(Reader([WORDS[:4], WORDS[4:]]))
                return readers[-1]

            world.agent._open_body = open_body
            self.assertEqual(world.deliver(german(body=None, body_file="file")), SENT)
            self.assertEqual(world.mx1.contents, [ENCODED])
            self.assertIn(f"SIZE={len(ENCODED)}", world.mx1.commands[1])
            self.assertEqual([reader.closed for reader in readers], [True, True])

    def test_once(self) -> None:
        """
        It is made once, for however many transactions.
        """
        world = World(Section(max_recipients_per_transaction=1))
        world.server(1, EHLO=SEVEN_BIT)
        opened: list[Reader] = []

        def open_body(_: Message) -> Reader:
            opened.append(Reader([WORDS]))
            return opened[-1]

        world.agent._open_body = open_body
        carried = german(body=None, body_file="file")
        two = attrs.evolve(carried, envelope=message("b@example.org", "c@example.org").envelope)
        self.assertEqual(world.deliver(two), SENT * 2)
        self.assertEqual((world.mx1.contents, len(opened)), ([ENCODED] * 2, 3))

    def test_binary(self) -> None:
        """
        Binary content is converted for a server without BINARYMIME, though it may know 8BITMIME.
        """
        world = World()
        header = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
        carried = asked(message(header=header, body=b"\r\n\0\n", size=len(header) + 4), BODY="BINARYMIME")
        self.assertEqual(world.deliver(carried), SENT)
        self.assertEqual(world.mx1.contents, [header.replace(b"binary", b"base64") + b"\r\nAAo=\r\n"])
        self.assertNotIn("BODY", world.mx1.commands[1])

    def test_too_large_now(self) -> None:
        """
        The size that counts for the server's limit is that of what is sent.
        """
        world = World()
        world.server(1, EHLO=f"250-mx\r\n250 SIZE {len(TEXT + WORDS)}")
        self.assertEqual(world.deliver(german()), ["PermanentFailure 552 5.3.4"])

    def test_spool_trouble(self) -> None:
        """
        A spool that cannot be read leaves the mail waiting, and the connection as it was.
        """
        world = World()
        world.server(1, EHLO=SEVEN_BIT)
        world.reader = Reader([SpoolError("gone")])
        self.assertEqual(world.deliver(german(body=None)), ["TransientFailure 451 4.3.0"])
        self.assertEqual((world.mx1.verbs(), world.mx1.open, world.reader.closed), (["EHLO"], 1, True))

    def test_connection_ends_meanwhile(self) -> None:
        """
        A connection that ends while content is measured is replaced by a fresh one, without measuring again.
        """
        world = World()
        world.server(1, EHLO=SEVEN_BIT)
        world.reader = Reader([])
        piece: Deferred[bytes] = Deferred()
        pieces = [piece]

        async def read() -> bytes:
            return await pieces.pop() if pieces else b""

        world.reader.read = read  # type: ignore[method-assign]  # the disk is slow
        delivery = world.start(german(body=None, body_file="file"))
        world.reactor.run()
        world.reactor.advance(31)  # idle for too long
        world.reactor.run()
        self.assertEqual(world.mx1.verbs(), ["EHLO", "QUIT"])
        piece.callback(WORDS)
        world.reader = Reader([WORDS])
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)
        self.assertEqual((len(world.mx1.transports), world.mx1.contents), (2, [ENCODED]))

    def test_cancelled_meanwhile(self) -> None:
        """
        Cancelling while content is measured lets go of the spool and leaves the connection to others.
        """
        world = World()
        world.server(1, EHLO=SEVEN_BIT)
        world.reader = Reader([])
        piece: Deferred[bytes] = Deferred()

        async def read() -> bytes:
            return await piece

        world.reader.read = read  # type: ignore[method-assign]  # the disk is slow
        delivery = world.start(german(body=None))
        world.reactor.run()
        delivery.cancel()
        self.failureResultOf(delivery, CancelledError)
        self.assertTrue(world.reader.closed)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(len(world.mx1.transports), 1)


class LimitTests(SynchronousTestCase):
    """
    LIMITS (RFC 9422).
    """

    three = ("b@example.org", "c@example.org", "d@example.org")

    def test_recipients(self) -> None:
        """
        No transaction has more recipients than RCPTMAX.
        """
        world = World()
        world.server(1, EHLO="250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2")
        self.assertEqual(world.deliver(message(*self.three)), SENT * 3)
        self.assertEqual(world.mx1.verbs(), ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "MAIL", "RCPT", "DATA"])

    def test_messages(self) -> None:
        """
        No connection has more transactions than MAILMAX: another one goes on with the rest.
        """
        world = World(Section(connection_pool=ConnectionPool(max_per_server=1)))
        world.server(1, EHLO="250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1 MAILMAX=1")
        self.assertEqual(world.deliver(message(*self.three)), SENT * 3)
        self.assertEqual(len(world.mx1.transports), 3)
        self.assertEqual(world.mx1.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"] * 3)
        self.assertEqual(world.mx1.open, 0)


class ParameterTests(SynchronousTestCase):
    """
    What the message asks for.
    """

    def mail(self, carried: Message, *offer: str) -> tuple[str, list[str]]:
        """
        Deliver to a server of some extensions; gives the parameters of MAIL, and the outcomes.
        """
        world = World()
        world.reactor.advance(1030.0)
        world.server(1, EHLO="\r\n".join([*(f"250-{keyword}" for keyword in ("mx", *offer)), "250 8BITMIME"]))
        told = world.deliver(carried)
        said = [command for command in world.mx1.commands if command.startswith("MAIL")]
        return (said[0].partition("> ")[2] if said else ""), told

    def test_priority(self) -> None:
        """
        The message's own priority goes on, whatever was asked for.
        """
        carried = asked(message(priority=4), MT_PRIORITY="3")
        self.assertEqual(self.mail(carried, "MT-PRIORITY"), ("MT-PRIORITY=4", SENT))

    def test_deliver_by(self) -> None:
        """
        The time that is left counts from reception.
        """
        for given, said in (("120;RT", "BY=90;RT"), ("20;N", "BY=-10;N"), ("nonsense", "")):
            self.assertEqual(self.mail(asked(message(), BY=given), "DELIVERBY"), (said, SENT))
        self.assertEqual(self.mail(asked(message(), BY="120;R")), ("", ["PermanentFailure 554 5.4.7"]))

    def test_utf8(self) -> None:
        """
        SMTPUTF8 is needed for a header that is not ASCII and came with it; without the sender's word such a header
        goes as 8-bit.
        """
        header = "Subject: ü\r\n".encode()
        carried = message(header=header, eight_bit=True)
        for wanted, offer, expected in (
            (asked(carried, SMTPUTF8=""), ("SMTPUTF8",), ("BODY=8BITMIME SMTPUTF8", SENT)),
            (asked(carried, SMTPUTF8=""), (), ("", ["PermanentFailure 550 5.6.7"])),
            (carried, ("SMTPUTF8",), ("BODY=8BITMIME", SENT)),
            (asked(message(), SMTPUTF8=""), ("SMTPUTF8",), ("", SENT)),
            (asked(german(), SMTPUTF8=""), (), ("BODY=8BITMIME", SENT)),
        ):
            self.assertEqual(self.mail(wanted, *offer), expected)

    def test_utf8_without_8bitmime(self) -> None:
        """
        What lacks SMTPUTF8 is told so, whatever else it lacks.
        """
        world = World()
        world.server(1, EHLO=SEVEN_BIT)
        carried = message(header="Subject: ü\r\n".encode(), eight_bit=True)
        self.assertEqual(world.deliver(asked(carried, SMTPUTF8="")), ["PermanentFailure 550 5.6.7"])

    def test_custody(self) -> None:
        """
        Where the server knows DSN it owes the report, otherwise we do.
        """
        for offer, custody in (("250-mx\r\n250 DSN", Custody.PASSED_ON), ("250 mx", Custody.RELAYED)):
            world = World()
            world.server(1, EHLO=offer)
            told: list[tuple[Outcome, ...]] = []
            world.start().addCallback(told.append)
            world.reactor.run()
            (outcome,) = told[0]
            assert isinstance(outcome, Success)
            self.assertIs(outcome.custody, custody)
