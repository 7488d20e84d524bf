"""
What is asked about limits and circuit breakers, and done to them.
"""

from __future__ import annotations

from collections.abc import Callable

from empath.control.serving import Answers, Call, Refused
from empath.control.terms.delivery import (
    CircuitRow,
    Circuits,
    ListCircuits,
    ListRateLimits,
    RateLimitRow,
    RateLimits,
    Reset,
    ResetCircuit,
    SetRateLimit,
)
from empath.errors import StorageError
from empath.policy.selection import destination
from empath.queue.controls import RateLimit
from empath.queue.explaining import Circuit
from empath.queue.queue import Queue
from empath.service.control import rates
from empath.service.control.naming import destination_of
from empath.service.control.paging import bounded, cursor, moment, place_of


class DeliveryControl:
    """
    Answers for the queue's limits. `has_route` tells whether mail can go by a name that is no domain.
    """

    def __init__(self, queue: Queue, has_route: Callable[[str], bool]) -> None:
        self._queue = queue
        self._controls = queue.controls
        self._has_route = has_route

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {
            ListRateLimits: self._rate_limits,
            SetRateLimit: self._set_rate_limit,
            ListCircuits: self._circuits,
            ResetCircuit: self._reset,
        }

    def _rate_limits(self, request: ListRateLimits, call: Call) -> RateLimits:
        return self._limits()

    async def _set_rate_limit(self, request: SetRateLimit, call: Call) -> RateLimits:
        domain = destination_of(request.domain, self._has_route)
        try:
            rate = None if request.rate is None else rates.read(request.rate)
        except ValueError as error:
            raise Refused(f"rate: {error}") from error
        self._controls.set_rate_limit(domain, rate)
        try:
            await self._controls.kept()
        except StorageError as error:
            raise Refused(f"it holds, but a restart might undo it: {error}") from error
        return self._limits()

    def _limits(self) -> RateLimits:
        section = self._queue.standings.section
        rows = [
            RateLimitRow(each.domain, rates.written(each.rate), each.set_here, self._configured(each))
            for each in self._controls.rate_limits()
        ]
        overall, default = section.rate_limits.global_, section.rate_limits.default
        return RateLimits(tuple(rows), rates.written(overall), rates.written(default))

    def _configured(self, limit: RateLimit) -> str:
        """
        Tell the rate that another one stands in for, "" where none does.
        """
        return rates.written(self._controls.configured_rate(limit.domain)) if limit.set_here else ""

    def _circuits(self, request: ListCircuits, call: Call) -> Circuits:
        limit = bounded(request.limit)
        (after,) = place_of(request.after, 1)
        found = self._controls.some_circuits(request.troubled, after, limit + 1)
        rows = tuple([_row(each) for each in found[:limit]])
        return Circuits(rows, cursor((rows[-1].site,) if len(found) > limit else None))

    def _reset(self, request: ResetCircuit, call: Call) -> Reset:
        name = request.domain
        return Reset(self._controls.reset_circuit(name) or self._controls.reset_circuit(destination(name)))


def _row(circuit: Circuit) -> CircuitRow:
    return CircuitRow(
        circuit.site,
        circuit.domains,
        circuit.state,
        moment(circuit.until),
        circuit.in_flight,
        circuit.connections,
        circuit.rate,
    )
