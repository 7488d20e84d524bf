"""
Looking up which sites destinations lead to, where that takes time, and again while their mail waits.

Ignored: a look-up that breaks or does not end; the destination is a site of its own then. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import islice
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.interfaces import ISites
from empath.queue.line import Gate, Line

log = Logger()

STALE: Final = 300.0  # seconds after which the site of a line is looked up again
AT_ONCE: Final = 100  # look-ups in one round, of each kind


class LookUps:
    """
    Asks `sites`; `at` has a line lead to the site of a name.
    """

    def __init__(self, sites: ISites, clock: IReactorTime, at: Callable[[Line, str], None]) -> None:
        self._sites = sites
        self._clock = clock
        self._at = at
        self._errands: set[Deferred[None]] = set()

    def site_of(self, domain: str) -> str | Awaitable[str]:
        """
        Tell the site of a destination.
        """
        try:
            return self._sites.site_of(domain)
        except Exception:
            log.failure("the site of {domain} could not be looked up", domain=domain)
        return domain

    def ask(self, line: Line, asked: Awaitable[str]) -> None:
        """
        Have a line lead to its site once that is known.
        """
        self._run(self._find(line, asked))

    def of_lines(self, lines: Iterable[Line]) -> None:
        """
        Look up the sites of these.
        """
        for line in lines:
            line.looked = self._clock.seconds()
            name = self.site_of(line.domain)
            if isinstance(name, str):
                self._at(line, name)
            else:
                self.ask(line, name)

    def of_stale(self, lines: Iterable[Line]) -> None:
        """
        Look up the sites of some that were last looked up long ago, and end look-ups that do not end.
        """
        old = self._clock.seconds() - STALE
        stale = [each for each in lines if each.looked < old]
        self.of_lines([each for each in stale if each.gate.known][:AT_ONCE])
        for line in [each for each in stale if not each.gate.known]:
            log.error("the look-up of the site of {domain} does not end", domain=line.domain)
            self._at(line, line.domain)

    def of_some(self, gates: dict[Gate, None]) -> None:
        """
        Check some destinations of these gates whose mail lies in the spool, others each time.
        """
        most = AT_ONCE
        for gate in list(gates):
            domains = list(islice((domain for domain in gate.domains if domain not in gate.lines), most))
            self.check(gate, domains)
            gates[gate] = gates.pop(gate)  # behind the others
            most -= len(domains)
            if not most:
                return

    def check(self, gate: Gate, domains: list[str]) -> None:
        """
        Forget those destinations that lead here no longer, so that their mail is found again; look at others next time.
        """
        for domain in domains:
            del gate.domains[domain]
            name = self.site_of(domain)
            if not isinstance(name, str) or name == gate.site.name:
                gate.domains[domain] = None
            if not isinstance(name, str):
                self._run(self._leave(gate, domain, name))

    def stop(self) -> None:
        """
        End all of them.
        """
        for errand in list(self._errands):
            errand.cancel()

    async def _leave(self, gate: Gate, domain: str, asked: Awaitable[str]) -> None:
        if await self._name(domain, asked) != gate.site.name and domain not in gate.lines:
            gate.domains.pop(domain, None)

    async def _find(self, line: Line, asked: Awaitable[str]) -> None:
        self._at(line, await self._name(line.domain, asked))

    async def _name(self, domain: str, asked: Awaitable[str]) -> str:
        try:
            return await asked
        except CancelledError:
            raise
        except Exception:
            log.failure("the site of {domain} could not be looked up", domain=domain)
        return domain

    def _run(self, errand: Coroutine[Deferred[object], object, None]) -> None:
        """
        Do what has to wait, until it is stopped.
        """
        running = Deferred.fromCoroutine(errand)
        running.addErrback(lambda failure: failure.trap(CancelledError) and None)
        if not running.called:
            self._errands.add(running)
            running.addBoth(lambda _: self._errands.discard(running))
