"""
One request to a web server: made, waited for, and given up in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from empath.net.deadline import Deadline
from empath.net.web_answer import GivenUp, Patience, Reading, WebAnswer, fields_of
from empath.net.web_body import Body, Produced
from empath.net.web_line import TROUBLE, Line


class Asking:
    """
    One try of a request: by `line`, or on a connection of `pool` that is kept; `connected` is told of the connection.
    Twisted's client takes this for the pool.
    """

    def __init__(
        self,
        clock: IReactorTime,
        pool: HTTPConnectionPool,
        line: Line,
        patience: Patience,
        connected: Callable[[Any], None],
    ) -> None:
        self.persistent = pool.persistent
        self._clock = clock
        self._pool = pool
        self._line = line
        self._patience = patience
        self._told = connected
        self._body: Produced | None = None
        self._connection: Any = None
        self._address = ""
        self._waited: Deferred[Any] | None = None
        self._late = ""
        self._wordless = False
        self._deadline = Deadline(clock, self._give_up)

    @property
    def stale(self) -> bool:
        """
        Whether the connection was a kept one which ended without a word: its server had closed it.
        """
        return self._wordless and not self._line.connected

    async def ask(self, method: str, url: str, fields: Headers, body: Body | None) -> WebAnswer:
        """
        Make the request, and tell what came of it.
        """
        if body is not None:
            self._body = Produced(body, self._progress)
        agent: Any = Agent.usingEndpointFactory(self._clock, self._line, self)
        try:
            self._waited = agent.request(method.encode("ascii"), url.encode("ascii"), fields, self._body)
            return await self._heard(await self._waited)
        except RequestGenerationFailed as failure:
            return self._late_or_raise(failure)
        except TROUBLE as trouble:
            self._wordless = isinstance(trouble, (ResponseNeverReceived, RequestTransmissionFailed))
            return self._none(self._late or self._said(trouble))
        except (CancelledError, ConnectingCancelledError) as cancelled:
            if not self._late:
                raise GivenUp(self._in_doubt) from cancelled
            return self._none(self._late)
        finally:
            self._deadline.stop()
            self._let_go()

    async def _heard(self, response: Any) -> WebAnswer:
        """
        Read the body of an answer; what is none, or thanks for half a request, counts as no answer.
        """
        self._deadline.set(self._patience.answer)
        reading = Reading(self._cut)
        self._waited = reading.told
        response.deliverBody(reading)
        content, whole = await reading.told
        if not 100 <= response.code <= 999:
            return self._none(f"it answered with the status {response.code}, which is none")
        if response.code // 100 == 2 and self._body is not None and not self._body.finished:
            return self._none(f"it answered {response.code} before it had the whole request")
        return WebAnswer(response.code, fields_of(response), content, whole, address=self._address)

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        """
        Give a connection, kept or new.
        """
        connecting: Deferred[Any] = self._pool.getConnection(key, endpoint)
        return connecting.addCallback(self._connected)

    def _connected(self, connection: Any) -> Any:
        self._connection = connection
        self._told(connection)
        self._address = getattr(connection.transport.getPeer(), "host", "")
        self._progress()
        return connection

    def _progress(self) -> None:
        """
        Something went out: wait for the server to take the rest of it, or to answer.
        """
        whole = self._body is None or self._body.finished
        self._deadline.set(self._patience.answer if whole else self._patience.piece)

    def _give_up(self) -> None:
        whole = self._body is None or self._body.finished
        seconds = self._patience.answer if whole else self._patience.piece
        self._late = f"no answer within {seconds:g} s" if whole else f"it took nothing for {seconds:g} s"
        if self._waited is not None:
            self._waited.cancel()

    def _said(self, trouble: Exception) -> str:
        try:
            return self._line.trouble(trouble)
        except CancelledError as cancelled:
            raise GivenUp(self._in_doubt) from cancelled

    def _none(self, trouble: str) -> WebAnswer:
        """
        Say why there is no answer.
        """
        return WebAnswer(trouble=trouble, doubtful=self._in_doubt, address=self._address)

    @property
    def _in_doubt(self) -> bool:
        """
        Whether the server may have the whole request.
        """
        went = self._connection is not None and (self._line.ready or not self._line.connected)
        return went and (self._body is None or self._body.finished)

    def _late_or_raise(self, failure: RequestGenerationFailed) -> WebAnswer:
        """
        The body was not written to its end: for the time that it took, or for what its reader failed with.
        """
        if self._late:
            return self._none(self._late)
        if failure.reasons[0].check(CancelledError):
            raise GivenUp(self._in_doubt) from failure
        failure.reasons[0].raiseException()
        raise failure

    def _let_go(self) -> None:
        """
        Break a connection on which the body is still on its way: the server did not wait for the end of it.
        """
        if self._body is not None and self._connection is not None and not self._body.finished:
            self._body.stopProducing()
            self._cut()

    def _cut(self) -> None:
        transport = self._connection.transport
        if transport is not None:
            transport.abortConnection()
