"""
empath as twistd runs it, with a UNIX socket beside its configuration on which expressions come in that it evaluates.

`python controlled.py <configuration>`; the socket is `control.sock` in the same folder. A line of JSON is an expression
over `service`, and `Selection` and `Place` as names; its value, once it is no Deferred any more, goes back as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.scripts.twistd import run

import empath.service
from empath.policy.selection import Selection
from empath.queue.entry import Place

build = empath.service.build


class Control(LineOnlyReceiver):
    """
    One who asks.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20
    names: dict[str, Any] = {}  # noqa: RUF012  # of the one service in this process

    def lineReceived(self, line: bytes) -> None:
        """
        Evaluate it.
        """
        asking = Deferred.fromCoroutine(self._value(json.loads(line)))
        asking.addCallbacks(lambda value: {"value": value}, _trouble)
        asking.addCallback(lambda answer: self.sendLine(json.dumps(answer, default=str).encode()))

    async def _value(self, expression: str) -> Any:
        value = eval(expression, dict(self.names))  # from the test itself
        return await value if isinstance(value, Awaitable) else value


def _trouble(failure: Failure) -> dict[str, str]:
    return {"error": failure.getTraceback()}


def built(*args: Any, **kwargs: Any) -> Any:
    """
    Build the service, and open the socket.
    """
    service = build(*args, **kwargs)
    Control.names = {"service": service, "Selection": Selection, "Place": Place}
    socket = Path(sys.argv[-1]).with_name("control.sock")
    socket.unlink(missing_ok=True)
    reactor.listenUNIX(str(socket), Factory.forProtocol(Control))  # type: ignore[attr-defined]
    return service


if __name__ == "__main__":
    empath.service.build = built
    sys.argv = ["twistd", "-n", "empath", "--config", sys.argv[1]]
    run()
