"""
Requirements on what is signed, when, and how often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import dkim  # type: ignore[import-untyped]  # it has no annotations
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.config.units import File
from empath.errors import ConfigError, SigningFailed, SpoolError
from empath.interfaces import IBodyReader, ISigner
from empath.mail.message import Message
from empath.mail.origin import OUTSIDE, OWN, Origin, Source
from empath.sign.batches import MOST
from empath.sign.keys import LOOK_AGAIN
from empath.sign.signer import REMEMBERED, REUSED, Signer
from tests.sign.keys import BODY, HEADER, dkim_key, ed25519, message, pem, record, rsa, section_of

NOW = 1_700_000_000


@implementer(IBodyReader)
class Pieces:
    """
    Gives pieces, at once or as `give` is called.
    """

    def __init__(self, *pieces: bytes | Exception, slow: bool = False) -> None:
        self.pieces = [*pieces, b""]
        self.slow = slow
        self.waiting: list[Deferred[bytes]] = []
        self.opened = 0
        self.closed = 0

    def open(self, _: Message) -> Pieces:
        """
        Count who reads.
        """
        self.opened += 1
        return self

    def read(self) -> Deferred[bytes]:
        if self.slow:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return succeed(piece)

    def close(self) -> None:
        self.closed += 1


class Threads:
    """
    Threads whose calls run when a test says so.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        self.calls.append((call, Deferred()))
        return self.calls[-1][1]

    def run(self) -> None:
        """
        Run the first call.
        """
        call, done = self.calls.pop(0)
        done.callback(call())


