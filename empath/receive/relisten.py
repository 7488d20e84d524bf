"""
What becomes of the listeners when [smtp] is another one: those that stay, those that are new, those that go.

Fatal to the change, which is dropped as a whole (ConfigError): TLS that cannot be had, a port that somebody else has.
What only a restart can do (a port below 1024, or a key that only root may read, once the user was changed; another
endpoint for the same port) is told.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from empath.config.schema import Listener, Smtp
from empath.errors import ConfigError
from empath.receive.gates import Gate, place_of, tls_keys
from empath.receive.terms import Surroundings
from empath.receive.tls import RightsGone, ServerTls

Make = Callable[[Listener, int, Smtp, Surroundings], Gate]


@attrs.frozen(slots=True, eq=False)
class _Kept:
    """
    A listener that stays where it is, and how it goes on: `use_tls` has its certificates used as they are now.
    """

    gate: Gate
    listener: Listener
    path: str
    tls: ServerTls | None
    use_tls: Callable[[], None]


class Change:
    """
    One change, from `open` to `use` or `drop`. `in_force` is the section as far as it can be, `restart` tells by key
    why the rest cannot.
    """

    def __init__(self, gates: Sequence[Gate], smtp: Smtp, around: Surroundings, make: Make) -> None:
        self._smtp, self._around, self._make = smtp, around, make
        self._gone = list(gates)
        self._rows: list[_Kept | Gate] = []
        self._changed_user = False
        self.restart: dict[str, str] = {}

    @property
    def in_force(self) -> Smtp:
        """
        Give the section with the listeners that there will be.
        """
        return attrs.evolve(self._smtp, listeners=tuple(row.listener for row in self._rows))

    def open(self, reactor: Any, changed_user: bool) -> None:
        """
        Read and bind what is new. `changed_user`: whoever bound the others was somebody else.
        """
        self._changed_user = changed_user
        wanted = self._smtp.listeners
        staying = [self._claim(listener.endpoint) for listener in wanted]
        missing = False
        for at, (listener, gate) in enumerate(zip(wanted, staying, strict=True)):
            if gate is not None:
                self._keep(gate, listener, at)
            elif not self._add(listener, at, reactor):
                missing = True
        if missing:
            self._keep_gone()

    def drop(self) -> None:
        """
        Let go of what was bound.
        """
        for row in self._rows:
            if isinstance(row, Gate):
                row.close()

    def use(self) -> list[Gate]:
        """
        Have all go on as they are to; those that go stop listening. Gives those that there are now.
        """
        for gate in self._gone:
            gate.close()
        return [self._used(row) for row in self._rows]

    def _used(self, row: _Kept | Gate) -> Gate:
        if isinstance(row, Gate):
            return row
        row.use_tls()
        row.gate.serve(row.listener, row.path, row.tls, self._smtp, self._around)
        return row.gate

    def _claim(self, endpoint: str) -> Gate | None:
        """
        Find the listener that is there already; each is found once.
        """
        found = next((gate for gate in self._gone if gate.listener.endpoint == endpoint), None)
        if found is not None:
            self._gone.remove(found)
        return found

    def _keep(self, gate: Gate, listener: Listener, at: int) -> None:
        """
        Have a listener go on as its section says now; certificates that are named are read as they are now.
        """
        fresh = self._make(listener, at, self._smtp, self._around)
        tls, use_tls = fresh.tls, _nothing
        if gate.tls is not None and tls_keys(listener) == tls_keys(gate.listener):
            tls, use_tls = gate.tls, self._read_again(gate.tls, fresh.path)
        elif tls is not None:
            tls.load()
        self._rows.append(_Kept(gate, listener, fresh.path, tls, use_tls))

    def _read_again(self, tls: ServerTls, path: str) -> Callable[[], None]:
        """
        Read the files of a listener as they are now; give what has them used. Those that only root may read stay in use
        as they were read at the start.
        """
        try:
            return tls.prepare(path)
        except RightsGone as trouble:
            if not self._changed_user:
                raise
            self.restart[trouble.key] = f"{trouble.why}; what was read before stays in use"
            return partial(tls.call, path)

    def _add(self, listener: Listener, at: int, reactor: Any) -> bool:
        """
        Bind a new listener; tells whether there is something in its place.
        """
        gate = self._make(listener, at, self._smtp, self._around)
        if gate.tls is not None:
            gate.tls.load()
        try:
            gate.open(reactor)
        except ConfigError:
            raise
        except Exception as trouble:  # endpoints are plugins: what theirs may raise is not ours to list
            return self._postpone(gate, at, trouble)
        self._rows.append(gate)
        return True

    def _postpone(self, gate: Gate, at: int, trouble: Exception) -> bool:
        """
        Leave to the restart what it can do and we cannot; ConfigError for all else. The same place with another
        endpoint stays as it is bound, and all else of it changes.
        """
        key, endpoint = f"{gate.path}.endpoint", gate.listener.endpoint
        fault = getattr(trouble, "socketError", trouble)
        number = getattr(fault, "errno", None)
        same = [each for each in self._gone if place_of(each.listener.endpoint) == place_of(endpoint)]
        if number == errno.EADDRINUSE and same:
            self._gone.remove(same[0])
            self._keep(same[0], attrs.evolve(gate.listener, endpoint=same[0].listener.endpoint), at)
            self.restart[key] = f'"{same[0].listener.endpoint}" stays bound until then'
            return True
        if number in (errno.EACCES, errno.EPERM) and self._changed_user:
            self.restart[key] = f"user id {os.geteuid()}, as which empath runs now, may not bind it"
            return False
        reason = getattr(fault, "strerror", None) or str(trouble)
        raise ConfigError([f'{key}: found "{endpoint}": it cannot be bound: {reason}']) from trouble

    def _keep_gone(self) -> None:
        """
        Keep what others were to take the place of: better there than none.
        """
        gone, self._gone = self._gone, []
        for gate in gone:
            self._keep(gate, gate.listener, len(self._rows))
            self.restart["smtp.listeners"] = "those that go stay until those that come can be bound"


def _nothing() -> None:
    """
    Change nothing about certificates.
    """
