"""
A small SMTP server that keeps every transaction byte for byte, and misbehaves as it is told.

Plain sockets and threads, nothing of empath's: what it stores is evidence. The bytes of a message are kept as they
came, only freed of dot-stuffing and of the final dot.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.e2e.scripted import Script
from tests.e2e.storing_session import Done, Options, Place, Session, Stored


class StoringSmtpServer:
    """
    Listens on `address`:`port` from `start` to `stop`; may be started again and keeps what it has stored.
    """

    def __init__(self, address: str, port: int, options: Options | None = None) -> None:
        self.address = address
        self.port = port
        self.options = options or Options()
        self.script = Script()
        self.stored: list[Stored] = []
        self.commands: list[bytes] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """
        Bind and serve.
        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.address, self.port))
        listener.listen(1024)
        self.stopped = threading.Event()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener, self.stopped), daemon=True).start()

    def stop(self) -> None:
        """
        Refuse new connections and break the open ones; harmless when repeated.
        """
        self.stopped.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def arrived(self, recipient: str) -> list[Stored]:
        """
        All transactions that named `recipient`.
        """
        return [each for each in list(self.stored) if recipient in each.recipients]

    def open_sessions(self) -> int:
        """
        Count the connections that are being served.
        """
        with self._lock:
            return len(self._open)

    def keep(self, stored: Stored) -> None:
        """
        Add a transaction; called by the server's own sessions.
        """
        with self._lock:
            self.stored.append(stored)

    def session(self, place: Place, connection: socket.socket, stopped: threading.Event) -> Session:
        """
        Make what serves one connection; a server that behaves otherwise makes another one.
        """
        return Session(place, connection, stopped)

    def _accept(self, listener: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, stopped), daemon=True).start()

    def _serve(self, connection: socket.socket, stopped: threading.Event) -> None:
        place = Place(self.options, self.script, self.commands, self.keep)
        try:
            self.session(place, connection, stopped).run()
        except (OSError, Done, ValueError):  # the client left, or the script said so
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            with contextlib.suppress(OSError):
                connection.close()
