"""
Requirements on listeners that are lost while the service runs.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent

from empath.config.schema import Listener
from empath.config.units import EndpointText
from empath.receive.listeners import Reception
from tests.receive.real_sockets import RealSockets
from tests.receive.support import World, changed


class MendingTests(RealSockets):
    """
    One listener each on TCP and on a UNIX socket.
    """

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/smtp.sock"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        endpoints = (f"tcp:{self.port}:interface=127.0.0.1", f"unix:{self.path}")
        listeners = tuple(Listener(endpoint=EndpointText(each)) for each in endpoints)
        self.reception = Reception(self.reactor, changed(listeners=listeners), World().around, 30)
        self.reception.bind()
        self.reception.start()
        self.addCleanup(lambda: ensureDeferred(self.reception.stop()))

    def turn(self) -> Deferred[None]:
        """
        Let the reactor see what happened.
        """
        return deferLater(self.reactor, 0.02, lambda: None)

    def lose(self) -> None:
        """
        End the listener on TCP behind everybody's back.
        """
        found = getattr(self.reception.ports[0], "socket", None)
        assert isinstance(found, socket.socket)
        found.shutdown(socket.SHUT_RDWR)

    def can_connect(self, family: int) -> bool:
        """
        Tell whether the kernel takes a connection.
        """
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            return client.connect_ex(("127.0.0.1", self.port) if family == socket.AF_INET else self.path) == 0

    async def mended(self, family: int) -> list[str]:
        """
        Have what was lost mended; tells what was logged.
        """
        self.assertFalse(self.reception.listening)
        with capturedLogs() as logged:
            for _ in range(3):
                await self.turn()
                await self.reception.mend()
        self.assertTrue(self.reception.listening)
        self.assertTrue(await self.serve(lambda: self.can_connect(family)))
        return [_said(event) for event in logged if event["log_namespace"].startswith("empath")]

    async def test_a_lost_port_is_noticed_at_once_and_bound_again(self) -> None:
        self.lose()
        said = await self.mended(socket.AF_INET)
        self.assertEqual(said, [f"tcp:{self.port}:interface=127.0.0.1 was lost, and is bound again"])

    async def test_so_is_one_whose_file_was_removed(self) -> None:
        os.unlink(self.path)
        said = await self.mended(socket.AF_UNIX)
        self.assertEqual(said, [f"unix:{self.path} was lost, and is bound again"])

    async def test_a_descriptor_that_was_closed_or_is_something_else_now_is_noticed(self) -> None:
        port = self.reception.ports[0]
        number, pair = port.fileno(), socket.socketpair()  # type: ignore[attr-defined]  # a FileDescriptor
        kept = os.dup(number)
        try:
            os.dup2(pair[0].fileno(), number)
            self.assertFalse(self.reception.listening)
        finally:
            os.dup2(kept, number)
            os.close(kept)
            for each in pair:
                each.close()
        self.assertTrue(self.reception.listening)

    async def test_one_that_cannot_be_bound_again_is_said_once_and_tried_until_it_can(self) -> None:
        self.lose()
        await self.turn()
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", self.port))
            thief.listen()
            with capturedLogs() as logged:
                for _ in range(3):
                    await self.reception.mend()
                    await self.turn()
            self.assertFalse(self.reception.listening)
        errors = [_said(event) for event in logged if event["log_level"] is LogLevel.error]
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("cannot be bound again", errors[0])
        await self.reception.mend()
        self.assertTrue(self.reception.listening)

    async def test_what_was_stopped_stays_so(self) -> None:
        await self.reception.stop_listening()
        await self.reception.mend()
        self.assertEqual(self.reception.ports, [])


def _said(event: LogEvent) -> str:
    return formatEvent(event)
