"""
Requirements on the clients: against the real server at a real socket, and against what only seems to be one.
"""

from __future__ import annotations

import os
import resource
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from twisted.internet import reactor  # noqa: TID251  # real sockets are what is tested
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.protocols import amp
from twisted.trial.unittest import TestCase

from empath.control import protocol
from empath.control.boxes import octets_of
from empath.control.client import ControlClient
from empath.control.faults import (
    ConnectionLost,
    ControlError,
    NotFoundThere,
    NotPermitted,
    RefusedByServer,
    ServerFault,
    TimedOut,
    TooLarge,
    Unreachable,
    WrongVersion,
    fault_of,
)
from empath.control.listening import ControlSocket
from empath.control.server import ControlServer
from empath.control.serving import Answers, Call, NotFound, Refused
from empath.control.terms.asking import Ask
from empath.control.terms.queue import Filter, ListQueue, QueuePage
from empath.control.tokens import Tokens
from empath.control.twisted_client import TwistedControlClient, connect
from tests.control.asking import Change, Count, Echo, Echoed, token

T = TypeVar("T")


class Stopped(Exception):
    """
    Of a program that uses the client.
    """


async def count(request: Count, call: Call) -> Echoed:
    for number in range(100):
        waiting = call.tell(Echoed(str(number)))
        if waiting is not None:
            await waiting
    return Echoed("end")


def list_queue(request: ListQueue, call: Call) -> QueuePage:
    return QueuePage((), {"": "a", "a": "b", "b": ""}[request.after])


def echo(request: Echo, call: Call) -> Any:
    if request.text == "refuse":
        raise Refused("no")
    if request.text == "miss":
        raise NotFound("nothing there")
    return Deferred() if request.text == "wait" else Echoed(request.text)


class ClientCase(TestCase):
    """
    A server with some answers, at a socket.
    """

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="empath-")
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "control.sock")
        self.used: list[Any] = []
        self.server = ControlServer(reactor, Tokens([]), self.used.append, deferToThread, "9.9")
        table: Answers = {Echo: echo, Count: count, ListQueue: list_queue}
        self.server.serve([table])
        self.socket = ControlSocket(reactor, self.path, self.server)

    def begin(self) -> None:
        self.socket.bind()
        self.addCleanup(self.end)

    async def end(self) -> None:
        self.server.stop()
        await self.socket.stop()

    def blocking(self, work: Callable[[ControlClient], T], timeout: float = 10.0, secret: str = "") -> Deferred[T]:
        """
        Use a blocking client in another thread.
        """

        def use() -> T:
            with ControlClient(self.path, secret, timeout) as client:
                return work(client)

        return deferToThread(use)

    def failing(self, work: Callable[[ControlClient], Any], timeout: float = 10.0) -> Deferred[ControlError]:
        return self.assertFailure(self.blocking(work, timeout), ControlError)


