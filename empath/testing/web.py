"""
Scripted HTTP servers in memory, for modules that ask one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


@attrs.frozen(slots=True)
class WebRequest:
    """
    One request: `query` has what is behind the "?", `headers` the fields by their names in lower case.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


WebReply = int | tuple[int, bytes] | None
"""
A status, or a status and a body; None: no answer, ever.
"""


Replying = Callable[[WebRequest], WebReply]
"""
Tells the answer to a request.
"""


class WebServer:
    """
    An HTTP server. `reply` is its answer to all requests, or tells it for each; `requests` are those that came.
    """

    def __init__(self, clock: Any, reply: WebReply | Replying) -> None:
        self.reply: WebReply | Replying = reply
        self.requests: list[WebRequest] = []
        self._served = WrappingFactory(Site(_Root(self), reactor=clock))

    def buildProtocol(self, addr: Any) -> Any:
        """
        Take a connection.
        """
        return self._served.buildProtocol(addr)

    def close(self) -> None:
        """
        Break all connections.
        """
        for connection in tuple(self._served.protocols):
            connection.loseConnection()

    def answer(self, request: WebRequest) -> WebReply:
        """
        Take note of a request, and tell the answer.
        """
        self.requests.append(request)
        return self.reply(request) if callable(self.reply) else self.reply


class _Root(Resource):
    isLeaf = True  # noqa: N815 Twisted names it

    def __init__(self, server: WebServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server

    def render(self, request: Any) -> Any:
        """
        Answer.
        """
        reply = self._server.answer(
            WebRequest(
                request.method.decode("ascii"),
                request.path.decode("ascii", "replace"),
                {name.decode("utf-8"): values[0].decode("utf-8") for name, values in request.args.items()},
                {
                    name.decode("ascii").lower(): values[0].decode("utf-8", "replace")
                    for name, values in request.requestHeaders.getAllRawHeaders()
                },
                request.content.read(),
            )
        )
        if reply is None:
            return NOT_DONE_YET
        code, body = reply if isinstance(reply, tuple) else (reply, b"")
        request.setResponseCode(code)
        return body