class SignerTests(SynchronousTestCase):
    """
    A signer with keys in files.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        for name, key in (("rsa.pem", rsa()), ("ed.pem", ed25519())):
            (self.folder / name).write_bytes(pem(key))
        self.rsa = dkim_key(self.folder / "rsa.pem", selector="rsa")
        self.ed = dkim_key(self.folder / "ed.pem", selector="ed")
        self.clock = Clock()
        self.clock.advance(NOW)
        self.threads = Threads()
        self.reader = Pieces()

    def signer(self, *keys: Any, **more: Any) -> Signer:
        """
        Make one.
        """
        return Signer(section_of(*keys, **more), self.clock, self.threads)

    def signed(self, signer: Signer, carried: Message) -> bytes:
        """
        Sign at once.
        """
        fields = signer.sign(carried, self.reader.open)
        if isinstance(fields, bytes):
            return fields
        return self.successResultOf(fields)  # type: ignore[arg-type]  # it is a Deferred

    def later(self, signer: Signer, carried: Message) -> Deferred[bytes]:
        """
        Begin to sign.
        """
        fields = signer.sign(carried, self.reader.open)
        assert isinstance(fields, Deferred)
        return fields

    def verifies(self, content: bytes, index: int = 0) -> bool:
        """
        Ask dkimpy.
        """
        records = {b"rsa": record(rsa()), b"ed": record(ed25519())}
        verifier = dkim.DKIM(content)
        return bool(verifier.verify(index, dnsfunc=lambda name, **_: records[name.split(b".")[0]]))

    def test_a_signer(self) -> None:
        """
        It is what its interface says.
        """
        self.assertTrue(verifyObject(ISigner, self.signer()))

    def test_nothing_is_signed_without_a_key(self) -> None:
        """
        Of any domain, or of this one.
        """
        self.assertFalse(self.signer().active)
        self.assertEqual(self.signed(self.signer(), message()), b"")
        other = message(b"From: a@example.com\r\n")
        self.assertEqual(self.signed(self.signer(self.ed), other), b"")

    def test_mail_of_our_own_side_is_signed_and_no_other(self) -> None:
        """
        What comes from outside was vouched for by nobody, whatever its From says.
        """
        signer = self.signer(self.ed)
        for origin in (OWN, Origin(Source.LOGIN, "a")):
            self.assertTrue(self.signed(signer, message(origin=origin)))
        self.assertEqual(self.signed(signer, message(origin=OUTSIDE)), b"")

    def test_what_has_no_author_for_sure_is_not_signed(self) -> None:
        """
        Nor what is no header block for every reader.
        """
        signer = self.signer(self.ed)
        for header in (HEADER + HEADER, b"Subject: x\r\n", HEADER + b"no field\r\n", b""):
            self.assertEqual(self.signed(signer, message(header)), b"")

    def test_all_keys_of_the_domain_sign(self) -> None:
        """
        RFC 8463 §3: who does not know the one algorithm reads the other.
        """
        pending = self.later(self.signer(self.rsa, self.ed), message())
        self.assertNoResult(pending)
        self.threads.run()
        content = self.successResultOf(pending) + HEADER + BODY
        self.assertEqual(re.findall(rb"s=(\w+);", content), [b"rsa", b"ed"])
        self.assertTrue(self.verifies(content, 0))
        self.assertTrue(self.verifies(content, 1))

    def test_what_bears_our_signature_gets_no_second_one(self) -> None:
        """
        By the same selector; another key signs all the same.
        """
        signer = self.signer(self.ed)
        first = self.signed(signer, message())
        self.assertEqual(self.signed(signer, message(first + HEADER)), b"")
        self.assertTrue(self.later(self.signer(self.ed, self.rsa), message(first + HEADER)))

    def test_signatures_end_where_that_is_configured(self) -> None:
        """
        By x=.
        """
        self.assertNotIn(b"x=", self.signed(self.signer(self.ed), message()).split(b"bh=")[0])
        fields = self.signed(self.signer(self.ed, expiration=3600.0), message())
        self.assertIn(b"t=%d; x=%d;" % (NOW, NOW + 3600), fields)

    def test_content_in_a_file_is_read_piece_by_piece_and_hashed_once(self) -> None:
        """
        Another attempt signs again, and reads nothing.
        """
        signer = self.signer(self.ed)
        self.reader = Pieces(b"\r", b"\n", b"hel", b"lo\r\n")
        carried = message(body=None, size=len(HEADER + BODY))
        self.assertTrue(self.verifies(self.signed(signer, carried) + HEADER + BODY))
        self.clock.advance(60)
        again = self.signed(signer, carried)
        self.assertIn(b"t=%d;" % (NOW + 60), again)
        self.assertTrue(self.verifies(again + HEADER + BODY))
        self.assertEqual((self.reader.opened, self.reader.closed), (1, 1))

    def test_content_that_was_converted_is_hashed_by_itself(self) -> None:
        """
        It has the queue id of what it was made of.
        """
        signer = self.signer(self.ed)
        self.reader = Pieces("\r\nü\r\n".encode())
        self.signed(signer, message(body=None, size=100, eight_bit=True))
        self.reader = Pieces(BODY)
        converted = message(body=None, size=100)
        self.assertTrue(self.verifies(self.signed(signer, converted) + HEADER + BODY))

    def test_an_empty_file_is_an_empty_body(self) -> None:
        """
        Whatever it lacks.
        """
        for piece in (b"", b"\r\n"):
            self.reader = Pieces(piece)
            carried = message(body=None, size=len(HEADER + piece))
            self.assertTrue(self.verifies(self.signed(self.signer(self.ed), carried) + HEADER + b"\r\n"))

    def test_content_that_cannot_be_read_is_not_signed_for_now(self) -> None:
        """
        The reader is closed.
        """
        self.reader = Pieces(SpoolError("gone"))
        pending = self.later(self.signer(self.ed), message(body=None, size=100))
        self.failureResultOf(pending, SigningFailed)
        self.assertEqual(self.reader.closed, 1)

    def test_all_destinations_of_a_message_share_its_signature(self) -> None:
        """
        While it is made, and for an hour.
        """
        signer = self.signer(self.rsa)
        carried = message(HEADER, BODY, "a@one.example", "b@two.example")
        both = [self.later(signer, carried), self.later(signer, carried)]
        self.assertEqual(len(self.threads.calls), 1)
        self.threads.run()
        first = self.successResultOf(both[0])
        self.assertEqual(self.successResultOf(both[1]), first)
        self.clock.advance(REUSED - 1)
        self.assertEqual(self.signed(signer, carried), first)
        self.clock.advance(1)
        self.assertNoResult(self.later(signer, carried))

    def test_a_signature_is_not_shared_for_long_that_ends_soon(self) -> None:
        """
        Half of its time is for the way.
        """
        signer = self.signer(self.ed, expiration=100.0)
        carried = message(HEADER, BODY, "a@one.example", "b@two.example")
        first = self.signed(signer, carried)
        self.clock.advance(49)
        self.assertEqual(self.signed(signer, carried), first)
        self.clock.advance(1)
        self.assertNotEqual(self.signed(signer, carried), first)

    def test_a_signature_of_an_older_key_is_not_shared(self) -> None:
        """
        Nor is one of an older section.
        """
        signer = self.signer(self.ed)
        carried = message(HEADER, BODY, "a@one.example", "b@two.example")
        first = self.signed(signer, carried)
        (self.folder / "ed.pem").write_bytes(pem(ed25519(1)))
        self.clock.advance(LOOK_AGAIN)
        self.assertNotEqual(self.signed(signer, carried), first)
        signer.prepare(section_of(self.rsa))()
        self.assertNoResult(self.later(signer, carried))

    def test_what_was_begun_before_a_reload_is_not_taken_for_what_the_new_section_wants(self) -> None:
        """
        Neither the hash of a body in another form nor a signature by keys that are not the newest.
        """
        body = b"\r\nhello  there \r\n"
        carried = message(HEADER, None, "a@one.example", "b@two.example", size=len(HEADER + body))
        signer = self.signer(self.ed, canonicalization="simple/simple")
        self.reader = Pieces(slow=True)
        before = self.later(signer, carried)
        signer.prepare(section_of(self.ed, canonicalization="relaxed/relaxed"))()
        meanwhile = self.later(signer, carried)
        for piece in (body, b"", b""):
            for waiting in self.reader.waiting[:]:
                self.reader.waiting.remove(waiting)
                waiting.callback(piece)
        for fields, form in ((self.successResultOf(before), b"simple"), (self.successResultOf(meanwhile), b"relaxed")):
            self.assertIn(b"c=%b/%b" % (form, form), fields)
            self.assertTrue(self.verifies(fields + HEADER + body))
        self.assertTrue(self.verifies(self.signed(signer, carried) + HEADER + body))

    def test_one_who_gives_up_as_he_hears_of_another_does_no_harm(self) -> None:
        """
        The others still have their signatures.
        """
        signer = self.signer(self.ed)
        self.reader = Pieces(slow=True)
        one, two, three = (self.later(signer, message(body=None, size=100)) for _ in range(3))
        one.addCallback(lambda _: two.cancel())
        for waiting in [0, 1]:
            self.reader.waiting[waiting].callback(b"")
        self.failureResultOf(two, CancelledError)
        self.assertTrue(self.successResultOf(three))

    def test_who_gives_up_does_not_take_the_signature_from_others(self) -> None:
        """
        The last one who does ends the work.
        """
        signer = self.signer(self.ed)
        self.reader = Pieces(slow=True)
        carried = message(body=None, size=100)
        one, two, three = (self.later(signer, carried) for _ in range(3))
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertEqual(self.reader.closed, 0)
        two.cancel()
        three.cancel()
        self.failureResultOf(two, CancelledError)
        self.failureResultOf(three, CancelledError)
        self.assertEqual((self.reader.opened, self.reader.closed), (1, 1))
        self.assertNoResult(self.later(signer, carried))
        self.assertEqual(self.reader.opened, 2)

    def test_a_signature_that_nobody_waits_for_does_no_harm(self) -> None:
        """
        Its thread goes on.
        """
        pending = self.later(self.signer(self.rsa), message())
        pending.cancel()
        self.failureResultOf(pending, CancelledError)
        self.threads.run()

    def test_what_comes_while_threads_are_busy_goes_together(self) -> None:
        """
        Two threads are busy, with so many messages each at the most.
        """
        signer = self.signer(self.rsa)
        pending = [self.later(signer, message(queue_id=str(number))) for number in range(2 + MOST + 1)]
        self.assertEqual(len(self.threads.calls), 2)
        self.threads.run()
        self.threads.run()
        self.assertEqual(len(self.threads.calls), 2)
        self.threads.run()
        done = [each for each in pending if each.called]
        self.assertEqual(len(done), 2 + MOST)
        self.threads.run()
        for each in pending:
            self.assertTrue(self.verifies(self.successResultOf(each) + HEADER + BODY))

    def test_a_key_that_fails_to_sign_fails_its_messages_only(self) -> None:
        """
        They are tried again; so they are where a thread fails.
        """
        signer = self.signer(self.rsa)
        (key,) = signer._keys.of("example.org")

        def broken(_: bytes) -> bytes:
            raise ValueError("broken")

        object.__setattr__(key, "sign", broken)
        pending = self.later(signer, message())
        self.threads.run()
        self.failureResultOf(pending, SigningFailed)
        pending = self.later(signer, message())
        _, done = self.threads.calls.pop()
        done.errback(RuntimeError("no thread"))
        self.failureResultOf(pending, SigningFailed)

    def test_a_key_that_is_gone_is_told_at_once(self) -> None:
        """
        The mail waits for it.
        """
        signer = self.signer(self.ed)
        (self.folder / "ed.pem").unlink()
        self.clock.advance(LOOK_AGAIN)
        self.assertRaises(SigningFailed, signer.sign, message(), self.reader.open)

    def test_a_section_that_cannot_be_used_changes_nothing(self) -> None:
        """
        Whoever reloads is told.
        """
        signer = self.signer(self.ed)
        bad = attrs.evolve(self.rsa, private_key=File("/nowhere"))
        self.assertRaises(ConfigError, signer.prepare, section_of(bad))
        self.assertTrue(self.signed(signer, message()))

    def test_what_is_remembered_is_bounded(self) -> None:
        """
        The oldest goes first.
        """
        signer = self.signer(self.ed)
        for number in range(REMEMBERED + 1):
            signer._bodies[(str(number), 0, False), "relaxed"] = b""
        self.signed(signer, message(HEADER, BODY, "a@one.example", "b@two.example"))
        self.assertLessEqual(len(signer._bodies), REMEMBERED + 1)
        self.assertNotIn((("0", 0, False), "relaxed"), signer._bodies)
