"""
The guard of one hook of one module: the hook is called, and whatever it does concerns the session that asked, no other.

Nothing is fatal. A hook that raises, is late, or returns or leaves behind what it may not, has failed: that is logged,
counted, and answered with 451, or passed over, as its section says. See `breaker` for one that fails again and again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from empath.errors import ModuleError, SpoolError, SpoolFull
from empath.interfaces import MaybeVerdict
from empath.mail.decision import Decision
from empath.mail.reply import Reply
from empath.mail.session import Session
from empath.modules.blocking import is_blocking
from empath.modules.breaker import ADMITTED
from empath.modules.calls import Call, text_of, unusable
from empath.modules.waiting import LATE, Wait, discard
from empath.modules.watch import Watch
from empath.policy.verdict import Action, Verdict

QUICK: Final = 0.0001  # seconds; the first bound of what is counted by duration
SLOW: Final = 0.1  # seconds in which a hook that waits for nothing has held up every session
SLOW_INTERVAL: Final = 60.0  # seconds between two warnings of it
LOCAL_ERROR: Final = Reply.of("451 4.3.0 local error, try again later")
NOT_STORED: Final = Reply.of("451 4.3.0 the message could not be stored, try again later")
NO_ROOM: Final = Reply.of("452 4.3.1 not enough room to store the message")
ERROR: Final = "error"  # as a Decision calls a failure

_Answer = MaybeVerdict | Awaitable[MaybeVerdict]

log = Logger()


class Guard:
    """
    A hook that judges, under guard. It never raises, and its Awaitable fails by cancellation only, which cancels what
    the module waits for. A hook that waits for nothing costs a plain call (hot-path rule P1).
    """

    __slots__ = ("_budget", "_observe", "_warned", "_watch", "ask", "breaker", "counts", "hook", "seconds")

    def __init__(self, watch: Watch, hook: str, ask: Callable[..., Any]) -> None:
        self.hook = hook
        self.ask = partial(_threaded, watch.in_thread, ask) if is_blocking(ask) else ask
        self.breaker = watch.breaker
        self.counts = watch.counts.hook(hook)
        self.seconds = watch.clock.seconds
        self._watch = watch
        self._budget = watch.data_timeout if hook == "data" else watch.timeout
        self._observe = self.counts.observe
        self._warned = 0.0

    def __call__(self, session: Session, *subject: Any) -> _Answer:
        """
        Ask about a session.
        """
        breaker, counts, before = self.breaker, self.counts, session.metadata.copy()
        admitted = breaker.admits(self.hook) if breaker.failures else ADMITTED
        if not admitted:
            return self.unasked(Call(session, 0.0, admitted, before))
        began = self.seconds()
        try:
            answer = self.ask(session, *subject)
            took = self.seconds() - began
            if answer is None and 0.0 <= took < QUICK and not breaker.failures and session.metadata == before:
                counts.quick += 1
                counts.quick_seconds += took
                return None
        except BaseException:  # SystemExit is no way out for a module either
            return self.look(Call(session, began, admitted, before), Failure())
        return self.look(Call(session, began, admitted, before), answer)

    def look(self, call: Call, answer: Any) -> _Answer:
        """
        See what a hook returned (what it raised is a Failure).
        """
        took = self.seconds() - call.began
        if took >= SLOW:
            self._warn(call, took)
        if answer is None or isinstance(answer, (Verdict, Failure)) or not isinstance(answer, Awaitable):
            return self._settled_safely(call, answer)
        waits = self._watch.waits
        told: Deferred[MaybeVerdict] = Deferred(lambda _: self._released(call, wait))

        def ended(came: Any) -> None:
            waits.discard(wait)
            told.callback(self._settled_safely(call, came))

        wait = Wait(self._budget, self._watch.clock, ended)
        waits.add(wait)
        wait.begin(answer)
        return told.result if told.called else told  # type: ignore[return-value]  # what `callback` was given

    def unasked(self, call: Call) -> MaybeVerdict:
        """
        Answer for a module that is not to be asked now.
        """
        self._count("unasked")
        return self._answered(call, f"not asked, as it failed {self.breaker.failures} times in a row")

    def _released(self, call: Call, wait: Wait) -> None:
        """
        The session has gone away: its question counts for nothing.
        """
        self._watch.waits.discard(wait)
        wait.let_go()
        self.breaker.released(call.admitted)

    def _settled_safely(self, call: Call, came: Any) -> MaybeVerdict:
        """
        The same as `_settled`, but for what nobody foresaw: who waits must hear of that as well.
        """
        try:
            return self._settled(call, came)
        except Exception:
            log.failure(
                "{queue_id}: module {module}: {hook} could not be judged",
                queue_id=call.name,
                module=self._watch.name,
                hook=self.hook,
            )
            self.counts.failed()
            self.breaker.failed(self.hook, call.admitted)
            return None if self._watch.ignore else Verdict(Action.REFUSE, LOCAL_ERROR, self._watch.name)

    def _settled(self, call: Call, came: Any) -> MaybeVerdict:
        """
        The hook is done: judge what came of it.
        """
        self._observe(max(0.0, self.seconds() - call.began))
        left = call.mend(self._watch.routed)
        if isinstance(came, Failure):
            return self._raised(call, came)
        if came is LATE:
            return self._failed(call, f"no answer within {self._budget:g} s")
        if reason := left or unusable(came):
            discard(came)
            return self._failed(call, reason)
        if self.breaker.failures:
            self.breaker.succeeded(self.hook, call.admitted)
        return None if came is None else self._decided(call, came)

    def _decided(self, call: Call, verdict: Verdict) -> MaybeVerdict:
        name = self._watch.name
        reply = "" if verdict.reply is None else str(verdict.reply)
        self._count(verdict.action.value)
        call.note(Decision(self.hook, name, verdict.action.value, reply, verdict.why))
        return None if verdict.action is Action.ACCEPT else attrs.evolve(verdict, decided_by=name)

    def _raised(self, call: Call, failure: Failure) -> MaybeVerdict:
        error = failure.value
        if isinstance(error, SpoolError) and self.hook == "data":  # the disk's fault, not the module's
            self.breaker.released(call.admitted)
            return Verdict(Action.REFUSE, NO_ROOM if isinstance(error, SpoolFull) else NOT_STORED, why=str(error))
        reason = text_of(error)
        return self._failed(call, reason, None if isinstance(error, ModuleError) else failure)

    def _failed(self, call: Call, reason: str, failure: Failure | None = None) -> MaybeVerdict:
        """
        The module did not do what it should have done.
        """
        name = self._watch.name
        self.counts.failed()
        call.put_back()
        says: dict[str, Any] = {} if failure is None else {"log_failure": failure}
        log.emit(
            LogLevel.error,
            "{queue_id}: module {module}: {hook} failed: {reason}",
            queue_id=call.name,
            module=name,
            hook=self.hook,
            reason=reason,
            **says,
        )
        self.breaker.failed(self.hook, call.admitted)
        return self._answered(call, reason)

    def _answered(self, call: Call, reason: str) -> MaybeVerdict:
        """
        Say what the section says for a module that fails.
        """
        name, ignore = self._watch.name, self._watch.ignore
        call.note(Decision(self.hook, name, ERROR, "" if ignore else str(LOCAL_ERROR), reason))
        return None if ignore else Verdict(Action.REFUSE, LOCAL_ERROR, name, reason)

    def _count(self, verdict: str) -> None:
        self.counts.decided(f"shadow-{verdict}" if self._watch.shadow else verdict)

    def _warn(self, call: Call, took: float) -> None:
        """
        Tell of a hook that held up all other sessions, now and then.
        """
        now = self.seconds()
        if self._warned and 0.0 <= now - self._warned < SLOW_INTERVAL:
            return
        self._warned = now
        log.warn(
            "{queue_id}: module {module}: {hook} held up all sessions for {seconds:.2f} s: make it async, or mark it "
            "@blocking",
            queue_id=call.name,
            module=self._watch.name,
            hook=self.hook,
            seconds=took,
        )


def _threaded(in_thread: Callable[[Callable[[], Any]], Deferred[Any]], hook: Callable[..., Any], *subject: Any) -> Any:
    return in_thread(partial(hook, *subject))
