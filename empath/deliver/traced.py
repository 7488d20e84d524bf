"""
What a delivery over SMTP or LMTP does step by step, where its message is traced: each address that is tried has its own
steps, and so has each transaction.

Fatal, retried: nothing. What a server says is masked, and of a bounded length (see `empath.net.recording`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from empath.mail.outcome import Failure, PermanentFailure, TransientFailure
from empath.mail.step import Fact, Step, Steps
from empath.net.recording import REPLY_CODE, Recording
from empath.net.taps import taps_of, together
from empath.policy.mx import Candidate
from empath.smtp.client_events import State
from empath.smtp.client_lmtp import LmtpSession
from empath.smtp.masking import printable

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from empath.deliver.connection import Connection
    from empath.deliver.target import Target
    from empath.policy.tls import Demand

CUT_SHORT: Final = "the attempt was cut short"
NO_REPLY: Final = "the connection ended before a reply"


class AttemptTrace:
    """
    Writes down in `steps` what one attempt does. `late` hears of each step that ends after the attempt: QUIT.
    """

    __slots__ = ("_late", "_left", "clock", "steps")

    def __init__(self, steps: Steps, clock: IReactorTime, late: Callable[[Step], None]) -> None:
        self.steps = steps
        self.clock = clock
        self._late = late
        self._left: tuple[Step, ...] = ()

    async def finding(
        self, domain: str, finding: Coroutine[Any, Any, Sequence[Candidate] | Failure]
    ) -> Sequence[Candidate] | Failure:
        """
        Look for the hosts of a domain.
        """
        step = self.steps.begin("dns", self.clock.seconds(), **{"dns.question.name": printable(domain)})
        try:
            found = await finding
        except BaseException:
            step.trouble = CUT_SHORT
            raise
        finally:
            step.ended = self.clock.seconds()
        if isinstance(found, (PermanentFailure, TransientFailure)):
            step.trouble = told(found)
        else:
            step.facts["empath.dns.hosts"] = printable(" ".join(f"{each.host}[{each.address}]" for each in found))
        return found

    def passes_over(self, candidate: Candidate, failure: Failure) -> None:
        """
        A host is not tried at all.
        """
        now = self.clock.seconds()
        step = self.steps.begin("connect", now, **place_of(candidate.host, candidate.address, candidate.port))
        step.facts.update(asked_by(candidate.assurance.demand))
        step.facts["empath.tls.published"] = candidate.assurance.basis.policy
        step.ended, step.trouble = now, told(failure)

    def takes(self, connection: Connection, candidate: Candidate, began: float) -> None:
        """
        A connection was wanted at `began`: one that was not made for this attempt was there already.
        """
        trace = connection.trace
        if trace is None or trace.attempt is not self:
            connection.trace = trace = ConnectionTrace(self, connection)
            trace.reused(connection, began)
        if trace.last is not None:
            trace.last.facts["empath.tls.published"] = candidate.assurance.basis.policy

    def ended(self, step: Step) -> None:
        """
        A step ended.
        """
        if step in self._left:
            self._late(step)

    def finish(self) -> None:
        """
        The attempt is over: what is still to come is told apart.
        """
        now, steps = self.clock.seconds(), self.steps.steps
        self._left = tuple(step for step in steps if not step.ended and step.name == "quit")
        for step in self._left:
            steps.remove(step)
        for step in steps:
            if not step.ended:
                step.ended, step.trouble = now, step.trouble or CUT_SHORT


class ConnectionTrace:
    """
    Writes down what one attempt does on one connection, from the first address that is tried for it to QUIT. `last` is
    the step in which it became, or becomes, one.
    """

    __slots__ = ("_place", "_recording", "_tls", "_tries", "attempt", "last")

    def __init__(self, attempt: AttemptTrace, connection: Connection) -> None:
        session = connection.session
        self.attempt = attempt
        self._place: dict[str, Fact] = {}
        self._tries: dict[str, Step] = {}
        self._tls: Step | None = None
        self.last: Step | None = None
        self._recording = Recording(
            attempt.clock,
            attempt.steps,
            "client",
            password=session.password,
            lmtp=isinstance(session, LmtpSession),
            on_ended=lambda step: self._ended(connection, step),
        )
        session.tap = together(self._recording, taps_of(session.tap)[1])

    # How it comes to be ------------------------------------------------------------------------------------------

    def reused(self, connection: Connection, began: float) -> None:
        """
        It was there: it was waited for from `began` on.
        """
        self._place = _place(connection)
        step = self._begin("connect", began)
        step.facts.update({"empath.connection.reused": True, "empath.connection.transactions": connection.carried})
        step.facts.update(_secured(connection))
        if connection.target is not None:
            step.facts.update(asked_by(connection.target.demand))
        step.ended = self.attempt.clock.seconds()
        self.last = step

    def tries(self, connection: Connection, target: Target) -> None:
        """
        It is tried to connect to an address.
        """
        self._place = place_of(connection.session.host, target.address, target.port)
        self._tries[target.address] = self.last = step = self._begin("connect", self.attempt.clock.seconds())
        step.facts.update(asked_by(target.demand))

    def failed(self, target: Target, why: str) -> None:
        """
        That failed, or is given up.
        """
        step = self._tries.get(target.address)
        if step is not None and not step.ended:
            step.ended, step.trouble = self.attempt.clock.seconds(), printable(why)

    def connected(self, connection: Connection) -> None:
        """
        It is there, and what is said next opens the session.
        """
        step = self._tries.get("" if connection.target is None else connection.target.address)
        if step is not None and not step.ended:
            self.last = self._recording.aside = step
            self._place = _place(connection)
            step.facts["empath.connect.seconds"] = round(connection.connected_at - step.started, 6)
            if connection.source:
                step.facts["network.local.address"] = connection.source

    def shakes(self) -> None:
        """
        TLS begins.
        """
        self._tls = self._begin("tls", self.attempt.clock.seconds())

    def secured(self, connection: Connection) -> None:
        """
        TLS is established.
        """
        if self._tls is not None and not self._tls.ended:
            self._tls.ended = self.attempt.clock.seconds()
            self._tls.facts.update(_secured(connection))

    def opened(self, connection: Connection) -> None:
        """
        Transactions may begin, or there is trouble.
        """
        now, self._recording.aside = self.attempt.clock.seconds(), None
        trouble = "" if connection.trouble is None else told(connection.trouble.failure)
        if self._tls is not None and not self._tls.ended:
            self._tls.ended, self._tls.trouble = now, trouble
            if connection.tls:
                self._tls.facts.update(_secured(connection))
        if self.last is not None and not self.last.ended:
            self.last.ended, self.last.trouble = now, trouble

    # How it ends -------------------------------------------------------------------------------------------------

    def leaves(self, connection: Connection) -> None:
        """
        The attempt has no more for it; the answer to QUIT is still waited for.
        """
        if connection.trace is not self:
            return
        self._recording.finish()
        if connection.session.state is not State.QUIT:
            trouble = connection.trouble
            self._recording.closed(CUT_SHORT if trouble is None else told(trouble.failure))
            self._detach(connection)

    def _ended(self, connection: Connection, step: Step) -> None:
        """
        A command was answered, or will never be.
        """
        step.facts.update(self._place)
        if step.name == "quit":
            if REPLY_CODE not in step.facts:
                step.trouble = NO_REPLY
            self._detach(connection)
        self.attempt.ended(step)

    def _detach(self, connection: Connection) -> None:
        if connection.trace is self:
            connection.trace = None
            connection.session.tap = taps_of(connection.session.tap)[1]

    def _begin(self, name: str, now: float) -> Step:
        return self.attempt.steps.begin(name, now, **self._place)


def _place(connection: Connection) -> dict[str, Fact]:
    target = connection.target
    return {} if target is None else place_of(connection.session.host, target.address, target.port)


def place_of(host: str, address: str, port: int) -> dict[str, Fact]:
    """
    Tell where a server is, in OpenTelemetry's words.
    """
    return {"server.address": printable(host), "server.port": port, "network.peer.address": address}


def asked_by(demand: Demand) -> dict[str, Fact]:
    """
    Tell what a host must show, and who asks for it.
    """
    return {"empath.tls.policy": demand.policy.value, "empath.tls.asker": demand.asker.value}


def _secured(connection: Connection) -> dict[str, Fact]:
    """
    Tell what protects a connection, and what is wrong with the server's certificate, if anybody looked.
    """
    if not connection.tls:
        return {}
    facts: dict[str, Fact] = {
        "tls.protocol.name": "tls",
        "tls.protocol.version": connection.tls.removeprefix("TLSv"),
        "tls.cipher": connection.cipher,
    }
    if connection.security:
        facts["empath.tls.security"] = connection.security
    if connection.rejection is not None:
        facts["empath.tls.certificate"] = printable(connection.rejection.reason)
    return facts


def told(failure: Failure) -> str:
    """
    Tell of a failure in one line.
    """
    return printable(str(failure.reply))
