"""
What a server gets in place of the message as it is stored: signatures on top, another reverse-path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.errors import SigningFailed
from empath.interfaces import IBodyReader, ISigner
from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Delivery, Message
from empath.mail.origin import TRUSTED
from empath.mail.outcome import Outcome
from tests.deliver.world import BODY, CONTENT, SENT, Reader, World, address, message, spell

SIGNATURE = b"DKIM-Signature: v=1\r\n"
SEVEN_BITS = "250-mx\r\n250 PIPELINING"
TEXT = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
EIGHT = "\r\nfür\r\n".encode()


@implementer(ISigner)
class Signer:
    """
    Puts `fields` on top; `later` are those that wait, an exception is raised.
    """

    def __init__(self, fields: bytes | Exception = SIGNATURE, *, slow: bool = False) -> None:
        self.fields = fields
        self.slow = slow
        self.signed: list[tuple[Message, Callable[[Message], IBodyReader]]] = []
        self.later: list[Deferred[bytes]] = []

    def sign(self, carried: Message, open_body: Callable[[Message], IBodyReader]) -> bytes | Deferred[bytes]:
        self.signed.append((carried, open_body))
        if self.slow:
            self.later.append(Deferred())
            return self.later[-1]
        if isinstance(self.fields, Exception):
            raise self.fields
        return self.fields


class Paths:
    """
    Names the recipients in the reverse-path, one in each transaction if asked.
    """

    def __init__(self, *, alone: bool) -> None:
        self.alone = alone

    def single(self, carried: Message, recipients: tuple[Recipient, ...]) -> bool:
        return self.alone

    def return_path(self, carried: Message, delivery: Delivery, recipients: tuple[Recipient, ...]) -> Address | None:
        if carried.envelope.reverse_path is None:
            return None
        return address("+".join(["back", *(each.address.local for each in recipients)]) + "@example.net")


class Faulty(Paths):
    """
    Fails for a recipient.
    """

    def return_path(self, carried: Message, delivery: Delivery, recipients: tuple[Recipient, ...]) -> Address | None:
        if recipients[0].address.local == "bad":
            raise ZeroDivisionError
        return super().return_path(carried, delivery, recipients)


def world_of(signer: Signer, **answers: Any) -> World:
    """
    Make a world where mail is signed.
    """
    world = World()
    world.server(1, **answers)
    world.agent.signer = signer
    return world


class SigningTests(SynchronousTestCase):
    """
    Signatures are made for what the server gets.
    """

    def test_on_top(self) -> None:
        """
        A signature is put on top, and counts for the size that is declared.
        """
        signer = Signer()
        world = world_of(signer)
        self.assertEqual(world.deliver(message(origin=TRUSTED)), SENT)
        self.assertEqual(world.mx1.contents, [SIGNATURE + CONTENT])
        self.assertIn(f"MAIL FROM:<a@example.net> SIZE={len(SIGNATURE + CONTENT)}", world.mx1.commands)
        self.assertEqual([each.header + (each.body or b"") for each, _ in signer.signed], [CONTENT])

    def test_from_a_file(self) -> None:
        """
        Content in a file is signed with its reader at hand, and streamed.
        """
        signer = Signer()
        world = world_of(signer)
        world.reader = Reader([BODY])
        self.assertEqual(world.deliver(message(body=None, size=len(CONTENT), origin=TRUSTED)), SENT)
        self.assertEqual(world.mx1.contents, [SIGNATURE + CONTENT])
        self.assertIs(signer.signed[0][1](signer.signed[0][0]), world.reader)

    def test_nothing_to_sign(self) -> None:
        """
        What the signer leaves alone goes as it is stored.
        """
        world = world_of(Signer(b""))
        self.assertEqual(world.deliver(message(origin=TRUSTED)), SENT)
        self.assertEqual(world.mx1.contents, [CONTENT])

    def test_once_for_all(self) -> None:
        """
        One attempt has one signature, however many transactions and hosts it takes.
        """
        signer = Signer()
        world = world_of(signer, MAIL="421 4.3.2 busy")
        self.assertEqual(world.deliver(message(origin=TRUSTED)), ["Success 250 2.0.0 mx2.example.org"])
        self.assertEqual((world.mx2.contents, len(signer.signed)), ([SIGNATURE + CONTENT], 1))

    def test_after_conversion(self) -> None:
        """
        What is made 7-bit is signed as it is then (RFC 6376 §5.3).
        """
        signer = Signer()
        world = world_of(signer, EHLO=SEVEN_BITS)
        carried = message(header=TEXT, body=EIGHT, size=len(TEXT + EIGHT), eight_bit=True, origin=TRUSTED)
        self.assertEqual(world.deliver(carried), SENT)
        ((signed, _),) = signer.signed
        self.assertEqual(world.mx1.contents, [SIGNATURE + signed.header + (signed.body or b"")])
        self.assertTrue(world.mx1.contents[0].isascii())
        self.assertTrue(signed.header.endswith(b"\r\n") and signed.body is not None)
        self.assertTrue((signed.body or b"").startswith(b"\r\n"), signed.body)

    def test_after_conversion_from_a_file(self) -> None:
        """
        Converted content in a file has its header in memory, and its body behind the reader that the signer gets.
        """
        signer = Signer()
        world = World()
        world.server(1, EHLO=SEVEN_BITS)
        world.agent.signer = signer
        readers: list[Reader] = []

        def open_body(_: Message) -> Reader:
            readers.append(Reader([EIGHT]))
            return readers[-1]

        world.agent._open_body = open_body  # what the spool does: a new reader each time
        carried = message(header=TEXT, body=None, size=len(TEXT + EIGHT), eight_bit=True, origin=TRUSTED)
        self.assertEqual(world.deliver(carried), SENT)
        ((signed, read),) = signer.signed
        body = b"".join(self.pieces(read(signed)))
        self.assertEqual(world.mx1.contents, [SIGNATURE + signed.header + body])
        self.assertTrue(body.startswith(b"\r\n"), body)
        self.assertEqual(signed.size, len(signed.header + body))

    def pieces(self, reader: IBodyReader) -> list[bytes]:
        """
        Read all.
        """
        found = []
        while piece := self.successResultOf(Deferred.fromCoroutine(_read(reader))):
            found.append(piece)
        return found

    def test_cannot_be_signed(self) -> None:
        """
        Mail that should be signed and cannot be waits, and nothing of it goes out.
        """
        world = world_of(Signer(SigningFailed("no key")))
        self.assertEqual(world.deliver(message(origin=TRUSTED)), ["TransientFailure 451 4.3.5"])
        self.assertEqual((world.mx1.verbs(), world.mx2.verbs()), ([], []))

    def test_cannot_be_signed_once_its_form_is_known(self) -> None:
        """
        So it is for what a server may take in another form.
        """
        world = world_of(Signer(SigningFailed("no key")))
        carried = message(header=TEXT, body=EIGHT, size=len(TEXT + EIGHT), eight_bit=True, origin=TRUSTED)
        self.assertEqual(world.deliver(carried), ["TransientFailure 451 4.3.5"])
        self.assertEqual((world.mx1.verbs(), world.mx2.verbs()), (["EHLO"], []))

    def test_nobody_waits_for_a_signature_with_a_connection(self) -> None:
        """
        What goes as it is to any server is signed before.
        """
        signer = Signer(slow=True)
        world = world_of(signer)
        told: list[tuple[Outcome, ...]] = []
        world.start(message(origin=TRUSTED)).addCallback(told.append)
        world.reactor.run()
        self.assertEqual(world.mx1.transports, [])
        signer.later[0].callback(SIGNATURE)
        world.reactor.run()
        self.assertEqual((spell(told[0]), world.mx1.contents), (SENT, [SIGNATURE + CONTENT]))

    def test_from_outside(self) -> None:
        """
        Mail that nobody vouched for is not even shown to the signer.
        """
        signer = Signer()
        world = world_of(signer)
        self.assertEqual(world.deliver(message()), SENT)
        self.assertEqual((world.mx1.contents, signer.signed), ([CONTENT], []))

    def test_gone_meanwhile(self) -> None:
        """
        A connection that ends while the signature is made is replaced.
        """
        signer = Signer(slow=True)
        world = world_of(signer)
        told: list[tuple[Outcome, ...]] = []
        carried = message(header=TEXT, body=EIGHT, size=len(TEXT + EIGHT), eight_bit=True, origin=TRUSTED)
        world.start(carried).addCallback(told.append)
        world.reactor.run()
        world.mx1.transports[0].loseConnection()
        world.reactor.run()
        signer.later[0].callback(SIGNATURE)
        world.reactor.run()
        self.assertEqual(spell(told[0]), SENT)
        self.assertEqual((world.mx1.contents, len(signer.signed)), ([SIGNATURE + TEXT + EIGHT], 1))


class ReturnPathTests(SynchronousTestCase):
    """
    The reverse-path may be another one on the way out.
    """

    def test_rewritten(self) -> None:
        """
        MAIL says what it is given for the recipients of the transaction.
        """
        world = World()
        world.agent.return_paths = Paths(alone=False)
        world.deliver(message("b@example.org", "c@example.org"))
        self.assertEqual(
            [c.split(" ")[1] for c in world.mx1.commands if c.startswith("MAIL")], ["FROM:<back+b+c@example.net>"]
        )

    def test_one_each(self) -> None:
        """
        Where the reverse-path names its recipient, each has a transaction of its own, on one connection.
        """
        world = World()
        world.agent.return_paths = Paths(alone=True)
        self.assertEqual(world.deliver(message("b@example.org", "c@example.org")), SENT * 2)
        said = [command.partition(" SIZE")[0] for command in world.mx1.commands if command[:4] in ("MAIL", "RCPT")]
        self.assertEqual(
            said,
            [
                "MAIL FROM:<back+b@example.net>",
                "RCPT TO:<b@example.org>",
                "MAIL FROM:<back+c@example.net>",
                "RCPT TO:<c@example.org>",
            ],
        )
        self.assertEqual((world.mx1.contents, len(world.mx1.transports)), ([CONTENT, CONTENT], 1))

    def test_who_has_the_mail_is_told_meanwhile(self) -> None:
        """
        After each transaction that others follow, so that a crash does not repeat it.
        """
        world = World()
        world.agent.return_paths = Paths(alone=True)
        kept: list[int] = []
        world.start(message("b@example.org", "c@example.org", "d@example.org"))
        world.attempt.keep = lambda outcomes: kept.append(sum(each is not None for each in outcomes))
        world.reactor.run()
        self.assertEqual((kept, len(world.mx1.contents)), ([1, 2], 3))

    def test_a_fault_takes_nobody_s_mail_back(self) -> None:
        """
        Who has the mail when something of ours fails never gets it again; before that the failure is the whole one.
        """
        world = World()
        world.agent.return_paths = Faulty(alone=True)
        told = world.deliver(message("b@example.org", "bad@example.org", "c@example.org"))
        self.assertEqual(told, [*SENT, *["TransientFailure 451 4.3.2"] * 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.failureResultOf(world.start(message("bad@example.org", "c@example.org")), ZeroDivisionError)
        self.assertEqual(len(world.mx1.contents), 1)

    def test_null(self) -> None:
        """
        None stays the null reverse-path.
        """
        world = World()
        world.agent.return_paths = Paths(alone=False)
        world.deliver(message(sender=None))
        self.assertTrue(world.mx1.commands[1].startswith("MAIL FROM:<>"))


async def _read(reader: IBodyReader) -> bytes:
    piece: bytes = await reader.read()
    return piece
