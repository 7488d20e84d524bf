"""
Writing to a peer without waiting for the reactor's next turn (hot-path rule P3).

Fatal: nothing. Trouble with the socket is left for the transport to find, which ends the connection in its own way.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IConsumer, ITransport


@implementer(IPullProducer, IPushProducer)
class PromptWriter:
    """
    Sends straight to the socket while the transport holds nothing back, and through the transport otherwise.

    Between `begin_stream` and `end_stream` everything goes through the transport, `paused` tells that it holds enough
    for now and `drained` is called when it wants more. Call `secured` once TLS has begun.
    """

    __slots__ = ("_drained", "_registering", "_socket", "_streaming", "_transport", "_waiting", "paused")

    def __init__(self, transport: ITransport) -> None:
        self._transport = cast("IConsumer", transport)  # Twisted's transports are both
        self._socket = _plain_socket(transport)
        self._waiting = False
        self._registering = False
        self._streaming = False
        self._drained: Callable[[], None] | None = None
        self.paused = False

    def write(self, data: bytes) -> None:
        """
        Send `data` after everything written before.
        """
        if self._socket is None or self._waiting or self._streaming:
            self._transport.write(data)
            return
        try:
            sent = self._socket.send(data)
        except OSError:  # full (BlockingIOError) or broken: the transport deals with both
            sent = 0
        if sent < len(data):
            self._transport.write(data[sent:])
            self._wait()

    @property
    def direct(self) -> bool:
        """
        Whether the next byte goes straight to the socket.
        """
        return not (self._socket is None or self._waiting or self._streaming)

    def secured(self, transport: ITransport | None = None) -> None:
        """
        TLS has begun: from now on every byte goes through the transport, or the one that has taken its place.
        """
        self._socket = None
        if transport is not None:
            self._transport = cast("IConsumer", transport)

    def begin_stream(self, drained: Callable[[], None]) -> None:
        """
        Begin a long run of writes; `drained` is called each time `paused` becomes false again.
        """
        self._settle()
        self._streaming = True
        self._drained = drained
        self._transport.registerProducer(self, True)

    def end_stream(self) -> None:
        """
        End the run; harmless when none is under way.
        """
        if not self._streaming:
            return
        self._streaming = False
        self._drained = None
        self.paused = False
        self._transport.unregisterProducer()
        if self._socket is not None:
            self._wait()

    def _settle(self) -> None:
        """
        Wait for the transport no more.
        """
        if self._waiting:
            self._waiting = False
            self._transport.unregisterProducer()

    def _wait(self) -> None:
        """
        Leave the socket to the transport until it has sent what it holds; only a pull producer is told of that.
        """
        self._waiting = self._registering = True
        self._transport.registerProducer(self, False)
        self._registering = False

    def resumeProducing(self) -> None:
        """
        The transport has sent all it held (or, in a stream, wants more).
        """
        if self._registering:  # Twisted asks a pull producer once at its registration
            return
        if self._streaming:
            self.paused = False
            if self._drained is not None:
                self._drained()
        else:
            self._settle()

    def pauseProducing(self) -> None:
        """
        The transport holds enough.
        """
        self.paused = True

    def stopProducing(self) -> None:
        """
        The connection is gone: its protocol is told by `connectionLost`.
        """


def _plain_socket(transport: ITransport) -> socket.socket | None:
    """
    Give the transport's socket if bytes may be sent to it directly: not where TLS or a wrapper lies between.
    """
    handle = getattr(transport, "getHandle", lambda: None)()
    if isinstance(handle, socket.socket) and not getattr(transport, "TLS", False):
        return handle
    return None
