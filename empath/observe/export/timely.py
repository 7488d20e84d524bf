"""
HTTP connections that give up a request that is not over in time, however busy they are kept until then. This module
needs `requests`: it is imported only where something is exported.

Timeouts of sockets begin anew with each octet: whoever says one every now and then would hold a thread for days.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Timely(HTTPAdapter):
    """
    Makes requests whose content is sent, and which are answered, within so many seconds.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """
        Have connections that know of the time.
        """
        super().init_poolmanager(*arguments, **options)
        plain = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": _timely(HTTPConnection, self._seconds)})
        secured = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": _timely(HTTPSConnection, self._seconds)})
        self.poolmanager.pool_classes_by_scheme = {"http": plain, "https": secured}


def _timely(kind: Any, seconds: float) -> Any:
    class Connection(kind):  # type: ignore[misc]
        def request(self, *arguments: Any, **options: Any) -> None:
            self._until = time.monotonic() + seconds
            super().request(*arguments, **options)

        def send(self, octets: Any) -> None:
            if self.sock is not None:
                self.sock.settimeout(_left(self._until))
            super().send(octets)

        def response_class(self, sock: Any, *arguments: Any, **options: Any) -> HTTPResponse:
            return HTTPResponse(_Answering(sock, self._until), *arguments, **options)  # type: ignore[arg-type]

    return Connection


class _Answering:
    """
    A socket that an answer is read from.
    """

    def __init__(self, sock: Any, until: float) -> None:
        self._sock, self._until = sock, until

    def makefile(self, mode: str) -> io.BufferedReader:
        """
        Give what is read.
        """
        return io.BufferedReader(_Octets(self._sock, self._until))


class _Octets(io.RawIOBase):
    def __init__(self, sock: Any, until: float) -> None:
        self._sock, self._until = sock, until
        self._octets = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int | None:
        self._sock.settimeout(_left(self._until))
        count: int | None = self._octets.readinto(room)
        return count

    def close(self) -> None:
        self._octets.close()
        super().close()


def _left(until: float) -> float:
    """
    Tell how many seconds are left; TimeoutError if none are.
    """
    left = until - time.monotonic()
    if left <= 0.0:
        raise TimeoutError
    return left
