"""
The one place that life events pass through: rooms tell, logs and counters (later the audit trail and traces) listen.

Nothing here is fatal or retried: a listener that raises is a bug, logged with its traceback, and harms nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twisted.logger import Logger

from empath.mail.life import LifeEvent

log = Logger()

E = TypeVar("E")


class LifeEvents:
    """
    Tells each event to those that subscribed to its type, in the order in which they did.
    """

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: dict[type[Any], tuple[Callable[[Any], None], ...]] = {}

    def subscribe(self, event_type: type[E], listener: Callable[[E], None]) -> Callable[[], None]:
        """
        Have `listener` called, at once and before `emit` returns, with every event of exactly this type, until what is
        returned is called.
        """
        self._listeners[event_type] = (*self._listeners.get(event_type, ()), listener)
        return partial(self._unsubscribe, event_type, listener)

    def _unsubscribe(self, event_type: type[E], listener: Callable[[E], None]) -> None:
        left = tuple(each for each in self._listeners.get(event_type, ()) if each is not listener)
        if left:
            self._listeners[event_type] = left
        else:
            self._listeners.pop(event_type, None)

    def emit(self, event: LifeEvent) -> None:
        """
        Tell the listeners; never raises. This is the `Emit` that every room is given.
        """
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:
                about = getattr(event, "message", event)
                log.failure(
                    "{queue_id}: {listener} failed on {event_type}",
                    queue_id=getattr(about, "queue_id", "NOQUEUE"),
                    listener=listener,
                    event_type=type(event).__name__,
                )
