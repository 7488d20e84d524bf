"""
What a web server answered, and how long it may take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

LARGEST: Final = 64 * 1024  # octets of a body that are kept


@attrs.frozen(slots=True)
class Patience:
    """
    Seconds for each address to connect to, for the server to take a piece of the request, and for its answer.
    """

    connect: float = 10.0
    piece: float = 60.0
    answer: float = 60.0


@attrs.frozen(slots=True)
class WebAnswer:
    """
    What came of a request: the status `code`, the fields (names in lower case, of each the first) and the `body`, which
    is cut at LARGEST octets, and may be cut where the connection was lost: then it is not `whole`.

    Where there was no answer `code` is 0 and `trouble` says why; `doubtful` then tells that the server may have got the
    whole request. `address` is the server's, "" where none was reached.
    """

    code: int = 0
    fields: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    whole: bool = True
    trouble: str = ""
    doubtful: bool = False
    address: str = ""

    @property
    def media_type(self) -> str:
        """
        What the body is, "application/json"; "" if that is not told.
        """
        return self.fields.get("content-type", "").partition(";")[0].strip(" \t").lower()


class GivenUp(CancelledError):
    """
    A request that was cancelled; `doubtful` tells that the server may have got the whole of it.
    """

    def __init__(self, doubtful: bool) -> None:
        super().__init__()
        self.doubtful = doubtful


def fields_of(response: Any) -> dict[str, str]:
    """
    Read the fields of a response.
    """
    return {
        name.decode("latin-1").lower(): values[0].decode("latin-1")
        for name, values in response.headers.getAllRawHeaders()
        if values
    }


class Reading(Protocol):
    """
    Reads the body of a response; `told` fires with what came of it, and whether that is all, at its end or when there
    is too much of it. `cut` breaks the connection.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self.told: Deferred[tuple[bytes, bool]] = Deferred(lambda _: self.end())
        self._pieces: list[bytes] = []
        self._room = LARGEST

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a piece, as far as there is room.
        """
        self._pieces.append(data[: self._room])
        self._room -= len(data)
        if self._room < 0:
            self._room = 0
            self.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all, unless a length or a last chunk was promised, and did not come.
        """
        self._finish(reason.check(ResponseDone, PotentialDataLoss) is not None)

    def end(self) -> None:
        """
        Read no more, and break the connection.
        """
        self._cut()
        self._finish(False)

    def _finish(self, whole: bool) -> None:
        if not self.told.called:
            self.told.callback((b"".join(self._pieces), whole))
