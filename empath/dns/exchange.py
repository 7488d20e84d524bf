"""
One try: a question put to one server, over UDP and, where the answer does not fit, over TCP, within one time-out.

No server can make it fail: what goes wrong is a reading. Strays (wrong source, id or question) are ignored; after many
of them someone is guessing, and the question goes over TCP where guessing does not help.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime

from empath.dns.datagrams import Datagrams, OpenDatagrams
from empath.dns.question import Manner, Question, query
from empath.dns.reading import read
from empath.dns.servers import Server
from empath.dns.streams import OpenStream, ask_by_stream
from empath.dns.told import Alias, Cut, Heard, NotUnderstood, Reading, Silent, Useless

MAX_STRAYS: Final = 32

Reader = Callable[[bytes], Reading | None]
Told = Heard | Alias | Useless | Silent
"""
How a try ends.
"""


class Exchange:
    """
    Puts questions to servers; `last_answer` is when any server last answered anything, in the clock's seconds.
    """

    def __init__(
        self, clock: IReactorTime, chance: random.Random, datagrams: OpenDatagrams, streams: OpenStream
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._datagrams = datagrams
        self._streams = streams
        self.last_answer = 0.0

    async def ask(self, server: Server, question: Question, manner: Manner, timeout: float) -> Told:
        """
        Ask once; tells within `timeout` seconds.
        """
        told = Deferred.fromCoroutine(self._ask(server, question, manner))
        try:
            return await told.addTimeout(timeout, self._clock)
        except TimeoutError:
            return Silent("timeout", f"{server} did not answer within {timeout:g} s")

    async def _ask(self, server: Server, question: Question, manner: Manner) -> Told:
        reading = await self._by_datagram(server, question, manner)
        if isinstance(reading, NotUnderstood) and manner.plainer != manner:
            manner = manner.plainer
            reading = await self._by_datagram(server, question, manner)
        if isinstance(reading, Cut):
            reading = await self._by_stream(server, question, manner)
        match reading:
            case Useless(kind, why):
                return Useless(kind, f"{server} {why}")
            case NotUnderstood():
                return Useless("formerr", f"{server} does not understand the question")
            case Cut():
                return Useless("malformed", f"{server} sent a cut answer over TCP")
            case _:
                return reading

    def _prepare(self, question: Question, manner: Manner) -> tuple[bytes, Reader]:
        ident = self._chance.getrandbits(16)

        def reader(wire: bytes) -> Reading | None:
            reading = read(wire, ident, question)
            if reading is not None:
                self.last_answer = self._clock.seconds()
            return reading

        return query(question, ident, manner), reader

    async def _by_datagram(self, server: Server, question: Question, manner: Manner) -> Reading | Silent:
        wire, reader = self._prepare(question, manner)
        wait = _Wait(server, reader)
        try:
            wait.socket = self._datagrams(server, wait)
        except OSError as trouble:
            return Silent("network", f"{server}: {trouble.strerror or type(trouble).__name__}")
        try:
            wait.socket.send(wire)
            return await wait.over
        finally:
            wait.socket.close()

    async def _by_stream(self, server: Server, question: Question, manner: Manner) -> Reading | Silent:
        wire, reader = self._prepare(question, manner)
        try:
            reading = reader(await ask_by_stream(self._streams(server), wire))
        except (ConnectError, ConnectionClosed) as trouble:
            return Silent("network", f"{server} over TCP: {type(trouble).__name__}")
        return reading or Useless("malformed", "answered another question over TCP")


class _Wait:
    """
    The wait for the one datagram that answers.
    """

    __slots__ = ("_reader", "_server", "_strays", "over", "socket")

    def __init__(self, server: Server, reader: Reader) -> None:
        self._server = server
        self._reader = reader
        self._strays = 0
        self.over: Deferred[Reading | Silent] = Deferred()
        self.socket: Datagrams

    def received(self, datagram: bytes, address: str, port: int) -> None:
        if self.over.called:
            return
        ours = (address.partition("%")[0], port) == (self._server.address, self._server.port)
        reading = self._reader(datagram) if ours else None
        if reading is not None:
            self.over.callback(reading)
            return
        self._strays += 1
        if self._strays > MAX_STRAYS:
            self.over.callback(Cut())

    def barred(self, why: str) -> None:
        if not self.over.called:
            self.over.callback(Silent("network", f"{self._server}: {why}"))
