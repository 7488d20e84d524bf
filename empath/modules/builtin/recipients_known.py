"""
What next hops have said of recipients: some of it in memory, all of it in the module's storage.

Fatal, retried: nothing. Ignored: storage that cannot be read or written; it is asked or told again with the next
answer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.errors import StorageError
from empath.modules import Address, IStorage, Reply
from empath.policy.mailbox import key_of

_LONGEST: Final = 200  # characters of a reply that are kept

log = Logger()


@attrs.frozen(slots=True)
class Answer:
    """
    What the next hop said of an address, and when, in seconds since the epoch; `refreshed` is when it was last asked
    again.
    """

    at: float
    reply: Reply
    refreshed: float = 0.0


@attrs.frozen(slots=True)
class Lifetimes:
    """
    How long an answer counts, in seconds; a positive one counts `stale` longer while the next hop is silent.
    """

    positive: float
    negative: float
    stale: float

    def fresh(self, answer: Answer, now: float) -> bool:
        """
        Tell whether an answer counts; not one of a time to come: the clock was set back.
        """
        return 0.0 <= now - answer.at < (self.positive if answer.reply.positive else self.negative)

    def usable(self, answer: Answer | None, now: float) -> bool:
        """
        Tell whether an answer is good enough where there is no other: an old yes is, an old no is not.
        """
        return answer is not None and answer.reply.positive and now < self.end(answer)

    def aging(self, answer: Answer, now: float) -> bool:
        """
        Tell whether a yes is to be refreshed, while it still counts.
        """
        return answer.reply.positive and now >= answer.at + self.positive / 2

    def end(self, answer: Answer) -> float:
        """
        Tell when an answer can be forgotten.
        """
        return answer.at + (self.positive + self.stale if answer.reply.positive else self.negative)


class Known:
    """
    The answers. Memory holds `most` of them, those that were used last.
    """

    def __init__(self, storage: IStorage, lifetimes: Lifetimes, most: int) -> None:
        self.lifetimes = lifetimes
        self._storage = storage
        self._most = most
        self._recent: OrderedDict[str, Answer] = OrderedDict()
        self._writing: set[Deferred[None]] = set()

    def __len__(self) -> int:
        return len(self._recent)

    def get(self, key: str) -> Answer | None:
        """
        Give what memory holds.
        """
        answer = self._recent.get(key)
        if answer is not None:
            self._recent.move_to_end(key)
        return answer

    def keep(self, key: str, answer: Answer) -> None:
        """
        Hold an answer in memory only.
        """
        self._recent[key] = answer
        self._recent.move_to_end(key)
        if len(self._recent) > self._most:
            self._recent.popitem(last=False)

    async def find(self, key: str) -> Answer | None:
        """
        Give what memory or storage holds.
        """
        known = self.get(key)
        if known is not None:
            return known
        try:
            text = await self._storage.get(key)
        except StorageError as trouble:
            log.warn("cannot read what is known of <{key}>: {trouble}", key=key, trouble=trouble)
            return None
        answer = None if text is None else _read(text)
        if answer is not None:
            self.keep(key, answer)
        return answer

    def learn(self, key: str, answer: Answer) -> None:
        """
        Hold an answer in memory, and store it; nobody waits for that.
        """
        self.keep(key, answer)
        writing = Deferred.fromCoroutine(self._store(key, answer))
        self._writing.add(writing)
        writing.addErrback(lambda failure: log.failure("<{key}> was not kept", failure, key=key))
        writing.addBoth(lambda _: self._writing.discard(writing))

    async def written(self) -> None:
        """
        Wait until all that was learnt is stored.
        """
        for writing in list(self._writing):
            await writing

    async def _store(self, key: str, answer: Answer) -> None:
        text = f"{answer.at!r} {answer.reply}"
        try:
            await self._storage.put(key, text, self.lifetimes.end(answer))
        except StorageError as trouble:
            log.warn("cannot keep what was said of <{key}>: {trouble}", key=key, trouble=trouble)


def heard(reply: Reply, now: float) -> Answer:
    """
    Make an answer of a reply, with no more words than are worth keeping.
    """
    words = " ".join(reply.lines)[:_LONGEST]
    return Answer(now, attrs.evolve(reply, lines=(words,)), now)


def cache_key(address: Address) -> str:
    """
    Give what an address is known by: case does not count.
    """
    local, domain = key_of(address)
    return f"{local}@{domain}"


def _read(text: str) -> Answer | None:
    """
    Read what `learn` stored; None if somebody else wrote it.
    """
    at, _, reply = text.partition(" ")
    try:
        return Answer(float(at), Reply.of(reply))
    except ValueError:
        return None