class BlockingTests(ClientCase):
    """
    The client without Twisted.
    """

    async def test_it_asks_follows_and_walks(self) -> None:
        """
        Over one connection.
        """
        self.begin()
        pieces: list[Echoed] = []

        def work(client: ControlClient) -> Any:
            told = client.ask(Echo("x" * 300_000))
            counted = client.follow(Count(), pieces.append)
            pages = [page.after for page in client.walk(ListQueue(Filter(all=True)))]
            return len(told.text), counted.text, pages, self.server.connections

        self.assertEqual(await self.blocking(work), (300_000, "end", ["a", "b", ""], 1))
        self.assertEqual([piece.text for piece in pieces], [str(number) for number in range(100)])

    async def test_what_the_server_refuses_is_an_error_of_its_kind(self) -> None:
        """
        After which the connection goes on.
        """
        self.begin()

        def work(client: ControlClient) -> list[type[Exception]]:
            found: list[type[Exception]] = []
            requests: list[Ask[Any]] = [Echo("refuse"), Echo("miss"), Change(), Echo("x" * 1_100_000)]
            for request in requests:
                try:
                    client.ask(request)
                except ControlError as trouble:
                    found.append(type(trouble))
            client.ask(Echo("still here"))
            self.assertEqual(self.server.connections, 1)
            return found

        self.assertEqual(await self.blocking(work), [RefusedByServer, NotFoundThere, RefusedByServer, TooLarge])

    async def test_another_version_says_what_to_do(self) -> None:
        """
        The server's words are the client's.
        """
        self.begin()
        self.patch(protocol, "VERSION", 7)
        octets = octets_of(protocol.asking(b"1", 1, Echo(), ""))
        self.patch(protocol, "VERSION", 1)

        def work(client: ControlClient) -> str:
            client._send(octets)
            box = client._box()
            raise fault_of(box[b"_error_code"], box[b"_error_description"])

        trouble = await self.assertFailure(self.blocking(work), WrongVersion)
        self.assertIn("use the empathctl", str(trouble))

    async def test_a_wrong_token_is_not_permitted(self) -> None:
        """
        Nor is none.
        """
        self.server.tokens.use([token("ops", "secret")])
        self.begin()
        await self.assertFailure(self.blocking(lambda client: client.ask(Echo()), secret="guess"), NotPermitted)
        self.assertEqual((await self.blocking(lambda client: client.ask(Echo("x")), secret="secret")).text, "x")

    async def test_a_silent_server_is_not_waited_for(self) -> None:
        """
        Longer than was said.
        """
        self.begin()
        trouble = await self.failing(lambda client: client.ask(Echo("wait")), 0.2)
        self.assertIsInstance(trouble, TimedOut)

    async def test_who_stops_listening_ends_the_request(self) -> None:
        """
        And can ask on, over another connection.
        """
        self.begin()

        def stop(piece: Echoed) -> None:
            raise Stopped

        def work(client: ControlClient) -> str:
            try:
                client.follow(Count(), stop)
            except Stopped:
                return client.ask(Echo("on")).text
            return ""

        self.assertEqual(await self.blocking(work), "on")

    async def test_a_connection_that_was_closed_meanwhile_is_made_again(self) -> None:
        """
        As after a restart: nothing was asked over it yet.
        """
        self.begin()

        def work(client: ControlClient) -> str:
            client.ask(Echo())
            real: Any = reactor
            blockingCallFromThread(real, self.server.stop)
            while self.server.connections:
                blockingCallFromThread(real, deferLater, real, 0.0)
            return client.ask(Echo("again")).text

        self.assertEqual(await self.blocking(work), "again")

    async def test_where_nobody_is_it_is_said_what_to_look_at(self) -> None:
        """
        No socket, a stale one, one of another kind, a path that is too long.
        """
        trouble = await self.failing(lambda client: client.ask(Echo()))
        self.assertIsInstance(trouble, Unreachable)
        self.assertIn("does not exist", str(trouble))
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)
        self.assertIn("nobody answers", str(await self.failing(lambda client: client.ask(Echo()))))
        self.path += "x" * 200
        self.assertIn("107", str(await self.failing(lambda client: client.ask(Echo()))))

    async def test_a_moment_without_room_is_waited_for(self) -> None:
        """
        The kernel refuses at once who finds too many waiting; also with more files open than select() knows of.
        """
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        spare = os.open(os.devnull, os.O_RDONLY)
        many = [os.dup(spare) for _ in range(1030)]
        try:
            with socket.socket(socket.AF_UNIX) as crowded, socket.socket(socket.AF_UNIX) as waiting:
                crowded.bind(self.path)
                crowded.listen(0)
                waiting.connect(self.path)
                trouble = await self.failing(lambda client: client.ask(Echo()), timeout=0.1)
                self.assertIn("too many connections", str(trouble))
            os.unlink(self.path)
            self.begin()
            self.assertEqual(await self.blocking(lambda client: [client.ask(Echo("a")).text for _ in "ab"]), ["a", "a"])
        finally:
            for each in (spare, *many):
                os.close(each)


