"""
Requirements on the fakes with which a hook is called as a function.
"""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.reply import Reply
from empath.modules import IContent, IServices, IStorage, Status
from empath.testing import (
    FakeServices,
    MtaMixin,
    address,
    attempt,
    content,
    message,
    recipient,
    session,
    transaction,
)


class ServicesTests(MtaMixin, SynchronousTestCase):
    """
    What a module is given.
    """

    def test_dns(self) -> None:
        """
        Answers come at once, as the resolver would tell them.
        """
        services = self.services(domains=["example.org"])
        verifyObject(IServices, services)
        services.dns.mx("example.org", "mx.example.org")
        services.dns.a("mx.example.org", "192.0.2.1")
        services.dns.txt("example.org", "v=spf1 -all", 'a "quoted" one')
        services.dns.fail("broken.example")
        asked = [("example.org", "MX"), ("mx.example.org", "A"), ("example.org", "TXT"), ("org", "A"), ("x.org", "A")]
        answers = [services.lookup(*each) for each in [*asked, ("broken.example", "A")]]
        found = [each.found for each in answers if isinstance(each, Answer)]
        self.assertEqual(found, [*[Found.RECORDS] * 3, Found.NO_DATA, Found.NO_NAME, Found.FAILED])
        assert all(isinstance(each, Answer) for each in answers)
        mx, a, txt = answers[:3]
        assert isinstance(mx, Answer) and isinstance(a, Answer) and isinstance(txt, Answer)
        self.assertEqual((mx.mx, a.addresses), ((MxRecord(10, "mx.example.org"),), ("192.0.2.1",)))
        self.assertEqual(txt.texts, ("v=spf1 -all", 'a "quoted" one'))
        self.assertEqual((services.local(address("a@example.org")), services.local(address("a@x.org"))), (True, False))

    def test_threads_counts_time_and_chance(self) -> None:
        """
        Threads run at once, counts are kept, rounds come in time, chance is the same each time.
        """
        services = self.services()
        rounds: list[float] = []
        begun = services.clock.seconds()
        services.every(60, lambda: rounds.append(services.clock.seconds() - begun))
        services.advance(150)
        self.assertEqual(rounds, [60.0, 120.0])
        self.assertEqual(self.successResultOf(services.in_thread(lambda: 1)), 1)
        self.failureResultOf(services.in_thread(lambda: 1 // 0), ZeroDivisionError)
        self.failureResultOf(services.in_thread(Deferred), TypeError)
        services.count("seen", 2)
        self.assertEqual(services.counted, {"seen": 2})
        self.assertEqual(services.chance.random(), self.services().chance.random())

    def test_storage(self) -> None:
        """
        As the real one: texts by key, until they expire, within its bounds.
        """
        services = self.services()
        storage = services.storage
        verifyObject(IStorage, storage)
        for key, expires in (("a1", None), ("a2", services.clock.seconds() + 10), ("b", None)):
            self.successResultOf(Deferred.fromCoroutine(_put(storage, key, expires)))
        self.assertEqual(self.successResultOf(storage.keys("a")), ["a1", "a2"])
        services.advance(10)
        self.assertEqual(self.successResultOf(storage.keys(limit=5)), ["a1", "b"])
        self.assertIsNone(self.successResultOf(storage.get("a2")))
        self.successResultOf(storage.delete("b"))
        self.assertEqual(self.successResultOf(storage.keys()), ["a1"])
        self.assertRaises(ValueError, storage.put, "k" * 1001, "")
        self.assertRaises(ValueError, storage.put, "k", "é" * 32769)
        self.assertRaises(TypeError, storage.put, "k", 1)

    def test_connections_and_recipients(self) -> None:
        """
        A test serves what a module connects to, and says what a next hop tells of an address.
        """

        class Echo(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(data)

        class Hearing(Protocol):
            heard = b""

            def dataReceived(self, data: bytes) -> None:
                self.heard += data

        services = self.services()
        services.serve("192.0.2.80", 80, Factory.forProtocol(Echo))
        connecting = services.connect("tcp:192.0.2.80:80", Factory.forProtocol(Hearing))
        services.advance()
        protocol = self.successResultOf(connecting)
        protocol.transport.write(b"hello")
        services.advance()
        self.assertEqual(protocol.heard, b"hello")
        refused = services.connect("tcp:192.0.2.81:80", Factory.forProtocol(Hearing))
        services.advance()
        self.failureResultOf(refused, ConnectionRefusedError)
        services.replies["no@example.org"] = Reply.of("550 5.1.1 unknown")
        for text, code in (("no@example.org", 550), ("yes@example.org", 250)):
            self.assertEqual(
                self.successResultOf(Deferred.fromCoroutine(_waited(services.verify(address(text))))).code, code
            )

    def test_what_is_left_behind(self) -> None:
        """
        A timer of the module's own is told of when the services close.
        """
        services = FakeServices()
        services.clock.callLater(10, lambda: None)
        self.assertRaises(AssertionError, services.close)
        self.services().every(1, lambda: None)


class MadeTests(SynchronousTestCase):
    """
    What hooks are called with.
    """

    def test_sessions_and_transactions(self) -> None:
        """
        Made in a line, with whatever matters to a test.
        """
        self.assertEqual(session(login="tim", trusted=True).login, "tim")
        made = transaction("", "a@example.org", recipient("b@example.org", NOTIFY="NEVER"), declared_size=5)
        self.assertIsNone(made.reverse_path)
        self.assertEqual([each.address.text for each in made.recipients], ["a@example.org", "b@example.org"])
        self.assertEqual((made.accepted, made.declared_size), (2, 5))

    def test_contents(self) -> None:
        """
        The real one, so that what a hook changes is what would be stored.
        """
        made = content(b"Subject: x\r\nX-A: 1\r\n\r\nbody\r\n")
        verifyObject(IContent, made)
        made.remove("X-A")
        made.add("X-B", "2")
        made.append(b"more\r\n")
        self.assertEqual((made.header, made.body), (b"Subject: x\r\nX-B: 2\r\n", b"\r\nbody\r\nmore\r\n"))
        bare = content(b"no header at all\r\n")
        self.assertEqual((bare.header + (bare.body or b""), bare.get("subject")), (b"no header at all\r\n", None))

    def test_messages_and_attempts(self) -> None:
        """
        As listeners are told of them.
        """
        made = message("a@b.example", "c@example.org", status=Status.RETRY, metadata={"k": "v"})
        assert made.delivery is not None
        self.assertEqual((made.delivery.status, made.delivery.domain), (Status.RETRY, "example.org"))
        self.assertEqual(made.metadata, {"k": "v"})
        self.assertIsNone(message().delivery)
        tried = attempt(("c@example.org", Status.COMPLETED), number=3)
        self.assertEqual((tried.number, tried.results[0].status), (3, Status.COMPLETED))


async def _waited(waiting: Awaitable[Reply]) -> Reply:
    return await waiting


async def _put(storage: IStorage, key: str, expires: float | None) -> None:
    await storage.put(key, "value", expires)
