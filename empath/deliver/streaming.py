"""
Content on its way to a server piece by piece, from a file or in chunks: as fast as the server takes it and no faster.

Fatal: nothing. A spool that cannot be read ends the session before the final dot, so that no half message counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.interfaces import IBodyReader
from empath.mail.message import Message
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.net.held_body import HeldBody
from empath.net.writer import PromptWriter
from empath.smtp.client import ClientSession
from empath.smtp.client_events import Event, State

log = Logger()

OpenBody = Callable[[Message], IBodyReader]

UNREADABLE: Final = TransientFailure(Reply(451, "4.3.0", ("the stored content cannot be read",)), Scope.MESSAGE)


class Streaming:
    """
    One message's content; `progress` is told of every piece and the final dot, `give_up` of events of an early end.
    """

    def __init__(
        self,
        session: ClientSession,
        writer: PromptWriter,
        progress: Callable[[], None],
        give_up: Callable[[list[Event]], None],
    ) -> None:
        self._session = session
        self._writer = writer
        self._progress = progress
        self._give_up = give_up
        self._room: Deferred[None] | None = None
        self._running: Deferred[None] | None = None
        self._stopped = False
        self._registered = False

    def begin(self, message: Message, open_body: OpenBody) -> None:
        """
        Send header and body, which `open_body` reads if it is not in memory, to the final dot or the last chunk.
        """
        reader = open_body(message) if message.body is None else HeldBody(message.body)
        self._writer.begin_stream(self.go_on)
        self._registered = True
        self._running = Deferred.fromCoroutine(self._run(message, reader))

    def stop(self) -> None:
        """
        Send no more: the transaction is over. Harmless at its regular end.
        """
        self._stopped = True
        self._let_go()
        self.go_on()

    def go_on(self) -> None:
        """
        There is room again, in the transport or for a chunk.
        """
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    async def _run(self, message: Message, reader: IBodyReader) -> None:
        try:
            await self._send(message, reader)
        except Exception:
            log.failure("{queue_id}: a bug in streaming content", queue_id=message.queue_id)

    async def _send(self, message: Message, reader: IBodyReader) -> None:
        try:
            if self._session.chunked:
                await self._send_chunks(message, reader)
            else:
                await self._send_pieces(message, reader)
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            self._abandon()
        except Exception:
            self._abandon()
            raise
        finally:
            reader.close()
            self._let_go()

    def _abandon(self) -> None:
        """
        End the session in the middle of the content; one that goes on without this message is left alone.
        """
        if not self._stopped:
            self._give_up(self._session.abandon(UNREADABLE))

    async def _send_pieces(self, message: Message, reader: IBodyReader) -> None:
        """
        Send up to the final dot, which content of another size than was declared does not get.
        """
        session, write = self._session, self._writer.write
        write(session.content(message.header))
        left = message.size - len(message.header)
        while piece := await reader.read():
            if self._over:
                return
            left -= len(piece)
            write(session.content(piece))
            self._progress()
            if self._writer.paused:
                self._room = Deferred()
                await self._room
        if not self._over:
            if left:
                raise SpoolError("content is not of the size that it was")
            write(session.end_content())
            self._progress()

    async def _send_chunks(self, message: Message, reader: IBodyReader) -> None:
        """
        Send what the session announces the length of. A spool that gives more or less than the message's size must not
        make a message of it: the last chunk is not begun before the end of the content was seen.
        """
        held = message.header
        while piece := await reader.read():
            if self._over:
                return
            if len(held) >= self._session.left:
                raise SpoolError("content is larger than it was")
            await self._give(held)
            held = piece
        if not self._over:
            if len(held) != self._session.left:
                raise SpoolError("content is smaller than it was")
            await self._give(held)

    async def _give(self, content: bytes) -> None:
        """
        Give content to chunks as there is room for it.
        """
        session, sent = self._session, 0
        while sent < len(content) and not self._over:
            room = session.room
            if self._writer.paused or not room:
                self._room = Deferred()
                await self._room
            else:
                self._writer.write(session.content(content[sent : sent + room]))
                sent += room
                self._progress()

    @property
    def _over(self) -> bool:
        return self._stopped or self._session.state not in (State.CONTENT, State.BDAT)

    def _let_go(self) -> None:
        if self._registered:
            self._registered = False
            self._writer.end_stream()
