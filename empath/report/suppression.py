"""
The suppression list: addresses that failed for good, or whose people complained, and get no more mail from our side.

Fatal: nothing. Where the list cannot be read, or is not known yet, mail goes out as if there were none; what cannot be
written is logged, and the next failure of the address adds it again.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from empath.config import schema
from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.mail.address import Address
from empath.mail.life import AttemptEnded, Emit
from empath.mail.life_safety import AddressSuppressed, BounceReceived, ComplaintReceived
from empath.mail.message import RecipientState, Status
from empath.mail.origin import Source
from empath.policy.bloom import Bloom
from empath.policy.mailbox import key_of
from empath.policy.suppressed import is_refusal
from empath.policy.verbs import BOUNCED

COMPLAINT: Final = "complaint"
BAD_DOMAIN: Final = "bad-domain"
LONGEST: Final = 500  # characters of a detail
_ROOM: Final = 10_000  # addresses that the first filter holds
_AGAIN: Final = 60.0  # seconds after which a list that could not be read is read again

log = Logger()


@attrs.frozen(slots=True)
class Suppressed:
    """
    An address of the list, since `at` (seconds since the epoch): `why` is a category of failures, "complaint", or what
    an operator said; `detail` the reply that it came from, "" without one.
    """

    address: str
    why: str
    at: float
    detail: str = ""


class Suppression:
    """
    The list, kept in `storage`; the section says what puts addresses on it, and for how long.

    `start` gets to know in the background what is on it; until then each look at it goes to the storage. Failures in
    `ours`, the domains that we are responsible for, put nobody on it: who has no mailbox there may get one.
    """

    def __init__(
        self,
        section: schema.Suppression,
        storage: IStorage,
        clock: IReactorTime,
        emit: Emit,
        ours: frozenset[str] = frozenset(),
    ) -> None:
        self.ours = ours
        self._storage = storage
        self._clock = clock
        self._emit = emit
        self._known: Bloom | None = None
        self._added: list[str] | None = None  # while the filter is made
        self._again: IDelayedCall | None = None
        self._under_way: set[Deferred[None]] = set()
        self._adding: set[str] = set()
        self._stopped = False
        self.reconfigure(section)

    def reconfigure(self, section: schema.Suppression) -> None:
        """
        Use another [delivery.suppression] from now on.
        """
        self.enabled = section.enabled
        self._section = section
        self._categories = frozenset(section.categories)

    def start(self) -> None:
        """
        Begin to read what is on the list.
        """
        self._in_background(self._learn(_ROOM))

    async def stop(self) -> None:
        """
        Finish what is being written.
        """
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        for each in tuple(self._under_way):
            await each

    def suppressed(self, address: Address) -> Suppressed | Awaitable[Suppressed | None] | None:
        """
        Tell whether an address gets no mail now: at once where it is not on the list. Never fails.
        """
        if not self.enabled or (self._known is not None and _key(address) not in self._known):
            return None
        return Deferred.fromCoroutine(self._look(address))

    async def find(self, address: Address) -> Suppressed | None:
        """
        Give the entry of an address, whether the list is in use or not; StorageError if it cannot be read.
        """
        key = _key(address)
        value = await self._storage.get(key)
        return None if value is None else _entry(key, value)

    async def entries(self, after: str = "", limit: int = 1000) -> list[Suppressed]:
        """
        Give the first entries behind the address `after` in their order, which is that of their text.
        """
        return [_entry(key, value) for key, value in await self._storage.items(after, limit)]

    async def add(self, address: Address, why: str, detail: str = "") -> bool:
        """
        Put an address on the list, for good or as long as the section says; False, and nothing is changed, if it is on
        it already. It is on stable storage when this returns.
        """
        key = _key(address)
        if key in self._adding:
            return False
        self._adding.add(key)
        try:
            if await self._storage.get(key) is not None:
                return False
            now = self._clock.seconds()
            value = json.dumps([why, now, detail[:LONGEST]], ensure_ascii=False)
            duration = self._section.duration
            await self._storage.put(key, value, now + duration if duration else None)
            self._learnt(key)
        finally:
            self._adding.discard(key)
        self._emit(AddressSuppressed(key, True, why))
        return True

    async def remove(self, address: Address, why: str = "") -> bool:
        """
        Take an address off the list; False if it is not on it.
        """
        key = _key(address)
        if await self._storage.get(key) is None:
            return False
        await self._storage.delete(key)
        self._emit(AddressSuppressed(key, False, why))
        return True

    def attempt_ended(self, event: AttemptEnded) -> None:
        """
        Hear of an attempt: who failed for good is put on the list in the background.
        """
        if not self.enabled or event.delivery.status is Status.COMPLETED:
            return
        if event.message.origin.source not in (Source.LOGIN, Source.TRUSTED):
            return
        for state in event.results:
            if state.status is Status.FAILED and state.category in self._categories and self._tells(state):
                self._in_background(self._add(state.address, state.category, str(state.reply)))

    async def heard(self, event: BounceReceived | ComplaintReceived) -> None:
        """
        Hear what came back about an address that is known for sure; StorageError if it cannot be put on the list now.
        """
        if not self.enabled or event.address is None:
            return
        match event:
            case BounceReceived():
                if event.action == "failed" and event.category in self._categories:
                    await self.add(event.address, event.category, event.detail)
            case ComplaintReceived():
                if self._section.complaints and event.kind != "not-spam":
                    await self.add(event.address, COMPLAINT, f"{event.kind} {event.reporter}".strip())

    def _tells(self, state: RecipientState) -> bool:
        """
        Tell whether a failure says anything about an address. What no host said does not if it is that the list itself
        refused him, who may be off it by now, that an operator bounced the mail, or that there is no such domain: it
        would be so for all domains at a resolver that lies for an hour, and is over when somebody has renewed one.
        """
        if state.address.domain in self.ours:
            return False
        if state.host:
            return True
        return not (state.category == BAD_DOMAIN or is_refusal(state.reply) or state.reply == BOUNCED.reply)

    async def _add(self, address: Address, why: str, detail: str) -> None:
        try:
            await self.add(address, why, detail)
        except StorageError as error:
            log.warn("<{address}> is not put on the suppression list: {error}", address=address, error=error)

    async def _look(self, address: Address) -> Suppressed | None:
        try:
            return await self.find(address)
        except StorageError as error:
            log.warn("the suppression list cannot be read, mail goes out: {error}", error=error)
            return None

    def _learnt(self, key: str) -> None:
        """
        Note that there is one more, and make a larger filter where this one is full.
        """
        known = self._known
        if known is None:
            if self._added is not None:
                self._added.append(key)
            return
        known.add(key)
        if known.count > known.room and not self._stopped:
            self._known = None
            self._in_background(self._learn(4 * known.room))

    async def _learn(self, room: int) -> None:
        """
        Make the filter of what is stored.
        """
        known, after = Bloom(room), ""
        self._added, self._again = [], None
        try:
            while not self._stopped and (page := await self._storage.items(after)):
                after = page[-1][0]
                for key, _ in page:
                    known.add(key)
                if known.count > known.room:
                    known, after = Bloom(4 * known.room), ""
        except StorageError as error:
            log.warn("the suppression list cannot be read whole, each look takes longer: {error}", error=error)
            self._added = None
            if not self._stopped:
                self._again = self._clock.callLater(_AGAIN, self.start)
            return
        for key in self._added:
            known.add(key)
        self._known, self._added = (None if self._stopped else known), None

    def _in_background(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        running = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: log.failure("the suppression list is not kept as it should be", failure))
        if not running.called:
            self._under_way.add(running)
            running.addCallback(lambda _: self._under_way.discard(running))


def _key(address: Address) -> str:
    return "@".join(key_of(address))


def _entry(key: str, value: str) -> Suppressed:
    """
    Read an entry; of what cannot be read at least the address counts.
    """
    try:
        why, at, detail = json.loads(value)
        return Suppressed(key, str(why), float(at), str(detail))
    except (ValueError, TypeError):
        return Suppressed(key, "", 0.0)
