"""
Scripted peers of the test kit on real ports: served by a reactor of their own, in a thread beside the test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.epollreactor import EPollReactor

from empath.testing import MockMessage, MockServer, MockSmtpServer


class MockPeer:
    """
    One server; it behaves as its builder says from `start` to `stop`.
    """

    def __init__(self, builder: MockSmtpServer | None = None) -> None:
        self.server: MockServer = (builder or MockSmtpServer()).build()
        self._reactor: Any = EPollReactor()
        self._thread = threading.Thread(target=self._reactor.run, args=(False,), daemon=True)

    def start(self, address: str, port: int) -> None:
        """
        Listen, then serve; OSError if the port is taken.
        """
        self.server.listen(self._reactor, port, address)
        self._thread.start()

    def stop(self) -> None:
        """
        Cut all sessions and end.
        """
        self._there(self._end)
        self._thread.join(10.0)

    def behave(self, builder: MockSmtpServer | None = None) -> None:
        """
        Behave otherwise, None: as usual.
        """
        self._there(lambda: self.server.behave(builder))

    def arrived(self, recipient: str) -> list[MockMessage]:
        """
        The messages that name a recipient.
        """
        return [message for message in list(self.server.messages) if recipient in message.recipients]

    def _there(self, call: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            call()
            done.set()

        self._reactor.callFromThread(run)
        done.wait(10.0)

    def _end(self) -> None:
        self.server.close()
        self._reactor.stop()
