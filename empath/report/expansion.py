"""
The word that a recipient stood for several others, told to who asked for one on success (RFC 3461 §5.2.7).

It is stored after its message, before the client hears of that. Ignored, but told: a word that cannot be stored, or
made; the message is on its way.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.mail.expansion import Expanded, notices_of_expansion
from empath.mail.life import Emit, MessageReceived, ReportDropped, ReportQueued
from empath.mail.message import Delivery, Message
from empath.mail.notice import Action, Notice

log = Logger()


class Expansions:
    """
    Has reports made by `report`, stored by `store`, and sent by `fresh`.
    """

    def __init__(
        self,
        report: Callable[[Message, tuple[Notice, ...]], tuple[Message, tuple[Delivery, ...]] | None],
        store: Callable[[Message, tuple[Delivery, ...]], Deferred[None]],
        fresh: Callable[[Message, tuple[Delivery, ...]], None],
        emit: Emit,
    ) -> None:
        self._report = report
        self._store = store
        self._fresh = fresh
        self._emit = emit

    def tell(self, message: Message, expanded: list[Expanded]) -> Deferred[None] | None:
        """
        Tell the sender of a message that was stored; fires when that is stored too, or cannot be, and never fails. None
        if there is nothing to wait for.
        """
        try:
            notices = notices_of_expansion(message, expanded)
            made = self._report(message, notices) if notices else None
        except Exception:
            log.failure("{queue_id}: no report of the expansion could be made", queue_id=message.queue_id)
            return None
        if made is None:
            return None
        stored = self._store(*made)
        stored.addCallbacks(self._stored, self._failed, callbackArgs=(message, *made), errbackArgs=(message,))
        return stored

    def _stored(self, _: None, message: Message, report: Message, deliveries: tuple[Delivery, ...]) -> None:
        self._emit(MessageReceived(report, None, 0.0))
        self._emit(ReportQueued(message, report, Action.EXPANDED))
        self._fresh(report, deliveries)

    def _failed(self, failure: Failure, message: Message) -> None:
        self._emit(ReportDropped(message, f"the report of its expansion cannot be stored: {failure.getErrorMessage()}"))