class PretenderTests(ClientCase):
    """
    A server that is none, or dies.
    """

    def pretend(self, *answers: bytes) -> None:
        """
        Take one connection, and answer its first octets so; then close it.
        """
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen(1)

        def serve() -> None:
            with listening:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    for octets in answers:
                        try:
                            connection.sendall(octets)
                        except OSError:
                            return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)

    async def test_it_dies_in_the_middle_of_a_page(self) -> None:
        """
        What was asked may have been done.
        """
        page = octets_of(protocol.answering(b"1", b'{"text": "' + b"x" * 100_000 + b'"}'))
        self.pretend(page[:70_000])
        trouble = await self.failing(lambda client: client.ask(Echo()))
        self.assertIsInstance(trouble, ConnectionLost)
        self.assertIn("may have been done", str(trouble))

    async def test_it_sends_more_than_may_be(self) -> None:
        """
        Which is not kept.
        """
        box = octets_of({b"_answer": b"1"})[:-2]
        values = b"".join(octets_of({b"json.%d" % at: b"x" * 65_000})[:-2] for at in range(200))
        self.pretend(box + values)
        self.assertIsInstance(await self.failing(lambda client: client.ask(Echo())), TooLarge)

    async def test_it_says_what_was_not_asked(self) -> None:
        """
        Or what is not even a box, or no answer to this.
        """
        for octets in (b"220 mx ESMTP\r\n", octets_of({b"_answer": b"77"}), octets_of(protocol.answering(b"1", b"[]"))):
            self.pretend(octets)
            self.assertIsInstance(await self.failing(lambda client: client.ask(Echo())), ServerFault)
            Path(self.path).unlink()


class TwistedTests(ClientCase):
    """
    The client for Twisted.
    """

    async def connected(self, timeout: float = 10.0) -> TwistedControlClient:
        self.begin()
        client = await connect(reactor, self.path, timeout=timeout)
        self.addCleanup(client.close)
        return client

    async def test_requests_may_overlap(self) -> None:
        """
        And pieces come to whom they belong.
        """
        client = await self.connected()
        pieces: list[Echoed] = []
        following, echoed = client.follow(Count(), pieces.append), client.ask(Echo("x"))
        self.assertEqual(((await echoed).text, (await following).text), ("x", "end"))
        self.assertEqual(len(pieces), 100)

    async def test_errors_are_those_of_the_blocking_client(self) -> None:
        """
        Refusals, silence, a lost connection.
        """
        client = await self.connected(timeout=0.2)
        await self.assertFailure(client.ask(Echo("miss")), NotFoundThere)
        await self.assertFailure(client.ask(Echo("x" * 1_100_000)), TooLarge)
        await self.assertFailure(client.ask(Echo("wait")), TimedOut)
        waiting = self.assertFailure(client.ask(Echo("wait")), ControlError)
        self.server.stop()
        self.assertIsInstance(await waiting, ConnectionLost)
        await self.assertFailure(client.ask(Echo()), ConnectionLost)

    async def test_what_is_cancelled_is_cancelled_there(self) -> None:
        """
        Pieces that nobody can use are no better.
        """
        client = await self.connected()

        def fail(piece: Echoed) -> None:
            raise Stopped

        waiting = client.ask(Echo("wait"))
        await client.ask(Echo())
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        await self.assertFailure(client.follow(Count(), fail), Stopped)
        await client.ask(Echo("after"))
        self.assertIn("cancelled", [used.result for used in self.used])

    async def test_where_nobody_is_it_is_said(self) -> None:
        """
        In the same words.
        """
        trouble = await self.assertFailure(Deferred.fromCoroutine(connect(reactor, self.path)), Unreachable)
        self.assertIn("does not exist", str(trouble))
        self.path += "x" * 200
        trouble = await self.assertFailure(Deferred.fromCoroutine(connect(reactor, self.path)), Unreachable)
        self.assertIn("107", str(trouble))


class Plain(amp.Command):
    """
    As somebody writes it who has Twisted's AMP and our documents.
    """

    commandName = b"Ask"  # noqa: N815  # so named by Twisted
    arguments: ClassVar = [(b"version", amp.Integer()), (b"verb", amp.Unicode()), (b"json", amp.String())]
    response: ClassVar = [(b"json", amp.String())]
    errors: ClassVar = {NotFound: b"NOT_FOUND"}


class AmpTests(ClientCase):
    """
    Twisted's own AMP.
    """

    async def test_it_is_understood(self) -> None:
        """
        Answers and errors.
        """
        self.begin()
        client: Any = await connectProtocol(UNIXClientEndpoint(reactor, self.path), amp.AMP())
        self.addCleanup(client.transport.loseConnection)
        answer = await client.callRemote(Plain, version=1, verb="test.echo", json=b'{"text": "hello"}')
        self.assertEqual(answer["json"], b'{"text":"hello"}')
        asking = client.callRemote(Plain, version=1, verb="test.echo", json=b'{"text": "miss"}')
        await self.assertFailure(asking, NotFound)
