"""
A server that takes so many messages a second and answers 421 to the rest.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

GREETING: Final = b"220 sink.test ESMTP\r\n"
OFFER: Final = b"250-sink.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
TOO_FAST: Final = b"421 4.7.0 sink.test you are sending too fast, slow down\r\n"


class RatedSink:
    """
    Listens on a free port of 127.0.0.1. `limit` messages a second are taken, and `burst` at once; None: all.

    `taken` and `refused` are the times (time.monotonic) of messages that were taken and of those that were answered
    421, at MAIL; the connection is closed then, as RFC 5321 §3.8 has it.
    """

    def __init__(self, limit: float | None, burst: float) -> None:
        self.limit = limit
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.connections = 0
        self.port = 0
        self._burst = self._level = burst
        self._then = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """
        Listen.
        """
        self._thread.start()
        if not self._listening.wait(10.0):
            raise AssertionError("the sink does not listen")

    def stop(self) -> None:
        """
        Close everything.
        """
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            writer.write(GREETING)
            while (line := await reader.readline()) and await self._answered(line, reader, writer):
                pass
        except OSError:
            pass
        finally:
            writer.close()

    async def _answered(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """
        Answer a command; False if the session is over.
        """
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(OFFER)
        elif verb == b"MAIL" and not self._takes():
            writer.write(TOO_FAST)
            await writer.drain()
            return False
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            self.taken.append(time.monotonic())
            writer.write(b"250 2.0.0 Ok\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 2.0.0 Bye\r\n")
            return False
        else:
            writer.write(b"250 2.0.0 Ok\r\n")
        return True

    def _takes(self) -> bool:
        now = time.monotonic()
        limit = self.limit
        if limit is None:
            return True
        self._level = min(self._burst, self._level + (now - self._then) * limit)
        self._then = now
        if self._level < 1.0:
            self.refused.append(now)
            return False
        self._level -= 1.0
        return True
