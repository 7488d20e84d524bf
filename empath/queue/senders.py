"""
Senders that are stopped: their mail is held, and no more is taken from them, until they are released. A restart changes
nothing.

Retried: what the spool or the storage does not take now; meanwhile nothing new comes in all the same. So is reading who
was stopped: until that is known, mail of all is taken. Fatal: nothing. Ignored, but told: a note that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.config import schema
from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.mail.address import Address
from empath.mail.life import AttemptEnded, Emit, MessageReceived
from empath.mail.life_safety import SenderStopped
from empath.mail.message import Message
from empath.mail.origin import Origin, origin_of
from empath.policy.sender_breaker import (
    Limits,
    SenderBreaker,
    canonical_sender,
    failed_and_ended,
    mail_of,
    sender_of,
    to_release,
)
from empath.queue.errands import FIRST_PAUSE, Errands, followed
from empath.queue.sender_notes import StopNotes, StoppedSender
from empath.queue.under_way import HELD_FOR, RELEASED, UnderWay, Verbs

NOTES: Final = "the notes of who is stopped"
LONGEST_DETAIL: Final = 500  # characters

log = Logger()


Subscribe = Callable[[Any, Callable[[Any], None]], Callable[[], None]]
"""
Have a listener told of a type of life events, until what is returned is called.
"""


class Senders:
    """
    Stops senders, by the breaker of [delivery.sender_breaker] or by an operator, and releases them. One thing at a time
    is done for each.
    """

    def __init__(
        self,
        section: schema.SenderBreaker,
        verbs: Verbs,
        storage: IStorage,
        clock: IReactorTime,
        emit: Emit,
        subscribe: Subscribe,
    ) -> None:
        self._verbs = verbs
        self._notes = StopNotes(storage)
        self._clock = clock
        self._emit = emit
        self._subscribe = subscribe
        self._stopped: dict[str, StoppedSender] = {}
        self._errands = Errands(clock)
        self._under_way = UnderWay(verbs, self._errands)
        self._unsubscribe: tuple[Callable[[], None], ...] = ()
        self._enabled = section.enabled
        self._exempt: frozenset[str] = frozenset()
        self._breaker = SenderBreaker(_limits(section))
        self.reconfigure(section)

    def reconfigure(self, section: schema.SenderBreaker) -> None:
        """
        Use these limits from now on; who is stopped stays so.
        """
        self._breaker.reconfigure(_limits(section))
        self._exempt = frozenset(name for each in section.exempt for name in _names(each))
        self._enabled = section.enabled
        self._listen()

    # -- what reception asks

    def refuses(self, login: str, reverse_path: Address | None) -> bool:
        """
        Tell whether mail of a trusted client with this login ("": none) and reverse-path is not taken now.
        """
        return bool(self._stopped) and self._is_stopped(origin_of(True, login), reverse_path)

    def held(self, message: Message) -> str:
        """
        Tell why a message that is to be stored now is to be held, "" if it is not.
        """
        if not self._stopped or not self._is_stopped(message.origin, message.envelope.reverse_path):
            return ""
        self._under_way.add(message.queue_id)
        return HELD_FOR

    def stopping(self, message: Message) -> StoppedSender | None:
        """
        Tell that the sender of a message is stopped, None if it is not.
        """
        sender = sender_of(message.origin, message.envelope.reverse_path)
        return self._stopped.get(sender) if self._stands(sender) else None

    # -- what operators do

    def stopped(self) -> tuple[StoppedSender, ...]:
        """
        Tell who is stopped, in the order of their names.
        """
        return tuple(self._stopped[sender] for sender in sorted(self._stopped))

    async def stop(self, sender: str, why: str = "an operator stopped it") -> bool:
        """
        Take no more mail from a sender, at once, and hold all that there is of it; fires once that is done. False where
        it is stopped already; ValueError for what is no sender.
        """
        sender = canonical_sender(sender)
        mail_of(sender)
        errand = self._stop(sender, why)
        if errand is not None:
            await followed(errand)
        return errand is not None

    async def release(self, sender: str, why: str = "an operator released it") -> bool:
        """
        Take mail from a sender again, at once, and let go on what was held; fires once that is done. False where it is
        not stopped.
        """
        sender = canonical_sender(sender)
        stopped = self._stopped.get(sender)
        if stopped is None or stopped.released:
            return False
        self._breaker.forget(sender)
        self._stopped[sender] = attrs.evolve(stopped, released=True)
        self._emit(SenderStopped(sender, False, why))
        await followed(self._errands.begin(sender, self._release(sender)))
        return True

    # -- the service's side

    async def restore(self) -> None:
        """
        Take up who was stopped, and go on with what was under way.
        """
        try:
            await self._read()
        except StorageError as error:
            log.error("who is stopped cannot be read, mail of all senders is taken meanwhile: {error}", error=error)
            self._errands.begin(NOTES, self._restore_later())

    async def _restore_later(self) -> None:
        await deferLater(self._clock, FIRST_PAUSE)
        await self._errands.insist(NOTES, self._read)

    async def _read(self) -> None:
        """
        Go on where the last process was, but with those who were stopped meanwhile.
        """
        for each in await self._notes.read():
            if each.sender in self._stopped:
                continue
            self._stopped[each.sender] = each
            if each.released or not each.held:
                work = self._release(each.sender) if each.released else self._hold(each.sender)
                self._errands.begin(each.sender, work)
        self._listen()

    def close(self) -> None:
        """
        End what is under way; it goes on after the next start.
        """
        self._errands.close()

    def _is_stopped(self, origin: Origin, reverse_path: Address | None) -> bool:
        return self._stands(sender_of(origin, reverse_path))

    def _stands(self, sender: str) -> bool:
        stopped = self._stopped.get(sender)
        return stopped is not None and not stopped.released

    # -- events

    def _listen(self) -> None:
        """
        Hear of mail only while that is of use.
        """
        wanted = self._enabled or bool(self._stopped) or bool(self._under_way)
        if wanted and not self._unsubscribe:
            self._unsubscribe = (
                self._subscribe(MessageReceived, self._received),
                self._subscribe(AttemptEnded, self._ended),
            )
        elif not wanted:
            unsubscribe, self._unsubscribe = self._unsubscribe, ()
            for each in unsubscribe:
                each()

    def _received(self, event: MessageReceived) -> None:
        message = event.message
        sender = sender_of(message.origin, message.envelope.reverse_path)
        if not sender:
            return
        if self._under_way and self._under_way.arrived(message.queue_id):
            if not self._stands(sender):
                self._under_way.release(message.queue_id)
                self._listen()
        elif self._stands(sender):
            self._under_way.hold(message.queue_id, partial(self._stands, sender))
        elif sender not in self._stopped and self._enabled and sender not in self._exempt:
            why = self._breaker.sent(sender, len(message.envelope.recipients), self._clock.seconds())
            if why:
                self._stop(sender, why)

    def _ended(self, event: AttemptEnded) -> None:
        message = event.message
        sender = sender_of(message.origin, message.envelope.reverse_path)
        if not sender or not self._enabled or sender in self._stopped or sender in self._exempt:
            return
        failed, ended = failed_and_ended(event.results)
        if ended:
            why = self._breaker.came_to_end(sender, failed, ended, self._clock.seconds())
            if why:
                self._stop(sender, why)

    # -- errands

    def _stop(self, sender: str, why: str) -> Deferred[None] | None:
        before = self._stopped.get(sender)
        if before is not None and not before.released:
            return None
        since = self._clock.seconds() if before is None else before.since
        self._stopped[sender] = StoppedSender(sender, since, why[:LONGEST_DETAIL])
        self._listen()
        self._emit(SenderStopped(sender, True, why))
        return self._errands.begin(sender, self._hold(sender))

    async def _hold(self, sender: str) -> None:
        """
        Note that a sender is stopped, and hold its mail. If the clock goes back meanwhile, it is stopped since then.
        """
        insist = partial(self._errands.insist, sender)
        self._stop_since(sender, self._clock.seconds())
        await insist(lambda: self._notes.put(self._stopped[sender]))
        await insist(lambda: self._verbs.hold(mail_of(sender), HELD_FOR))
        self._stop_since(sender, self._clock.seconds())
        self._stopped[sender] = attrs.evolve(self._stopped[sender], held=True)
        await insist(lambda: self._notes.put(self._stopped[sender]))

    def _stop_since(self, sender: str, now: float) -> None:
        """
        Let what is held now be what is released with its sender.
        """
        stopped = self._stopped[sender]
        if now < stopped.since:
            self._stopped[sender] = attrs.evolve(stopped, since=now)

    async def _release(self, sender: str) -> None:
        """
        Note that it is released, let its mail go on, and forget it.
        """
        insist = partial(self._errands.insist, sender)
        await insist(lambda: self._notes.put(self._stopped[sender]))
        for selection in to_release(sender, self._stopped[sender].since, HELD_FOR):
            await insist(partial(self._verbs.release, selection, RELEASED))
        await insist(lambda: self._notes.forget(sender))
        del self._stopped[sender]
        self._listen()


def _limits(section: schema.SenderBreaker) -> Limits:
    return Limits(section.window, section.min_recipients, section.max_failure_ratio, section.max_recipients)


def _names(exempt: str) -> tuple[str, ...]:
    """
    Give the senders that one entry of `exempt` may mean: a login, or an address.
    """
    return (exempt, f"login:{exempt}", canonical_sender(exempt))
