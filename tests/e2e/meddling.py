"""
Somebody between empathctl and the control socket, who changes what is asked and cuts off what is answered.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from empath.control import protocol
from empath.control.boxes import Box, BoxReader, from_values, in_values, octets_of

Asked = Callable[[Box], Box]
"""
Makes of a request what is asked instead.
"""


def unchanged(box: Box) -> Box:
    """
    Ask it as it is.
    """
    return box


def of_version(version: int) -> Asked:
    """
    Ask in another version of the protocol.
    """
    return lambda box: box | {b"version": b"%d" % version}


def in_small_pages(box: Box) -> Box:
    """
    Ask for two rows at a time.
    """
    fields = json.loads(from_values(protocol.JSON, box) or b"{}") | {"limit": 2}
    kept = {key: value for key, value in box.items() if not key.startswith(protocol.JSON)}
    return kept | in_values(protocol.JSON, json.dumps(fields).encode())


class Meddler:
    """
    Listens at `path` for empathctl, asks at `server` what `asked` makes of its requests, passes on `whole` boxes of the
    server and half of the next, or `instead` of it, and hangs up.
    """

    def __init__(
        self, path: Path, server: Path, asked: Asked = unchanged, whole: int = 1000, instead: bytes = b""
    ) -> None:
        self._server = server
        self._asked = asked
        self._whole = whole
        self._instead = instead
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """
        Listen no more.
        """
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listening.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(str(self._server))
                with suppress(OSError):  # whoever hung up
                    self._between(client, server)

    def _between(self, client: socket.socket, server: socket.socket) -> None:
        from_client, from_server = BoxReader(protocol.MAX_REQUEST), BoxReader(protocol.MAX_RESPONSE)
        left = self._whole
        while True:
            ready, _, _ = select.select([client, server], [], [], 30)
            if client in ready:
                octets = client.recv(65536)
                if not octets:
                    return
                for box in from_client.feed(octets):
                    server.sendall(octets_of(self._asked(box)))
            if server in ready:
                for box in from_server.feed(server.recv(65536)):
                    octets = octets_of(box)
                    if left == 0:
                        client.sendall(self._instead or octets[: len(octets) // 2])
                        return
                    client.sendall(octets)
                    left -= 1
