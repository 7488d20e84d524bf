"""
One subject, a client or a domain, put to all its lists at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from empath.modules import Answer, Found, IServices
from empath.modules.builtin.dnsbl_zones import Meaning, Zone, never_listed

COMPLAINT_INTERVAL: Final = 3600.0
REFUSALS: Final = {
    "127.255.255.252": "there is no such list",
    "127.255.255.254": "it does not answer public resolvers",
    "127.255.255.255": "too many questions",
}
UNCLEAR: Final = "see what its operator says of this answer"
EVERYBODY: Final = "it lists everybody (RFC 5782, section 5), as lists do that are closed"

log = Logger()


@attrs.frozen(slots=True)
class Hit:
    """
    One list that names a subject, and by what answer. `label` is the subject as the list knows it.
    """

    subject: str
    label: str
    zone: Zone
    answer: str

    def __str__(self) -> str:
        return f"{self.subject} {self.zone.name} {self.answer} ({self.zone.weight:+g})"


class Lists:
    """
    Asks some lists, each name among them once per subject; whoever does not answer within `timeout` has no opinion.
    """

    def __init__(self, zones: tuple[Zone, ...], services: IServices, timeout: float) -> None:
        self.zones = zones
        self.timeout = timeout
        self.services = services
        self.clock: IReactorTime = services.clock
        self.names: Final = tuple(dict.fromkeys([zone.name for zone in zones]))
        self._complained: dict[str, float] = {}

    def ask(self, subject: str, label: str) -> Inquiry:
        """
        Begin to ask all of them.
        """
        inquiry = Inquiry(self, subject, label)
        inquiry.begin()
        return inquiry

    def complain(self, zone: str, question: str, address: str, why: str) -> None:
        """
        Log, at most once an hour for each list, that its answer is none.
        """
        self.services.count(f"error:{zone}")
        now = self.clock.seconds()
        if 0.0 <= now - self._complained.get(zone, -COMPLAINT_INTERVAL) < COMPLAINT_INTERVAL:
            return
        self._complained[zone] = now
        log.warn(
            "dnsbl {zone}: {address} for {question} is an error and no listing: {why}",
            zone=zone,
            address=address,
            question=question,
            why=why,
        )


class Inquiry:
    """
    What the lists say of one subject. While `pending`, some have not answered yet.
    """

    __slots__ = ("_answers", "_lists", "_timer", "_waiting", "label", "pending", "subject")

    def __init__(self, lists: Lists, subject: str, label: str) -> None:
        self.subject = subject
        self.label = label
        self.pending = 0
        self._lists = lists
        self._answers: dict[str, tuple[str, ...]] = {}
        self._waiting: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """
        Ask; what the resolver remembers is known at once.
        """
        for name in self._lists.names:
            found = self._lists.services.lookup(f"{self.label}.{name}", "A")
            if isinstance(found, Answer):
                self._hear(name, found)
            else:
                self.pending += 1
                later(found).addCallbacks(self._heard, self._failed, callbackArgs=(name,), errbackArgs=(name,))
        if self.pending:
            self._timer = self._lists.clock.callLater(self._lists.timeout, self._late)

    def wait(self) -> Deferred[None]:
        """
        Fires when all have answered, or the time is over; never fails.
        """
        if not self.pending:
            return succeed(None)
        done: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(done)
        return done

    def hits(self) -> Iterable[Hit]:
        """
        The lists that name the subject, of those that have answered, in the order of configuration.
        """
        if not any(self._answers.values()):
            return
        for zone in self._lists.zones:
            for address in self._answers.get(zone.name, ()):
                if zone.meaning(address) is Meaning.LISTED:
                    yield Hit(self.subject, self.label, zone, address)
                    break

    def _hear(self, name: str, answer: Answer) -> None:
        self._answers[name] = answer.addresses
        if answer.found is Found.FAILED:
            self._lists.services.count(f"unanswered:{name}")
        zones = [zone for zone in self._lists.zones if zone.name == name]
        meanings = {(zone.meaning(address), address) for zone in zones for address in answer.addresses}
        for meaning, address in meanings:
            if meaning is Meaning.ERROR and (Meaning.LISTED, address) not in meanings:
                self._lists.complain(name, answer.name, address, REFUSALS.get(address, UNCLEAR))
        if any(meaning is Meaning.LISTED for meaning, _ in meanings):
            self._lists.services.count(f"listed:{name}")
            self._doubt(name)

    def _doubt(self, name: str) -> None:
        """
        Ask whether a list that names the subject names what no list names: then it has everybody.
        """
        found = self._lists.services.lookup(f"{never_listed(self.label)}.{name}", "A")
        if isinstance(found, Answer):
            self._check(found, name)
        else:
            self.pending += 1
            later(found).addCallbacks(self._checked, self._unchecked, callbackArgs=(name,))

    def _check(self, answer: Answer, name: str) -> None:
        zones = [zone for zone in self._lists.zones if zone.name == name]
        for address in answer.addresses:
            if any(zone.meaning(address) is Meaning.LISTED for zone in zones):
                self._answers[name] = ()
                self._lists.complain(name, answer.name, address, EVERYBODY)
                return

    def _checked(self, answer: Answer, name: str) -> None:
        if self.pending:
            self._check(answer, name)
            self._answered()

    def _unchecked(self, _: object) -> None:
        if self.pending:
            self._answered()

    def _heard(self, answer: Answer, name: str) -> None:
        if self.pending:
            self._hear(name, answer)
            self._answered()

    def _failed(self, _: object, name: str) -> None:
        if self.pending:
            self._answers[name] = ()
            self._lists.services.count(f"unanswered:{name}")
            self._answered()

    def _answered(self) -> None:
        self.pending -= 1
        if not self.pending:
            self._end()

    def _late(self) -> None:
        """
        Go on without those that have not answered.
        """
        for name in self._lists.names:
            if name not in self._answers:
                self._lists.services.count(f"unanswered:{name}")
        self.pending = 0
        self._end()

    def _end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        while self._waiting:
            self._waiting.pop(0).callback(None)


def later(waiting: Awaitable[Answer]) -> Deferred[Answer]:
    """
    Give a Deferred of an Awaitable that was not waited for yet.
    """
    if isinstance(waiting, Deferred):
        return waiting
    return Deferred.fromCoroutine(_wait(waiting))


async def _wait(waiting: Awaitable[Answer]) -> Answer:
    return await waiting


def total(hits: Iterable[Hit]) -> float:
    """
    Add up what the lists say.
    """
    return round(sum(hit.zone.weight for hit in hits), 6)
