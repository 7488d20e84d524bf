"""
Requests over connections that are kept.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import WrongBodyLength
from zope.interface import implementer

from empath.interfaces import IBodyReader, IResolver
from empath.mail.answer import Answer, Found
from empath.net.web_answer import LARGEST, GivenUp, Patience, WebAnswer
from empath.net.web_pool import KEPT, WebPool
from empath.testing.reactor import FakeReactor
from empath.testing.web import WebRequest, WebServer
from empath.testing.world import World

URL = "http://hooks.example:8080/mail"
ADDRESS = "192.0.2.80"
PATIENCE = Patience(connect=5, piece=10, answer=20)


@implementer(IResolver)
class Resolver:
    """
    Knows one host.
    """

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = (ADDRESS,)

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        if rdtype == "A" and name == "hooks.example":
            return Answer(name, rdtype, Found.RECORDS, addresses=self.addresses)
        return Answer(name, rdtype, Found.NO_DATA)


@implementer(IBodyReader)
class Slowly:
    """
    A body that comes when it is told to.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.waiting: Deferred[bytes] = Deferred()
        self.opened = self.closed = 0

    def open(self) -> Slowly:
        self.opened += 1
        return self

    def read(self) -> Deferred[bytes]:
        return self.waiting

    def give(self, piece: bytes | Exception) -> None:
        """
        Give a piece.
        """
        waiting, self.waiting = self.waiting, Deferred()
        if isinstance(piece, Exception):
            waiting.errback(piece)
        else:
            waiting.callback(piece)

    def close(self) -> None:
        self.closed += 1


class Spoken(Protocol):
    """
    A server that says what it is told to, and records what it hears.
    """

    factory: Speaker

    def connectionMade(self) -> None:
        self.buffer = b""
        self.factory.lines.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.factory.heard += data
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        _, _, length = head.partition(b"Content-Length: ")
        if self.factory.says and found and (self.factory.early or len(body) == int(length.partition(b"\r")[0] or 0)):
            self.buffer = b""
            said = self.factory.says.pop(0)
            transport: Any = self.transport
            if said is None:
                transport.loseConnection()
            else:
                transport.write(said)

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.lost += 1


class Speaker(Factory):
    """
    Makes them; `says` are the answers to requests, None ends the connection. `early`: the body is not waited for.
    """

    protocol = Spoken  # type: ignore[assignment]  # mypy takes it for a method

    def __init__(self, *says: bytes | None) -> None:
        self.says = list(says)
        self.heard = b""
        self.early = False
        self.lines: list[Spoken] = []
        self.lost = 0


def ok(body: bytes = b"", more: bytes = b"") -> bytes:
    """
    Spell an answer.
    """
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (more, len(body), body)


