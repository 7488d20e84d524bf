"""
Content that lies in a file, on its way to a server piece by piece: as fast as the server takes it and no faster.

Fatal: nothing. A spool that cannot be read ends the session before the final dot, so that no half message counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import SpoolError
from empath.interfaces import IBodyReader
from empath.mail.message import Message
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.net.writer import PromptWriter
from empath.smtp.client import ClientSession
from empath.smtp.client_events import Event, State

log = Logger()

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

    def begin(self, message: Message, reader: IBodyReader) -> None:
        """
        Send the header and all that `reader` gives, then the final dot; closes the reader in the end.
        """
        self._running = Deferred.fromCoroutine(self._send(message, reader))
        self._running.addErrback(_crashed)

    def stop(self) -> None:
        """
        Send no more: the transaction is over. Harmless at its regular end.
        """
        self._stopped = True
        self._drained()

    async def _send(self, message: Message, reader: IBodyReader) -> None:
        self._writer.begin_stream(self._drained)
        try:
            await self._send_pieces(message, reader)
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            self._give_up(self._session.abandon(UNREADABLE))
        except Exception:
            self._give_up(self._session.abandon(UNREADABLE))
            raise
        finally:
            reader.close()
            self._writer.end_stream()

    async def _send_pieces(self, message: Message, reader: IBodyReader) -> None:
        session, write = self._session, self._writer.write
        write(session.content(message.header))
        while piece := await reader.read():
            if self._over:
                return
            write(session.content(piece))
            self._progress()
            if self._writer.paused:
                self._room = Deferred()
                await self._room
        if not self._over:
            write(session.end_content())
            self._progress()

    @property
    def _over(self) -> bool:
        return self._stopped or self._session.state is not State.CONTENT

    def _drained(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)


def _crashed(failure: Failure) -> None:
    log.failure("a bug in streaming content", failure)
