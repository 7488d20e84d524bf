"""
The control server: who may ask, what can be asked, and the account that is given of each request.

Nothing here is fatal: trouble with a connection ends that connection, trouble with a request is told to who asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from empath.control import protocol
from empath.control.connection import Connection
from empath.control.peers import name_of
from empath.control.protocol import Asked, Code
from empath.control.running import Understood, Wrong
from empath.control.serving import Answer, Answers, Caller
from empath.control.telling import Outcome, arguments_of
from empath.control.terms.asking import Ask
from empath.control.tokens import Tokens
from empath.interfaces import InThread
from empath.mail.life import Emit
from empath.mail.life_safety import ControlUsed

log = Logger()

MAX_CONNECTIONS: Final = 64
WRONG_TOKEN_DELAY: Final = 1.0  # seconds between two answers to wrong tokens, whoever sends them
MAX_WRONG_TOKEN_DELAY: Final = 10.0
MAX_UNREAD: Final = 64_000_000  # octets of answers, of all connections, that peers have asked for and do not read
NAME_PATIENCE: Final = 2.0  # seconds in which a user's name has to be found, else there is none


@attrs.frozen(slots=True, eq=False)
class Verbs:
    """
    What can be asked, by verb.
    """

    known: dict[str, tuple[type[Ask[Any]], Answer]]

    @classmethod
    def of(cls, tables: Iterable[Answers]) -> Verbs:
        """
        Lay the tables of all parts together; ValueError for a verb that two answer.
        """
        known: dict[str, tuple[type[Ask[Any]], Answer]] = {}
        for table in tables:
            for kind, answer in table.items():
                if kind.verb in known:
                    raise ValueError(f"{kind.verb} is answered twice")
                known[kind.verb] = (kind, answer)
        return cls(known)

    def understand(self, asked: Asked, version: str) -> Understood:
        """
        Read a request; raises Wrong if there is no answer to it. `version` is empath's own.
        """
        if asked.verb not in self.known:
            raise Wrong(Code.REFUSED, f"empath {version} does not know the verb {asked.verb[:80]!r}")
        kind, answer = self.known[asked.verb]
        try:
            return Understood(protocol.decoded_whole(asked.json, kind), answer)
        except (ValueError, RecursionError) as trouble:
            raise Wrong(Code.REFUSED, f"{asked.verb}: {trouble}") from trouble


class ControlServer(Factory):
    """
    Answers what `verbs` know. `busy` tells why a request cannot be answered now, "" if it can; `in_thread` looks up
    users' names.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        tokens: Tokens,
        emit: Emit,
        in_thread: InThread[Any],
        version: str,
        busy: Callable[[Ask[Any]], str] = lambda request: "",
    ) -> None:
        self.clock = clock
        self.tokens = tokens
        self.verbs = Verbs.of([])
        self.version = version
        self.busy = busy
        self._emit = emit
        self._in_thread = in_thread
        self._names: dict[int, str] = {}
        self._connections: set[Connection] = set()
        self._next_wrong = 0.0
        self._faults = 0

    def serve(self, tables: Iterable[Answers]) -> None:
        """
        Answer what these tables know; ValueError for a verb that is in two of them.
        """
        self.verbs = Verbs.of(tables)

    def buildProtocol(self, addr: IAddress | None = None) -> Connection | None:
        """
        Take a connection. One that is too many hears so, as long as it is not the double of that.
        """
        if len(self._connections) >= 2 * MAX_CONNECTIONS:
            return None
        surplus = len(self._connections) >= MAX_CONNECTIONS
        return Connection(self, f"there are {MAX_CONNECTIONS} control connections already" if surplus else "")

    def opened(self, connection: Connection) -> None:
        """
        A connection is there.
        """
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """
        A connection is gone.
        """
        self._connections.discard(connection)

    @property
    def connections(self) -> int:
        """
        How many connections there are.
        """
        return len(self._connections)

    def unread(self) -> None:
        """
        Bound what is kept for peers that do not read: who lets most of it lie is given up.
        """
        kept = sum(connection.unread for connection in self._connections)
        if kept > MAX_UNREAD:
            max(self._connections, key=lambda connection: connection.unread).give_up("does not read what it asked for")

    def stop(self) -> None:
        """
        End all requests and connections.
        """
        for connection in tuple(self._connections):
            connection.close()

    def check_version(self, asked: Asked) -> None:
        """
        Raise Wrong for a request of another protocol.
        """
        if asked.version != b"%d" % protocol.VERSION:
            theirs = asked.version[:20].decode("ascii", "backslashreplace") or "none"
            raise Wrong(
                Code.WRONG_VERSION,
                f"empath {self.version} here speaks version {protocol.VERSION} of the control protocol, and the "
                f"request is of version {theirs}: use the empathctl, or the Python client, of empath {self.version}",
            )

    def understand(self, asked: Asked) -> Understood:
        """
        Read a request; raises Wrong if there is no answer to it, now or ever.
        """
        understood = self.verbs.understand(asked, self.version)
        reason = self.busy(understood.request)
        if reason:
            raise Wrong(Code.REFUSED, reason)
        return understood

    async def caller(self, uid: int | None, pid: int | None) -> Caller:
        """
        Tell who is at the other end.
        """
        if uid is None:
            return Caller(uid, pid)
        if uid not in self._names:
            self._names[uid] = await self._name_of(uid)
        return Caller(uid, pid, self._names[uid])

    async def _name_of(self, uid: int) -> str:
        try:
            waiting: Deferred[str] = Deferred.fromCoroutine(_awaited(self._in_thread(lambda: name_of(uid))))
            return await waiting.addTimeout(NAME_PATIENCE, self.clock)
        except CancelledError:  # who asked is gone
            raise
        except Exception:
            log.failure("the name of user {uid} could not be looked up", uid=uid)
            return ""

    async def admit(self, caller: Caller, token: str) -> Caller:
        """
        Let somebody in who has the right token, at once. Raises Wrong for a wrong one, after a while, and one after the
        other: what hammers on us by mistake costs little. Against guessing a token has its length.
        """
        name = self.tokens.name_of(token)
        if name is not None:
            return attrs.evolve(caller, token=name)
        now = self.clock.seconds()
        self._next_wrong = min(max(self._next_wrong, now) + WRONG_TOKEN_DELAY, now + MAX_WRONG_TOKEN_DELAY)
        waiting: Deferred[None] = Deferred()
        alarm = self.clock.callLater(self._next_wrong - now, waiting.callback, None)
        try:
            await waiting
        except CancelledError:
            alarm.cancel()  # it was wrong all the same, and is told so to the trail
        if token:
            raise Wrong(Code.NOT_ALLOWED, "this token is none of those in [control]: ask who runs this empath for one")
        raise Wrong(Code.NOT_ALLOWED, "a token is needed: give --token-file, or $EMPATH_CONTROL_TOKEN, to empathctl")

    def fault(self, verb: str) -> str:
        """
        Log the exception at hand as our own mistake; gives the words by which it is found in the log.
        """
        self._faults += 1
        number = f"{int(self.clock.seconds()):x}-{self._faults}"
        log.failure("control fault {number}: {verb} failed, by a fault of empath's own", number=number, verb=verb)
        return f"control fault {number}"

    def account(self, caller: Caller, asked: Asked, understood: Understood | None, outcome: Outcome) -> None:
        """
        Tell what somebody asked for, and what became of it.
        """
        request = None if understood is None else understood.request
        self._emit(
            ControlUsed(
                caller=str(caller),
                verb=asked.verb[:80],
                arguments="" if request is None else arguments_of(request),
                result=outcome.result,
                detail=outcome.detail,
                seconds=outcome.seconds,
                changes=request is not None and request.changes,
            )
        )


async def _awaited(waiting: Any) -> Any:
    return await waiting
