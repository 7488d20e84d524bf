"""
What modules follow: life events, told to those whose modules have a hook for them.

Nothing is fatal or retried: a listener that raises or is late is logged and counted, and delays nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from empath.mail import life
from empath.mail.message import Message, Status
from empath.mail.session import Session
from empath.modules.blocking import is_blocking
from empath.modules.calls import mended, name_of
from empath.modules.guard import QUICK
from empath.modules.shadow import Shadows
from empath.modules.waiting import LATE, Wait, discard
from empath.modules.watch import Watch

MOST_PENDING: Final = 1000  # that one module may have under way
LOG_INTERVAL: Final = 60.0  # seconds between two tracebacks of one hook
DROPPED: Final = "dropped"  # as counts call an event that a module was not told of

_FAILED_ALONE: Final = "module {module}: {hook} failed: {reason}"
_FAILED: Final = frozenset({Status.FAILED, Status.EXPIRED})

E = TypeVar("E")
Subscribe = Callable[[type[Any], Callable[[Any], None]], Callable[[], None]]

log = Logger()


class Listener:
    """
    One module that listens with `hooks`; in shadow mode, to what happens to the copies of `shadows`.
    """

    __slots__ = ("_counts", "_logged", "_running", "_seconds", "_shadows", "_waits", "_watch", "hooks")

    def __init__(self, watch: Watch, hooks: dict[str, Callable[..., Any]], shadows: Shadows | None = None) -> None:
        self._watch = watch
        self._seconds = watch.clock.seconds
        self._shadows = shadows
        self._counts = {name: watch.counts.hook(name) for name in hooks}
        self.hooks = {
            name: partial(_threaded, watch.in_thread, hook) if is_blocking(hook) else hook
            for name, hook in hooks.items()
        }
        self._waits: dict[Wait, Deferred[None]] = {}
        self._running: set[str] = set()
        self._logged: dict[str, float] = {}

    def tell(self, name: str, *subject: Any) -> None:
        """
        Call a hook, if the module has it; never raises.
        """
        hook = self.hooks.get(name)
        if hook is None:
            return
        if name in self._running or len(self._waits) >= MOST_PENDING:  # running: it does what it is told of
            self._counts[name].decided(DROPPED)
            return
        began = self._seconds()
        self._running.add(name)
        try:
            answer = hook(*(subject if self._shadows is None else map(self._copied, subject)))
            if answer is None and 0.0 <= (took := self._seconds() - began) < QUICK:
                counts = self._counts[name]
                counts.quick += 1
                counts.quick_seconds += took
                return
            if isinstance(answer, Awaitable):
                self._wait(name, subject, began, answer)
                return
        except BaseException:  # SystemExit is no way out for a module either
            self._ended(name, subject, began, Failure())
            return
        finally:
            self._running.discard(name)
        self._ended(name, subject, began, answer)

    def tell_of_session(self, name: str, session: Session, *subject: Any) -> None:
        """
        The same where it may have left something in the session's metadata.
        """
        if name not in self.hooks:
            return
        if self._shadows is not None:
            self.tell(name, session, *subject)
            return
        before = session.metadata.copy()
        self.tell(name, session, *subject)
        if why := mended(session, before):
            self._failed(name, (session,), why)

    async def stop(self, bound: float) -> None:
        """
        Let what is under way come to its end within `bound` seconds, and cancel the rest.
        """
        clock = self._watch.clock
        left = clock.seconds() + bound
        for ended in list(self._waits.values()):
            timer = clock.callLater(max(0.0, left - clock.seconds()), _fire, ended)
            await ended
            if timer.active():
                timer.cancel()
        self.hooks = {}
        for wait in list(self._waits):
            wait.let_go()
        self._waits.clear()

    def _copied(self, each: Any) -> Any:
        """
        Give the copy of a session, or of a message, that the module may change.
        """
        if isinstance(each, Session) and self._shadows is not None:
            return self._shadows.of(each)
        return attrs.evolve(each, metadata=each.metadata.copy()) if isinstance(each, Message) else each

    def _wait(self, name: str, subject: tuple[Any, ...], began: float, answer: Awaitable[Any]) -> None:
        ended: Deferred[None] = Deferred()

        def done(came: Any) -> None:
            self._waits.pop(wait, None)
            self._ended(name, subject, began, came)
            _fire(ended)

        wait = Wait(self._watch.timeout, self._watch.clock, done)
        self._waits[wait] = ended
        wait.begin(answer)

    def _ended(self, name: str, subject: tuple[Any, ...], began: float, came: Any) -> None:
        self._counts[name].observe(max(0.0, self._seconds() - began))
        if came is LATE:
            self._failed(name, subject, f"not done within {self._watch.timeout:g} s")
        elif isinstance(came, Failure):
            self._failed(name, subject, f"{type(came.value).__name__}: {came.getErrorMessage()}"[:500], came)
        elif isinstance(came, Awaitable):
            discard(came)

    def _failed(self, name: str, subject: tuple[Any, ...], reason: str, failure: Failure | None = None) -> None:
        """
        Count it, and log it unless the hook has just been logged.
        """
        now = self._seconds()
        self._counts[name].failed()
        if 0.0 <= now - self._logged.get(name, -LOG_INTERVAL) < LOG_INTERVAL:
            return
        self._logged[name] = now
        says: dict[str, Any] = {} if failure is None else {"log_failure": failure}
        if about := _about(*subject):
            says["queue_id"] = about
        log.emit(
            LogLevel.error,
            "{queue_id}: module {module}: {hook} failed: {reason}" if about else _FAILED_ALONE,
            module=self._watch.name,
            hook=name,
            reason=reason,
            **says,
        )


class Listeners:
    """
    The modules that listen, subscribed to the events that at least one of them has a hook for: where there is none,
    nothing is asked of anybody.
    """

    __slots__ = ("_listeners", "_subscribe", "_subscribed")

    def __init__(self, subscribe: Subscribe) -> None:
        self._subscribe = subscribe
        self._subscribed: dict[type[Any], Callable[[], None]] = {}
        self._listeners: tuple[Listener, ...] = ()

    def use(self, listeners: Iterable[Listener]) -> None:
        """
        Tell these from now on, in their order.
        """
        self._listeners = tuple(listeners)
        hooks = {name for listener in self._listeners for name in listener.hooks}
        for event_type, (names, told) in _TOLD.items():
            if hooks.isdisjoint(names):
                if end := self._subscribed.pop(event_type, None):
                    end()
            elif event_type not in self._subscribed:
                self._subscribed[event_type] = self._subscribe(event_type, partial(self._tell, told))

    def _tell(self, told: Callable[[Listener, Any], None], event: Any) -> None:
        for listener in self._listeners:
            try:
                told(listener, event)
            except Exception:  # what is told of was spoilt before
                about = _about(getattr(event, "message", None), getattr(event, "session", None))
                log.failure(
                    "{queue_id}: a module could not be told of {event_type}",
                    queue_id=about or "NOQUEUE",
                    event_type=type(event).__name__,
                )


def _opened(listener: Listener, event: life.ConnectionOpened) -> None:
    listener.tell_of_session("on_connection_opened", event.session)


def _closed(listener: Listener, event: life.ConnectionClosed) -> None:
    listener.tell("on_connection_closed", event.session)


def _refused(listener: Listener, event: life.CommandAnswered) -> None:
    listener.tell_of_session("on_smtp_error", event.session, event.reply)


def _received(listener: Listener, event: life.MessageReceived) -> None:
    listener.tell("on_message_received", event.message)


def _looked_up(listener: Listener, event: life.LookedUp) -> None:
    listener.tell("on_dns_lookup", event.answer)


def _attempted(listener: Listener, event: life.AttemptEnded) -> None:
    """
    Tell of the attempt, and then of what came of it.
    """
    if listener.hooks.keys().isdisjoint(_ATTEMPTS):
        return
    message, attempt = event.message, event.attempt
    if message.delivery is not event.delivery:
        message = event.message = attrs.evolve(message, delivery=event.delivery)  # once for all listeners
        attempt.results = event.results
    came = {state.status for state in event.results}
    listener.tell("on_delivery_attempt", message, attempt)
    if Status.COMPLETED in came:
        listener.tell("on_delivery_success", message, attempt)
    if not came.isdisjoint(_FAILED):
        listener.tell("on_delivery_failure", message, attempt)


_ATTEMPTS: Final = ("on_delivery_attempt", "on_delivery_success", "on_delivery_failure")
_TOLD: Final[MappingProxyType[type[Any], tuple[tuple[str, ...], Callable[[Listener, Any], None]]]] = MappingProxyType(
    {
        life.ConnectionOpened: (("on_connection_opened",), _opened),
        life.ConnectionClosed: (("on_connection_closed",), _closed),
        life.CommandAnswered: (("on_smtp_error",), _refused),
        life.MessageReceived: (("on_message_received",), _received),
        life.LookedUp: (("on_dns_lookup",), _looked_up),
        life.AttemptEnded: (_ATTEMPTS, _attempted),
    }
)


def _threaded(in_thread: Callable[[Callable[[], Any]], Deferred[Any]], hook: Callable[..., Any], *subject: Any) -> Any:
    return in_thread(partial(hook, *subject))


def _about(*subjects: object) -> str:
    """
    Name, for the log, the first of these that has a name; "" for none.
    """
    return next(filter(None, map(name_of, subjects)), "")


def _fire(ended: Deferred[None]) -> None:
    if not ended.called:
        ended.callback(None)
