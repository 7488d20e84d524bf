"""
The stub resolver: answers from the cache at once, all else asked of a server, one query for all who ask the same.

Fatal: servers that cannot be read (ConfigError, before anything runs). Retried: silence, on the next server and once
more. Told as `Found.FAILED`: everything else; no look-up fails or hangs. Ignored: what answers no question of ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import dns.message
import dns.name
from dns.rdatatype import RdataType
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config.schema import Dns
from empath.dns.answers import answer_of, security_of
from empath.dns.cache import Cache
from empath.dns.datagrams import OpenDatagrams
from empath.dns.exchange import Exchange
from empath.dns.presence import Presence
from empath.dns.question import Key, NoName, NoType, Question, question_of
from empath.dns.servers import LOCAL, Server, configured_servers, system_servers
from empath.dns.streams import OpenStream
from empath.dns.told import BOGUS, Failed, Heard, Useless
from empath.dns.vouching import check_trust, judged, vouching_of
from empath.dns.walk import Walk
from empath.interfaces import IComponent, IResolver
from empath.mail.answer import Answer, Found
from empath.mail.life import Emit, LookedUp

MAX_AT_ONCE: Final = 200  # look-ups that hold a socket; others wait their turn, within the same bound

log = Logger()


@attrs.define(slots=True, eq=False)
class _Flight:
    """
    A question on its way, and all who wait for its answer.
    """

    question: Question
    walk: Walk
    started: float
    waiting: list[Deferred[Answer]] = attrs.field(factory=list)
    running: Deferred[None] | None = None


@implementer(IResolver, IComponent)
class Resolver:
    """
    Provides IResolver; `cache` is there to be counted, listed and, every `eviction_interval`, evicted. `refreshes`
    counts what was fetched again before anybody had to wait for it. `presence` tells whether any server is there.

    `servers` tells the system's servers, asked at `start` and at `reconfigure` when the section names none.
    """

    def __init__(
        self,
        section: Dns,
        clock: IReactorTime,
        chance: random.Random,
        emit: Emit,
        datagrams: OpenDatagrams,
        streams: OpenStream,
        servers: Callable[[], Sequence[Server]] = system_servers,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._system_servers = servers
        self._exchange = Exchange(clock, chance, datagrams, streams)
        self.presence = Presence(clock, self._exchange, lambda: self._walk.servers)
        self._turns = DeferredSemaphore(MAX_AT_ONCE)
        self._flights: dict[Key, _Flight] = {}
        self._stopped = False
        self.refreshes = 0
        self._section = section
        self.cache = Cache(section)
        self._vouching = vouching_of(section, self._fetch, clock)
        self._walk = self._walk_among(configured_servers(section) or (LOCAL,))

    @property
    def last_answer(self) -> float:
        """
        When any server last answered anything, SERVFAIL included, in the clock's seconds; 0.0 for never.
        """
        return self._exchange.last_answer

    @property
    def section(self) -> Dns:
        """
        The [delivery.dns] in force.
        """
        return self._section

    @property
    def servers(self) -> tuple[str, ...]:
        """
        The servers that are asked, in the order given.
        """
        return tuple([str(server) for server in self._walk.servers])

    def start(self) -> None:
        """
        Find out the system's servers if none are configured.
        """
        self.reconfigure(self._section)

    def stop(self) -> None:
        """
        Give up what is under way: all who wait hear FAILED, and so does whoever asks from now on beyond the cache.
        """
        self._stopped = True
        for flight in list(self._flights.values()):
            if flight.running is not None:
                flight.running.cancel()

    def reconfigure(self, section: object) -> None:
        """
        Use other servers, times and sizes for new look-ups; ConfigError, and nothing changed, if a server is none, or
        its AD bit would be trusted though it is not here.
        """
        assert isinstance(section, Dns)
        self.prepare(section)()

    def prepare(self, section: Dns) -> Callable[[], None]:
        """
        Read what `section` names, as `reconfigure` does, and give what has it used.
        """
        chosen = configured_servers(section) or self._system_servers()
        check_trust(section, chosen)
        changed = bool(section.trust_anchor) or judged(section) != judged(self._section)  # the file may be another
        vouching = vouching_of(section, self._fetch, self._clock) if changed else self._vouching

        def use() -> None:
            if changed:
                self._vouching = vouching
                self.cache.clear()  # what is kept was judged otherwise
            self._section = section
            self._walk = self._walk_among(chosen)
            self.cache.reconfigure(section)

        return use

    def lookup(self, name: str, rdtype: str) -> Answer | Deferred[Answer]:
        """
        Tell at once what the cache knows, else ask; cancelling what is returned disturbs nobody else.
        """
        answer = self.cache.find((name, rdtype), self._clock.seconds())
        if answer is not None:
            return answer
        return self._ask(name, rdtype)

    def clear(self, domain: str | None = None) -> int:
        """
        Forget all answers, or all about a domain and the names below it; tells how many. ValueError if it is none.
        """
        self._vouching.forget()
        return self.cache.clear(None if domain is None else question_of(domain, "MX").text)

    async def refresh(self, domain: str) -> tuple[Answer, ...]:
        """
        Ask again for the MX hosts of a domain, and for all that is known of it and of the names below it. Tells the
        answers; an older one is used until its time is over where that failed. ValueError if it is no domain.
        """
        first = question_of(domain, "MX")
        self._vouching.forget()
        keys = dict.fromkeys([first.key, *self.cache.keys_of(first.text)])
        asked = [self._join(question_of(*key)) for key in keys]
        self.refreshes += len(asked)
        return tuple([await answer for answer in asked])

    def renew(self, name: str, rdtype: str) -> Deferred[Answer]:
        """
        Ask a server whatever the cache knows, though an older answer is used until its time is over where that fails.
        """
        try:
            question = question_of(name, rdtype)
        except (NoName, NoType):
            asked = self._ask(name, rdtype)
            return succeed(asked) if isinstance(asked, Answer) else asked
        self.refreshes += 1
        return self._join(question)

    def _walk_among(self, servers: Sequence[Server]) -> Walk:
        return Walk(self._clock, self._exchange, servers, self._section.timeout, self._vouching)

    async def _fetch(self, name: dns.name.Name, rdtype: RdataType) -> dns.message.Message | None:
        return await self._walk.fetch(name, rdtype)  # without a turn: the look-up that needs it has one

    def _ask(self, name: str, rdtype: str) -> Answer | Deferred[Answer]:
        now = self._clock.seconds()
        try:
            question = question_of(name, rdtype)
        except NoName:
            return Answer(name, rdtype, Found.NO_NAME, expires=now, detail="noname: cannot be a domain name")
        except NoType:
            return Answer(name, rdtype, Found.FAILED, expires=now, detail="notype: no such type of record")
        if question.key != (name, rdtype) and (answer := self.cache.find(question.key, now)):
            return answer
        late = self.cache.find_late(question.key, now)
        if late is None:
            self.cache.misses += 1
            return self._join(question)
        if question.key not in self._flights and not self._stopped:
            self.refreshes += 1
            self._launch(_Flight(question, self._walk, now))
        return late

    def _join(self, question: Question) -> Deferred[Answer]:
        under_way = self._flights.get(question.key)
        flight = under_way or _Flight(question, self._walk, self._clock.seconds())
        caller: Deferred[Answer] = Deferred(flight.waiting.remove)
        flight.waiting.append(caller)
        if under_way is None:
            self._launch(flight)
        return caller

    def _launch(self, flight: _Flight) -> None:
        self._flights[flight.question.key] = flight
        asking = Deferred.fromCoroutine(self._in_turn(flight))
        asking.addTimeout(flight.walk.bound, self._clock)
        asking.addErrback(self._trouble, flight)
        flight.running = asking.addCallback(self._land, flight)
        flight.running.addErrback(
            lambda failure: log.failure("{name}: a look-up's listener", failure, name=flight.question.text)
        )

    async def _in_turn(self, flight: _Flight) -> Heard | Failed:
        if self._stopped:
            return Useless("stopped", "the resolver was stopped")
        await self._turns.acquire()
        try:
            return await flight.walk.ask(flight.question)
        finally:
            self._turns.release()

    def _trouble(self, failure: Failure, flight: _Flight) -> Useless:
        question = flight.question
        if failure.check(TimeoutError):
            return Useless("timeout", f"no server answered within {flight.walk.bound:g} s")
        if failure.check(CancelledError):
            return Useless("stopped", "the resolver was stopped")
        log.failure("{name}: {rdtype} could not be looked up", failure, name=question.text, rdtype=question.rdtype)
        return Useless("internal", "a fault of our own, see the log")

    def _land(self, told: Heard | Failed, flight: _Flight) -> None:
        """
        Cache the answer, tell of it, and give it to all who wait, whatever the listener does.
        """
        question, now = flight.question, self._clock.seconds()
        del self._flights[question.key]
        answer = self._settle(flight, told, now)
        try:
            if not self._stopped:
                self._emit(LookedUp(answer, now - flight.started, False))
        finally:
            while flight.waiting:
                flight.waiting.pop(0).callback(answer)

    def _settle(self, flight: _Flight, told: Heard | Failed, now: float) -> Answer:
        """
        Keep the answer, unless it was got and judged as nobody does any more, or what stands in for it.
        """
        question = flight.question
        if not isinstance(told, Heard) and told.kind != BOGUS:
            standing = self.cache.stand_in(question.key, now, f"{told.kind}: {told.why}")
            if standing is not None:
                return standing
        found = told.found if isinstance(told, Heard) else Found.FAILED
        ttl = told.ttl if isinstance(told, Heard) else 0
        answer = answer_of(question, told, now + self.cache.lifetime(found, ttl, security_of(told)))
        if flight.walk is self._walk and not self._stopped:
            self.cache.keep(question.key, answer, now)
        return answer