class WebPoolCase(SynchronousTestCase):
    """
    A pool in a world of its own.
    """

    def setUp(self) -> None:
        self.world = World(1000.0)
        self.reactor = FakeReactor(self.world, lambda name: [])
        self.resolver = Resolver()
        self.pool = WebPool(self.reactor, self.resolver, ("ipv6", "ipv4"), allow_private=True, idle=30)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Stop; nothing may be left behind.
        """
        stopping = self.pool.stop()
        self.world.settle()
        self.successResultOf(stopping)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def serve(self, factory: Any, address: str = ADDRESS) -> Any:
        self.world.serve((address, 8080), factory)
        return factory

    def ask(self, body: Any = b"", url: str = URL, **more: Any) -> Deferred[WebAnswer]:
        asked = self.pool.request("POST", url, [("X-Y", "z")], body, PATIENCE, **more)
        self.world.settle()
        return asked

    def answer(self, body: Any = b"", url: str = URL) -> WebAnswer:
        """
        Ask, and tell the answer.
        """
        return self.successResultOf(self.ask(body, url))


class AskingTests(WebPoolCase):
    def test_a_request_and_its_answer(self) -> None:
        """
        Status, fields by their names in lower case, body.
        """
        server = self.serve(Speaker(ok(b"hello", b"Content-Type: Text/Plain; charset=x\r\nRetry-After: 5\r\n")))
        answer = self.answer(b"content")
        self.assertEqual((answer.code, answer.body, answer.address), (200, b"hello", ADDRESS))
        self.assertEqual((answer.media_type, answer.fields["retry-after"]), ("text/plain", "5"))
        self.assertEqual((answer.trouble, answer.doubtful), ("", False))
        head, _, body = server.heard.partition(b"\r\n\r\n")
        self.assertEqual(body, b"content")
        self.assertTrue(head.startswith(b"POST /mail HTTP/1.1\r\n"))
        for field in (b"Host: hooks.example:8080", b"X-Y: z", b"User-Agent: empath", b"Content-Length: 7"):
            self.assertIn(field, head)

    def test_redirects_are_told_and_not_followed(self) -> None:
        server = self.serve(Speaker(b"HTTP/1.1 307 Go\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"))
        self.assertEqual(self.answer(b"x").code, 307)
        self.assertEqual(len(server.lines), 1)

    def test_a_name_of_our_own_may_be_given(self) -> None:
        server = self.serve(Speaker(ok()))
        asked = self.pool.request("GET", URL, [("user-agent", "mine")])
        self.world.settle()
        self.assertEqual(self.successResultOf(asked).code, 200)
        self.assertEqual(server.heard.lower().count(b"user-agent"), 1)

    def test_addresses(self) -> None:
        """
        What the operator gave is taken as it is; a name is looked up; each address is tried.
        """
        self.serve(Speaker(ok(), ok()), "127.0.0.1")
        for url in ("http://127.0.0.1:8080/", "http://localhost:8080/"):
            self.assertEqual(self.answer(url=url).address, "127.0.0.1")
        self.serve(Speaker(ok()))
        self.resolver.addresses = ("192.0.2.79", ADDRESS)
        self.assertEqual(self.answer().address, ADDRESS)
        answer = self.answer(url="http://unknown.example/")
        self.assertEqual(answer.trouble, "unknown.example has no address that we would connect to")

    def test_nobody_is_there(self) -> None:
        """
        It is said why, and that nothing reached anybody.
        """
        answer = self.answer(b"x")
        self.assertEqual((answer.code, answer.doubtful), (0, False))
        self.assertIn("refused", answer.trouble.lower())

    def test_what_is_no_http(self) -> None:
        """
        Garbage: no answer; the request may have been understood all the same.
        """
        self.serve(Speaker(b"220 mail.example ESMTP\r\n\r\n"))
        answer = self.answer(b"x")
        self.assertEqual((answer.code, answer.doubtful), (0, True))

    def test_what_is_no_status(self) -> None:
        codes = (b"0", b"-1", b"99", b"1000")
        self.serve(Speaker(*[b"HTTP/1.1 %b x\r\nContent-Length: 0\r\n\r\n" % code for code in codes]))
        for code in codes:
            answer = self.answer(b"x")
            self.assertEqual((answer.code, answer.doubtful), (0, True), code)
            self.assertEqual(answer.trouble, f"it answered with the status {int(code)}, which is none")

    def test_too_large_an_answer_is_cut(self) -> None:
        """
        The status counts; of the body there is what there is room for, and no connection is kept.
        """
        server = self.serve(Speaker(ok(b"x" * (LARGEST + 50000))))
        answer = self.answer(b"x")
        self.assertEqual((answer.code, len(answer.body), answer.whole), (200, LARGEST, False))
        self.assertEqual(server.lost, 1)

    def test_endless_fields_are_not_collected(self) -> None:
        server = self.serve(Speaker(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20000))))
        answer = self.answer(b"x")
        self.assertEqual((answer.code, server.lost), (0, 1))

    def test_an_answer_that_is_cut_has_its_status(self) -> None:
        """
        The server had made up its mind.
        """
        server = self.serve(Speaker(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"))
        asked = self.ask(b"x")
        self.assertNoResult(asked)
        server.lines[0].transport.loseConnection()
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.body, answer.whole), (200, b"half", False))

    def test_an_answer_of_no_length_ends_with_its_connection(self) -> None:
        """
        As servers of HTTP/1.0 have it.
        """
        server = self.serve(Speaker(b"HTTP/1.0 200 OK\r\n\r\nall"))
        asked = self.ask(b"x")
        server.lines[0].transport.loseConnection()
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.body, answer.whole), (200, b"all", True))


class KeepingTests(WebPoolCase):
    def test_connections_are_kept(self) -> None:
        """
        For the next request to the same server, for a while.
        """
        server = self.serve(Speaker(ok(b"a"), ok(b"b"), ok(b"c")))
        self.assertEqual([self.answer(b"x").body, self.answer().body, len(server.lines)], [b"a", b"b", 1])
        self.world.advance(31)
        self.assertEqual(server.lost, 1)
        self.assertEqual([self.answer(b"x").body, len(server.lines)], [b"c", 2])

    def test_any_number_of_answers_may_come_over_one(self) -> None:
        """
        The bound is one for each request.
        """
        server = self.serve(Speaker(*[ok(b"x" * 40000)] * 5))
        self.assertEqual([len(self.answer(b"x").body) for _ in range(5)], [40000] * 5)
        self.assertEqual(len(server.lines), 1)

    def test_not_too_many_are_kept(self) -> None:
        server = self.serve(Speaker())
        asked = [self.ask(b"x") for _ in range(KEPT + 3)]
        for line in server.lines:
            line.transport.write(ok())
        self.world.settle()
        self.assertEqual({self.successResultOf(each).code for each in asked}, {200})
        self.assertEqual((len(server.lines), server.lost), (KEPT + 3, 3))

    def test_one_that_its_server_had_closed_is_replaced(self) -> None:
        """
        At once: the request goes out again, its body from the beginning, on a new connection.
        """
        server = self.serve(Speaker(ok(b"a"), None, ok(b"b")))
        self.answer(b"x")
        answer = self.answer(b"again")
        self.assertEqual((answer.code, answer.body, len(server.lines)), (200, b"b", 2))
        self.assertEqual(server.heard.count(b"again"), 2)

    def test_a_new_one_that_ends_is_not_replaced(self) -> None:
        """
        Nor the one in the place of another: the server may have the request by now.
        """
        server = self.serve(Speaker(None))
        answer = self.answer(b"x")
        self.assertEqual((answer.code, answer.doubtful, len(server.lines)), (0, True, 1))
        server.says = [ok(), None, None, ok()]
        self.assertEqual([self.answer().code, self.answer(b"y").code], [200, 0])

    def test_one_that_ends_may_have_been_heard(self) -> None:
        """
        Though nobody is there any more when it is replaced, or it is given up then.
        """
        server = self.serve(Speaker(ok()))
        self.answer(b"x")
        asked = self.ask(b"y")
        del self.world.places[(ADDRESS, 8080)]
        server.lines[0].transport.loseConnection()
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.doubtful), (0, True))
        self.assertIn("refused", answer.trouble.lower())

    def test_one_that_ends_and_is_given_up_when_it_is_replaced(self) -> None:
        server = self.serve(Speaker(ok()))
        self.answer(b"x")
        body = Slowly(1)
        asked = self.ask(body)
        body.give(b"y")
        self.world.settle()
        server.lines[0].transport.loseConnection()
        self.world.settle()
        self.assertEqual(body.opened, 2)
        asked.cancel()
        self.assertTrue(self.failureResultOf(asked, GivenUp).value.doubtful)

    def test_the_stop_gives_up_what_is_under_way(self) -> None:
        server = self.serve(Speaker(ok(), b"HTTP/1.1 200"))
        self.answer()
        asked = self.ask(b"x")
        stopping = self.pool.stop()
        self.world.settle()
        self.successResultOf(stopping)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(server.lost, 1)


class PatienceTests(WebPoolCase):
    def test_an_end_without_an_answer_is_told_as_a_part_of_a_sentence(self) -> None:
        """
        What is told stands within replies and log lines, which go on behind it.
        """
        server = self.serve(Speaker(b"HTTP/1.1 100 Continue\r\n\r\n"))
        asked = self.ask(b"x")
        self.world.settle()
        server.lines[0].transport.loseConnection()
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.trouble[-1:].isalpha(), answer.doubtful), (True, True), answer.trouble)

    def test_no_answer(self) -> None:
        """
        After a whole request: it is said how long, and that the server may have got it.
        """
        server = self.serve(Speaker(b"HTTP/1.1 100 Continue\r\n\r\n"))
        asked = self.ask(b"x")
        self.world.advance(19)
        self.assertNoResult(asked)
        self.world.advance(2)
        answer = self.successResultOf(asked)
        self.assertEqual((answer.trouble, answer.doubtful), ("no answer within 20 s", True))
        self.assertEqual(server.lost, 1)

    def test_a_slow_body_of_an_answer(self) -> None:
        """
        The status counts, whatever becomes of the rest.
        """
        self.serve(Speaker(b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nx"))
        asked = self.ask(b"x")
        self.world.advance(21)
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.body, answer.whole), (503, b"x", False))

    def test_every_piece_has_its_time(self) -> None:
        """
        A body may take as long as it wants, if only something goes out.
        """
        server, body = self.serve(Speaker()), Slowly(4)
        asked = self.ask(body)
        for piece in (b"a", b"b", b"c", b"d", b""):
            self.world.advance(9)
            body.give(piece)
            self.world.settle()
        self.assertNoResult(asked)
        server.lines[0].transport.write(ok())
        self.world.settle()
        self.assertEqual(self.successResultOf(asked).code, 200)
        self.assertEqual((server.heard[-4:], body.closed), (b"abcd", 1))

    def test_a_body_that_does_not_go_on(self) -> None:
        """
        Nothing of it counts for the server, so nothing is doubtful.
        """
        server, body = self.serve(Speaker()), Slowly(4)
        asked = self.ask(body)
        body.give(b"a")
        self.world.advance(11)
        answer = self.successResultOf(asked)
        self.assertEqual((answer.trouble, answer.doubtful), ("it took nothing for 10 s", False))
        self.assertEqual((server.lost, body.closed), (1, 1))

    def test_who_gives_up_is_told_so(self) -> None:
        """
        Before the connection, while the body goes out, and while the answer comes, when the server may have it all. An
        answer that has begun counts.
        """
        server, body = self.serve(Speaker(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")), Slowly(4)
        first = self.pool.request("POST", URL, [], b"x", PATIENCE)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.world.settle()
        heard = self.ask(b"x")
        heard.cancel()
        self.assertEqual(self.successResultOf(heard).code, 200)
        server.says = []
        second = self.ask(b"x")
        second.cancel()
        self.assertTrue(self.failureResultOf(second, GivenUp).value.doubtful)
        third = self.ask(body)
        third.cancel()
        self.assertFalse(self.failureResultOf(third, GivenUp).value.doubtful)
        self.world.settle()
        self.assertEqual((len(server.lines) - server.lost, body.closed), (0, 1))


class BodyTests(WebPoolCase):
    def test_what_its_reader_fails_with_is_told(self) -> None:
        """
        No half request counts: the connection is broken.
        """
        server, body = self.serve(Speaker()), Slowly(4)
        asked = self.ask(body)
        body.give(b"a")
        body.give(ZeroDivisionError())
        self.failureResultOf(asked, ZeroDivisionError)
        self.world.settle()
        self.assertEqual((server.lost, body.closed), (1, 1))

    def test_an_early_answer_ends_it(self) -> None:
        """
        A server that has heard enough is not told the rest.
        """
        answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
        server, body = self.serve(Speaker(answer)), Slowly(4)
        server.early = True
        asked = self.ask(body)
        body.give(b"a")
        self.world.settle()
        self.assertEqual(self.successResultOf(asked).code, 413)
        self.assertEqual((server.lost, body.closed), (1, 1))

    def test_thanks_before_the_end_are_none(self) -> None:
        """
        A server that answers 200 before the body was written cannot have it: it is not delivered, and not in doubt.
        """
        server, body = self.serve(Speaker(ok(b"thanks"))), Slowly(4)
        server.early = True
        asked = self.ask(body)
        body.give(b"abc")
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.doubtful), (0, False))
        self.assertEqual(answer.trouble, "it answered 200 before it had the whole request")
        self.assertEqual((server.lost, body.closed), (1, 1))

    def test_the_last_octet_is_the_end(self) -> None:
        """
        An answer may come before the reader has told that there is no more; the connection is kept.
        """
        server, body = self.serve(Speaker(ok(b"a"), ok(b"b"))), Slowly(4)
        asked = self.ask(body)
        body.give(b"abcd")
        self.world.settle()
        answer = self.successResultOf(asked)
        self.assertEqual((answer.code, answer.body, body.closed), (200, b"a", 1))
        self.assertEqual([self.answer(b"x").body, len(server.lines)], [b"b", 1])

    def test_a_body_that_is_shorter_than_it_said(self) -> None:
        server, body = self.serve(Speaker()), Slowly(4)
        asked = self.ask(body)
        body.give(b"abc")
        body.give(b"")
        self.failureResultOf(asked, WrongBodyLength)
        self.world.settle()
        self.assertEqual((server.lost, body.closed), (1, 1))

    def test_a_server_that_does_not_read_is_not_drowned(self) -> None:
        """
        The body is read no faster than the server takes it.
        """
        size = 1 << 16
        chunks = [random.Random(1).randbytes(size) for _ in range(32)]
        body = Chunks(chunks)
        web = self.serve(WebServer(self.world, 200))
        answer = self.answer(body)
        self.assertEqual(answer.code, 200)
        [request] = web.requests
        self.assertIsInstance(request, WebRequest)
        self.assertEqual(request.body, b"".join(chunks))


class Chunks:
    """
    A body in pieces.
    """

    def __init__(self, chunks: list[bytes]) -> None:
        self.length = sum(map(len, chunks))
        self._chunks = chunks

    def open(self) -> Any:
        chunks = iter(self._chunks)

        class Reader:
            async def read(self) -> bytes:
                return next(chunks, b"")

            def close(self) -> None:
                """
                Nothing is open.
                """

        return Reader()
