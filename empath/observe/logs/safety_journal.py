"""
The log lines about what was stopped, by whom, and about what came back from mail that hosts had taken.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import ILogObserver, Logger, LogLevel

from empath.mail import life_safety
from empath.mail.session import Session
from empath.observe.life import LifeEvents
from empath.observe.logs.lines import cut

_UNKNOWN: Final = "NOQUEUE"  # as Postfix writes it


class SafetyJournal:
    """
    Listens to life events of stops and of returns, and logs them. `publish` is the log publisher.
    """

    __slots__ = ("_queue", "_receive", "_report")

    def __init__(self, publish: ILogObserver) -> None:
        self._queue = Logger("empath.queue", observer=publish)
        self._receive = Logger("empath.receive", observer=publish)
        self._report = Logger("empath.report", observer=publish)

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that makes a line.
        """
        events.subscribe(life_safety.DeliveryManaged, self._managed)
        events.subscribe(life_safety.DeliveryFrozen, self._frozen)
        events.subscribe(life_safety.SenderStopped, self._stopped)
        events.subscribe(life_safety.CopyRefused, self._copy)
        events.subscribe(life_safety.BounceReceived, self._bounced)
        events.subscribe(life_safety.ComplaintReceived, self._complained)
        events.subscribe(life_safety.AddressSuppressed, self._suppressed)

    def _managed(self, event: life_safety.DeliveryManaged) -> None:
        self._queue.info(
            "{queue_id}: {verb}: domain={domain} why=({why})" if event.why else "{queue_id}: {verb}: domain={domain}",
            queue_id=event.queue_id,
            verb=event.verb,
            domain=event.domain,
            why=cut(event.why),
        )

    def _frozen(self, event: life_safety.DeliveryFrozen) -> None:
        self._queue.emit(
            LogLevel.warn if event.frozen else LogLevel.info,
            "delivery to {where} is frozen" if event.frozen else "delivery to {where} goes on",
            where=event.domain or "all domains",
            domain=event.domain,
        )

    def _stopped(self, event: life_safety.SenderStopped) -> None:
        self._queue.emit(
            LogLevel.warn if event.stopped else LogLevel.info,
            "sender <{sender}> is stopped: {detail}" if event.stopped else "sender <{sender}> may send again: {detail}",
            sender=event.sender,
            detail=cut(event.detail),
        )

    def _copy(self, event: life_safety.CopyRefused) -> None:
        text = "{queue_id}: known by its idempotency key: nrcpt={nrcpt}, client={client}, helo=<{helo}>"
        self._receive.info(
            text + ", login=<{login}>" if event.session.login else text,
            queue_id=event.queue_id,
            nrcpt=len(event.recipients),
            client=client_of(event.session),
            helo=event.session.name,
            login=event.session.login,
        )

    def _bounced(self, event: life_safety.BounceReceived) -> None:
        self._report.info(
            "{queue_id}: bounce received: to=<{recipient}>, action={action}, dsn={dsn}, category={category} ({detail})",
            queue_id=event.queue_id or _UNKNOWN,
            recipient=event.address.text,
            action=event.action,
            dsn=event.status,
            category=event.category,
            detail=cut(event.detail),
        )

    def _complained(self, event: life_safety.ComplaintReceived) -> None:
        self._report.info(
            "{queue_id}: complaint received: to=<{recipient}>, kind={kind}, reporter={reporter}",
            queue_id=event.queue_id or _UNKNOWN,
            recipient="" if event.address is None else event.address.text,
            kind=cut(event.kind),
            reporter=cut(event.reporter),
        )

    def _suppressed(self, event: life_safety.AddressSuppressed) -> None:
        self._report.info(
            "<{recipient}> gets no more mail: {why}" if event.suppressed else "<{recipient}> gets mail again: {why}",
            recipient=event.address,
            why=cut(event.why),
        )


def client_of(session: Session) -> str:
    """
    Write a client as Postfix does; its name is not looked up.
    """
    return f"unknown[{session.peer}]:{session.port}" if session.port else f"unknown[{session.peer}]"
