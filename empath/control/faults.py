"""
What a client can meet: each says what to do next.
"""

from __future__ import annotations

from typing import Final

from empath.control.protocol import Code
from empath.errors import EmpathError


class ControlError(EmpathError):
    """
    A request was not answered; `problems` says why, in one sentence each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Unreachable(ControlError):
    """
    Nobody answers at the socket.
    """


class NotPermitted(ControlError):
    """
    We may not use the socket, or our token is not known.
    """


class WrongVersion(ControlError):
    """
    The server speaks another version of the protocol.
    """


class RefusedByServer(ControlError):
    """
    What was asked cannot be done.
    """


class NotFoundThere(RefusedByServer):
    """
    What was asked about is not there.
    """


class TooLarge(RefusedByServer):
    """
    The request or its answer is larger than may be sent.
    """


class ServerFault(ControlError):
    """
    The server made a mistake; its log tells more.
    """


class TimedOut(ControlError):
    """
    No answer came in time; what was asked may have been done.
    """


class ConnectionLost(ControlError):
    """
    The connection ended before the answer; what was asked may have been done.
    """


_BY_CODE: Final[dict[bytes, type[ControlError]]] = {
    Code.WRONG_VERSION.value: WrongVersion,
    Code.NOT_ALLOWED.value: NotPermitted,
    Code.REFUSED.value: RefusedByServer,
    Code.NOT_FOUND.value: NotFoundThere,
    Code.TOO_LARGE.value: TooLarge,
    Code.TIMED_OUT.value: TimedOut,
    Code.BUSY.value: RefusedByServer,
    Code.CANCELLED.value: ConnectionLost,
    Code.MALFORMED.value: ServerFault,
    Code.FAULT.value: ServerFault,
    b"UNHANDLED": WrongVersion,  # what AMP says to a command that it does not know
}


def fault_of(code: bytes, description: bytes) -> ControlError:
    """
    Make the error that a server told.
    """
    problems = tuple(description.decode("utf-8", "replace").split("\n"))
    return _BY_CODE.get(code, ServerFault)(*problems)
