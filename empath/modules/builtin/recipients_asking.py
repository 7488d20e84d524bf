"""
Asking next hops about recipients: each address once at a time, no client too often, and nobody waits for long.

Fatal: nothing. Retried: what a next hop did not answer, with the next RCPT for that address; an old yes counts
meanwhile. A `verify` that raises has a bug: it is logged and counts as silence.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from empath.modules import Address, IServices, MaybeVerdict, Reply, Session, refuse, tempfail
from empath.modules.builtin.recipients_known import Answer, Known, cache_key, heard
from empath.policy.relay import client_key
from empath.policy.throttle import Throttle

MOST_QUESTIONS: Final = 200  # that are open at a time
UNASKED: Final = 252  # "I take it, and cannot verify it" (RFC 5321 §3.5.3): nobody was asked
PAUSE: Final = 60.0  # seconds between two tries to refresh one answer
SILENCE_TOLD: Final = 300.0  # seconds between two log lines about one domain

UNKNOWN: Final = refuse("550 5.1.1 no such user here")
SILENT: Final = tempfail("450 4.1.1 the recipient cannot be verified now, try again later")
TOO_MANY: Final = tempfail("450 4.7.1 too many unknown recipients, try again later", "max_unknown")
BUSY: Final = tempfail("450 4.3.2 too many recipients are being verified, try again later")

log = Logger()


@attrs.define(slots=True, eq=False)
class Question:
    """
    One address that the next hop is asked about, and the sessions that wait; `known` is what it said before. `client`
    is who began it, "" for one that may ask as much as it likes.
    """

    key: str
    address: Address
    client: str
    known: Answer | None = None
    waiting: list[Deferred[MaybeVerdict]] = attrs.field(factory=list)
    running: Deferred[None] | None = None


class Asking:
    """
    Judges addresses by what their next hops say. A session waits `patience` seconds for an answer; what comes later is
    known to the next one. `unknown` counts the clients that name unknown recipients.
    """

    def __init__(self, services: IServices, known: Known, patience: float, unknown: Throttle) -> None:
        self._services = services
        self._known = known
        self._lifetimes = known.lifetimes
        self._patience = patience
        self._unknown = unknown
        self._open: dict[str, Question] = {}
        self._told: dict[str, float] = {}  # by domain, when the log was told of its silence

    def about(self, session: Session, address: Address) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge an address: None if it is taken.
        """
        key = cache_key(address)
        now = self._services.clock.seconds()
        known = self._known.get(key)
        if known is not None:
            if self._lifetimes.fresh(known, now):
                if self._lifetimes.aging(known, now) and now - known.refreshed >= PAUSE:
                    self._refresh(key, address, known, now)
                return _judged(known.reply)
            if self._lifetimes.usable(known, now) and now - known.refreshed < PAUSE:
                return None
        return self._ask(key, address, "" if session.trusted else client_key(session.peer), known)

    async def stop(self) -> None:
        """
        Ask no more, and wait for what is being written.
        """
        for question in list(self._open.values()):
            if question.running is not None:
                question.running.cancel()
        await self._known.written()

    def _ask(
        self, key: str, address: Address, client: str, known: Answer | None
    ) -> MaybeVerdict | Deferred[MaybeVerdict]:
        """
        Wait for the answer to a question, which may be open already.
        """
        question = self._open.get(key)
        if question is None:
            if len(self._open) >= MOST_QUESTIONS:
                return self._otherwise(known, BUSY)
            question = self._open[key] = Question(key, address, client, known)
        waiting: Deferred[MaybeVerdict] = Deferred(question.waiting.remove)
        question.waiting.append(waiting)
        asked = question
        late = attrs.evolve(SILENT, why=f"no answer within {self._patience:g} s")
        waiting.addTimeout(self._patience, self._services.clock, lambda *_: self._otherwise(asked.known, late))
        if question.running is None:
            question.running = Deferred.fromCoroutine(self._answer(question))
        return waiting

    def _refresh(self, key: str, address: Address, known: Answer, now: float) -> None:
        """
        Ask in the background, though what is known still counts.
        """
        if key in self._open or len(self._open) >= MOST_QUESTIONS:
            return
        self._known.keep(key, attrs.evolve(known, refreshed=now))
        question = self._open[key] = Question(key, address, "", known)
        question.running = Deferred.fromCoroutine(self._answer(question, again=True))

    async def _answer(self, question: Question, again: bool = False) -> None:
        """
        Find an answer, and tell all who wait.
        """
        try:
            verdict = await self._find(question, again)
        except CancelledError:
            verdict = SILENT
        except Exception:
            log.failure("<{address}> could not be verified", address=question.address)
            verdict = self._otherwise(question.known, SILENT)
        del self._open[question.key]
        waiting, question.waiting = question.waiting, []
        for each in waiting:
            each.callback(verdict)

    async def _find(self, question: Question, again: bool) -> MaybeVerdict:
        """
        Look into the storage, and ask the next hop if that does not help and the client has not asked too often.
        """
        known = question.known = await self._known.find(question.key)
        now = self._services.clock.seconds()
        if not again and known is not None and self._lifetimes.fresh(known, now):
            return _judged(known.reply)
        client = question.client
        if client and self._unknown.holds_off(client, now):
            self._services.count("limited")
            return self._otherwise(known, TOO_MANY)
        self._services.count("asked")
        reply = await self._services.verify(question.address)
        return self._heard(question, reply)

    def _heard(self, question: Question, reply: Reply) -> MaybeVerdict:
        """
        Learn from a next hop's answer; a 4yz is none.
        """
        now = self._services.clock.seconds()
        if reply.transient:
            self._services.count("silent")
            self._tell(question.address.domain, reply, now)
            known = question.known
            if known is not None and self._lifetimes.usable(known, now):
                self._known.keep(question.key, attrs.evolve(known, refreshed=now))
            return self._otherwise(known, attrs.evolve(SILENT, why=str(reply)))
        if reply.code == UNASKED:  # whatever anybody makes up would have to be stored
            self._known.keep(question.key, heard(reply, now))
            return None
        self._known.learn(question.key, heard(reply, now))
        if not reply.positive:
            self._services.count("unknown")
            if question.client:
                self._unknown.failed(question.client, now)
        return _judged(reply)

    def _otherwise(self, known: Answer | None, verdict: MaybeVerdict) -> MaybeVerdict:
        """
        Take an old yes in place of no answer; else `verdict`.
        """
        return None if self._lifetimes.usable(known, self._services.clock.seconds()) else verdict

    def _tell(self, domain: str, reply: Reply, now: float) -> None:
        told = self._told.get(domain)
        if told is None or not 0.0 <= now - told < SILENCE_TOLD:
            self._told[domain] = now
            log.warn("a recipient of {domain} cannot be verified: {reply}", domain=domain, reply=reply)


def _judged(reply: Reply) -> MaybeVerdict:
    """
    Make a verdict of an answer. What the next hop refuses for another reason than who it is for is told by its enhanced
    code; its words are for the operator only.
    """
    if reply.positive:
        return None
    if reply.status.startswith(("5.0.", "5.1.")):
        return attrs.evolve(UNKNOWN, why=str(reply))
    return refuse(f"550 {reply.status} not accepted for this recipient", str(reply))
