"""
Whatever a hook does, who asked hears an answer that can be used, once, and within its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import ModuleError, SpoolError, SpoolFull
from empath.mail.address import Address, parse_address
from empath.mail.decision import MOST
from empath.mail.envelope import Recipient
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.modules import guard as guard_module
from empath.modules.blocking import blocking
from empath.modules.breaker import ADMITTED, OPEN
from empath.modules.guard import LOCAL_ERROR, Guard
from empath.modules.row import Row, guard_of
from empath.observe.metrics.modules import ModulesCounts
from empath.policy.verdict import Action, Verdict, accept, discard, disconnect, refuse
from empath.testing import content
from tests.modules.hosting import watch
from tests.modules.support import recipient, session, transaction

NO = refuse("550 5.7.1 no", "because")


class GuardCase(SynchronousTestCase):
    """
    Each test has a clock, a session in a transaction, and one module.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = ModulesCounts().of("test")
        self.session = session(metadata={"service": "smtp"})
        self.transaction = transaction(metadata={"service": "smtp"}, recipients=[recipient("first@example.org")])
        self.content = content(b"Subject: x\r\n\r\nbody\r\n")

    def guard(self, ask: Callable[..., Any], hook: str = "mail_from", **also: Any) -> Guard:
        """
        Guard a hook.
        """
        return guard_of(watch(self.clock, self.counts, **also), hook, ask)

    def ask(self, ask: Callable[..., Any] | Guard, hook: str = "mail_from", **also: Any) -> Any:
        """
        Ask a hook through its guard; a Deferred is given as it is.
        """
        guard = ask if isinstance(ask, Guard) else self.guard(ask, hook, **also)
        in_transaction = guard.hook in ("mail_from", "rcpt_to", "data")
        content = (self.content,) if guard.hook == "data" else ()
        return guard(self.session, self.transaction, *content) if in_transaction else guard(self.session)

    def returning(self, answer: Any, **also: Any) -> Any:
        """
        Ask a hook that returns something.
        """
        return self.ask(lambda *subject: answer, **also)

    def assert_failed(self, answer: Any, reason: str = "") -> None:
        """
        The declared answer was given for a failure, which was counted and recorded with a reason.
        """
        self.assertEqual((answer.action, answer.reply, answer.decided_by), (Action.REFUSE, LOCAL_ERROR, "test"))
        self.assertEqual(self.counts.hook("mail_from").errors, 1)
        (decision,) = self.transaction.decisions
        self.assertEqual((decision.hook, decision.module, decision.verdict), ("mail_from", "test", "error"))
        self.assertIn(reason, decision.why)
        self.assertEqual(answer.why, decision.why)


class OpinionTests(GuardCase):
    """
    What a module may say.
    """

    def test_no_opinion_leaves_nothing_behind(self) -> None:
        """
        The call is counted with its duration, and that is all.
        """
        self.assertIsNone(self.returning(None))
        self.assertIsNone(self.ask(lambda session: None, "connect"))
        self.assertEqual(
            (self.transaction.decisions, self.session.decisions, self.clock.getDelayedCalls()), ((), (), [])
        )
        for hook in ("mail_from", "connect"):
            durations = self.counts.hook(hook).durations
            self.assertEqual((sum(durations.counts), durations.counts[0], durations.total), (1, 1, 0.0))

    def test_a_refusal_names_the_module(self) -> None:
        """
        It is counted, and kept with the transaction with its reply and reason.
        """
        answer = self.returning(NO)
        self.assertEqual((answer.reply, answer.decided_by, answer.why), (NO.reply, "test", "because"))
        (decision,) = self.transaction.decisions
        self.assertEqual((decision.verdict, decision.reply, decision.why), ("refuse", "550 5.7.1 no", "because"))
        self.assertEqual(self.counts.hook("mail_from").verdicts, {"refuse": 1})
        self.assertEqual(self.counts.hook("mail_from").errors, 0)

    def test_acceptance_is_recorded_and_decides_nothing(self) -> None:
        """
        The others are still asked.
        """
        self.assertIsNone(self.returning(accept("on the list")))
        self.assertEqual([each.verdict for each in self.transaction.decisions], ["accept"])

    def test_every_kind_of_verdict(self) -> None:
        """
        To disconnect and to discard are decisions as well.
        """
        for verdict in (disconnect("421 4.7.0 go away"), discard("spam")):
            self.assertEqual(self.returning(verdict).action, verdict.action)
        self.assertEqual(self.counts.hook("mail_from").verdicts, {"disconnect": 1, "discard": 1})

    def test_what_is_said_of_a_session_is_kept_with_it(self) -> None:
        """
        Up to the bound: a client may say EHLO for ever.
        """
        guard = self.guard(lambda session: NO, "connect")
        for _ in range(MOST + 5):
            self.ask(guard)
        self.assertEqual((len(self.session.decisions), self.session.decisions[0].hook), (MOST, "connect"))

    def test_awaitables_of_all_kinds(self) -> None:
        """
        Coroutines, Deferreds, and whatever else can be awaited.
        """

        async def coroutine(*subject: object) -> Verdict:
            return NO

        @inlineCallbacks
        def generator(*subject: object) -> Generator[Deferred[None], None, Verdict]:
            yield succeed(None)
            return NO

        class Own:
            def __await__(self) -> Generator[Any, None, Verdict]:
                return succeed(NO).__await__()

        for hook in (coroutine, generator, lambda *subject: succeed(NO), lambda *subject: Own()):
            answer = self.ask(hook)
            self.assertEqual((answer.reply, answer.decided_by), (NO.reply, "test"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_within_its_budget(self) -> None:
        """
        What comes in time counts, and the timer is gone; the time waited is in the duration.
        """
        waiting: Deferred[Verdict] = Deferred()
        answer = self.returning(waiting, timeout=5.0)
        self.assertNoResult(answer)
        self.clock.advance(4.9)
        waiting.callback(NO)
        self.assertEqual(self.successResultOf(answer).decided_by, "test")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.counts.hook("mail_from").durations.total, 4.9)

    def test_the_hook_data_has_a_budget_of_its_own(self) -> None:
        """
        It may have to read much.
        """
        answer = self.ask(lambda *subject: Deferred(), "data", timeout=1.0, data_timeout=9.0)
        self.clock.advance(8.9)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(answer).reply, LOCAL_ERROR)

    def test_one_deferred_for_several_sessions(self) -> None:
        """
        Each hears the same.
        """
        shared: Deferred[Verdict] = Deferred()
        guard = self.guard(lambda *subject: shared)
        answers: list[Any] = [guard(self.session, self.transaction), guard(session(), transaction())]
        shared.callback(NO)
        self.assertEqual([self.successResultOf(each).reply for each in answers], [NO.reply, NO.reply])


class HostileTests(GuardCase):
    """
    What a module may not do, and does.
    """

    def raising(self, error: BaseException) -> Callable[..., Any]:
        def hook(*subject: object) -> None:
            raise error

        return hook

    def test_raising(self) -> None:
        """
        Any exception is a failure, with its traceback in the log.
        """
        with capturedLogs() as events:
            self.assert_failed(self.ask(self.raising(ZeroDivisionError("by zero"))), "ZeroDivisionError: by zero")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        (event,) = events
        self.assertEqual((event["log_level"], event["queue_id"], event["hook"]), (LogLevel.error, "Q1", "mail_from"))

    def test_what_would_end_a_program_ends_only_the_call(self) -> None:
        """
        At once, or from what is awaited.
        """
        for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit(), RecursionError(), MemoryError(), _Odd()):

            async def coroutine(*subject: object, error: BaseException = error) -> None:
                raise error

            for hook in (self.raising(error), coroutine, lambda *subject, error=error: fail(Failure(error))):
                self.assertEqual(self.ask(hook).reply, LOCAL_ERROR, repr(type(error)))
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 3)

    def test_recursion_without_end(self) -> None:
        """
        The stack is unwound, and all is well.
        """

        def hook(*subject: object) -> Any:
            return hook(*subject)

        self.assert_failed(self.ask(hook), "RecursionError")
        self.flushLoggedErrors(RecursionError)

    def test_garbage(self) -> None:
        """
        Anything but a verdict or None, at once or later; what has to be closed is.
        """

        def generator() -> Generator[None, None, None]:
            yield

        bad = (True, "550 no", (NO,), 550, generator(), object(), Verdict, NO.reply)
        for answer in bad:
            self.assertEqual(self.returning(answer).reply, LOCAL_ERROR)
            self.assertEqual(self.returning(succeed(answer)).reply, LOCAL_ERROR)
        self.assertIn("returned no verdict but bool", self.transaction.decisions[0].why)
        self.assertEqual(self.counts.hook("mail_from").errors, 2 * len(bad))

    def test_verdicts_that_are_none(self) -> None:
        """
        Made by hand, with what no client could be told.
        """
        made: Any = Verdict
        for verdict in (
            made("refuse", Reply.of("550 no")),
            made(Action.REFUSE, "550 no"),
            made(Action.REFUSE, Reply.of("250 ok")),
            made(Action.DISCONNECT, Reply.of("221 bye")),
            made(Action.REFUSE, Reply.of("550 no"), "x", 5),
        ):
            self.setUp()
            self.assert_failed(self.returning(verdict), "returned a verdict")

    def test_a_coroutine_in_a_coroutine_is_closed(self) -> None:
        """
        Nobody is told later that it was never awaited.
        """

        async def inner() -> None:
            raise AssertionError("never runs")

        async def outer(*subject: object) -> Any:
            return inner()

        self.assert_failed(self.ask(outer), "coroutine")

    def test_never_firing(self) -> None:
        """
        The time is over: the wait is cancelled, with one line and no traceback.
        """
        cancelled: list[object] = []
        with capturedLogs() as events:
            answer = self.returning(Deferred(cancelled.append), timeout=5.0)
            self.clock.advance(5)
        self.assert_failed(self.successResultOf(answer), "no answer within 5 s")
        self.assertEqual((len(cancelled), len(events), "log_failure" in events[0]), (1, 1, False))

    def test_what_it_does_when_its_time_is_over_is_nobodys_business(self) -> None:
        """
        A late answer, a late failure, and a coroutine that will not end.
        """
        late: Deferred[Verdict] = Deferred()
        answers = [self.returning(late)]

        async def stubborn(*subject: object) -> Verdict:
            for _ in range(3):
                with contextlib.suppress(CancelledError):
                    await Deferred()
            raise ZeroDivisionError

        async def failing(*subject: object) -> None:
            try:
                await Deferred()
            finally:
                raise ZeroDivisionError

        answers += [self.ask(stubborn), self.ask(failing)]
        self.clock.advance(5)
        self.assertEqual([self.successResultOf(each).reply for each in answers], [LOCAL_ERROR] * 3)
        late.callback(NO)  # who has it does not know
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_canceller_that_raises(self) -> None:
        """
        Its exception goes no further.
        """

        def canceller(_: object) -> None:
            raise SystemExit

        answer = self.returning(Deferred(canceller))
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(answer).reply, LOCAL_ERROR)

    def test_awaiting_what_is_not_twisteds(self) -> None:
        """
        A future of asyncio needs a loop that is not there.
        """
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def hook(*subject: object) -> None:
            await loop.create_future()

        self.assertEqual(self.ask(hook).reply, LOCAL_ERROR)
        self.flushLoggedErrors(RuntimeError)

    def test_its_own_cancellation_is_a_failure(self) -> None:
        """
        The session did not go away.
        """
        waiting: Deferred[None] = Deferred()
        answer = self.returning(waiting)
        waiting.cancel()
        self.assert_failed(self.successResultOf(answer), "CancelledError")
        self.flushLoggedErrors(CancelledError)

    def test_flooded_metadata(self) -> None:
        """
        What exceeds is taken back, of the session as well, and counts as a failure.
        """

        def flood(session: Session, transaction: Transaction) -> None:
            transaction.metadata["mine"] = "kept"
            transaction.metadata["flood"] = "x" * 70_000

        self.assert_failed(self.ask(flood), "metadata of 3 keys and 70")
        self.assertEqual(self.transaction.metadata, {"service": "smtp", "mine": "kept"})

        def garbage(session: Any) -> None:
            session.metadata[1] = None

        def other(session: Any) -> None:
            session.metadata = ["x"]

        for hook in (garbage, other):
            self.assertEqual(self.ask(hook, "connect").reply, LOCAL_ERROR)
            self.assertEqual(self.session.metadata, {"service": "smtp"})

    def test_an_envelope_that_cannot_be_used(self) -> None:
        """
        All that the hook made of it is put back, half of what it began to change too.
        """
        changes: list[Callable[[Any], object]] = [
            lambda mail: setattr(mail, "reverse_path", "text"),
            lambda mail: setattr(mail, "recipients", ("a",)),
            lambda mail: mail.recipients.append("text"),
            lambda mail: mail.recipients.append(Recipient("text")),  # type: ignore[arg-type]
            lambda mail: mail.rewrite(recipient("x@example.org"), "text"),
            lambda mail: setattr(mail, "priority", 11),
            lambda mail: setattr(mail, "priority", "high"),
            lambda mail: setattr(mail, "release", float("nan")),
            lambda mail: setattr(mail, "release", "tomorrow"),
            lambda mail: setattr(mail, "held", 1),
            lambda mail: setattr(mail, "routes", "x"),
            lambda mail: mail.redirect(5),
        ]
        for change in changes:
            self.setUp()
            before = repr(self.transaction)

            def hook(session: Session, mail: Transaction, change: Callable[[Any], object] = change) -> None:
                mail.priority = 1
                change(mail)

            self.assert_failed(self.ask(hook))
            self.transaction.decisions = ()
            self.assertEqual(repr(self.transaction), before)
            self.flushLoggedErrors()

    def test_content_of_a_hook_that_failed(self) -> None:
        """
        Has the header block that it had before; one whose body was changed is not taken, whatever the section says.
        """

        def honest(session: Session, mail: Transaction, content: Any) -> None:
            content.add("X-Honest", "1")
            content.append(b"footer\r\n")

        def failing(session: Session, mail: Transaction, content: Any) -> None:
            content.remove("Subject")
            raise ModuleError("no")

        async def emptying(session: Session, mail: Transaction, content: Any) -> None:
            content.replace_body(b"")
            raise ModuleError("no")

        for hook, fault in ((failing, ""), (emptying, "451 4.3.0")):
            self.content = content(b"Subject: x\r\n\r\nbody\r\n")
            guards: Any = [self.guard(each, "data", ignore=True) for each in (honest, hook, honest)]
            self.assertIsNone(Row(tuple(guards))(self.session, self.transaction, self.content))
            self.assertEqual(self.content.header, b"Subject: x\r\nX-Honest: 1\r\nX-Honest: 1\r\n")
            self.assertEqual(str(self.content.fault or "")[:9], fault)
        self.flushLoggedErrors()

    def test_a_route_that_is_not_there(self) -> None:
        """
        Mail redirected to a slip of the pen would bounce.
        """

        def routed(name: str) -> bool:
            return name == "archive"

        answer = self.ask(lambda session, mail: mail.redirect("archiv"), routed=routed)
        self.assert_failed(answer, '[delivery.domains."archiv"]')
        self.assertIsNone(self.transaction.routes)
        self.assertIsNone(self.ask(lambda session, mail: mail.redirect("archive"), routed=routed))

    def test_an_envelope_that_can_be_used(self) -> None:
        """
        Whatever a module may change stays changed.
        """

        def hook(session: Session, mail: Transaction) -> None:
            mail.reverse_path = None
            mail.recipients.append(recipient("more@example.org"))
            mail.rewrite(mail.recipients[0], parse_address("other@example.net"))
            mail.priority, mail.release = 3, 1e9
            mail.hold("look at it")
            mail.redirect("archive")
            mail.redirect("other", mail.recipients[0])
            mail.metadata["x"] = "y"

        self.assertIsNone(self.ask(hook))
        mail = self.transaction
        self.assertEqual((mail.priority, mail.held, len(mail.recipients), mail.decisions), (3, "look at it", 2, ()))
        self.assertEqual(self.counts.hook("mail_from").errors, 0)

    def test_what_was_changed_before_a_wait_or_after_it(self) -> None:
        """
        Is looked at when the answer is there.
        """
        waiting: Deferred[None] = Deferred()

        async def hook(session: Any, mail: Any) -> None:
            await waiting
            mail.reverse_path = 5

        answer = self.ask(hook)
        waiting.callback(None)
        self.assert_failed(self.successResultOf(answer), "reverse_path is no Address but int")

    def test_what_is_gone_or_cannot_be_looked_at(self) -> None:
        """
        Is put back as well, and answered as the section says; at once and after a wait, for a session and its
        transaction.
        """
        fields = [each.name for each in attrs.fields(Transaction) if each.init]
        spoilt = [*[partial(_delete, name=each) for each in fields], *[partial(_spoil, name=each) for each in fields]]
        for spoil in spoilt:
            self._spoil_and_ask(spoil, "rcpt_to", lambda: self.transaction)
        spoilt = [partial(_delete, name="metadata"), partial(_spoil, name="metadata"), partial(_spoil_metadata)]
        for spoil in spoilt:
            self._spoil_and_ask(spoil, "connect", lambda: self.session)

    def test_decisions_that_are_spoilt_begin_anew(self) -> None:
        """
        The failure is on record.
        """
        everything: tuple[Any, ...] = (None, [], _Bomb())
        for spoilt in everything:
            self.ask(partial(_spoil_decisions, spoilt), "connect")
            self.assertEqual([each.verdict for each in self.session.decisions], ["error"])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 3)

    def _spoil_and_ask(self, spoil: Callable[[Any], object], hook: str, subject: Callable[[], Any]) -> None:
        async def later(*subject: Any) -> None:
            await waiting
            spoil(subject[-1])

        for ignore in (False, True):
            self.setUp()
            waiting: Deferred[None] = Deferred()
            before = repr(subject())
            self.assert_answered(ignore, self.ask(lambda *subject: spoil(subject[-1]), hook, ignore=ignore))
            answer = self.ask(later, hook, ignore=ignore)
            waiting.callback(None)
            self.assert_answered(ignore, self.successResultOf(answer))
            self.flushLoggedErrors()
            self.assertEqual([each.verdict for each in subject().decisions], ["error", "error"])
            subject().decisions = ()
            self.assertEqual(repr(subject()), before)

    def assert_answered(self, ignore: bool, answer: Any) -> None:
        """
        The answer is what the section says for a failure.
        """
        if ignore:
            self.assertIsNone(answer)
        else:
            self.assertEqual((answer.reply, answer.decided_by), (LOCAL_ERROR, "test"))

    def test_what_is_not_a_modules_to_change(self) -> None:
        """
        Is put back, and the hook has failed.
        """
        changes: dict[str, Any] = {
            "queue_id": "Q2",
            "started": 5.0,
            "parameters": {"BODY": "8BITMIME"},
            "declared_size": 5,
            "accepted": 5,
            "decisions": (1,),
        }
        for name, value in changes.items():
            self.setUp()
            before = repr(self.transaction)
            self.assert_failed(self.ask(lambda session, mail: setattr(mail, name, value)), f"{name} is not a module's")  # noqa: B023 called at once
            self.transaction.decisions = ()
            self.assertEqual(repr(self.transaction), before)

    def test_addresses_that_nobody_can_write(self) -> None:
        """
        Made without `parse_address`, which would have refused them.
        """
        for local, domain, text in (("a", "b", "a@b>\r\nRCPT TO:<c@d"), ("a", "b\n", "a@b"), ("a", "b", None)):
            evil = Address(local, domain, text)  # type: ignore[arg-type]
            self.setUp()
            self.assert_failed(self.ask(lambda session, mail: setattr(mail, "reverse_path", evil)), "no Address")  # noqa: B023 called at once
            self.setUp()
            self.assert_failed(self.ask(lambda session, mail: mail.recipients.append(Recipient(evil))), "Recipients")  # noqa: B023 called at once

    def test_what_nobody_foresaw(self) -> None:
        """
        Who asked hears of it as well, and the breaker, so that it does not wait for ever for the call that finds out.
        """

        for ignore in (False, True):
            guard = self.guard(lambda *subject: accept(), "mail_from", ignore=ignore)
            for _ in range(3):
                guard.breaker.failed("mail_from", ADMITTED)
            self.clock.advance(60)
            self.patch(guard_module, "unusable", lambda came: 1 / 0)
            self.assert_answered(ignore, guard(session(), transaction()))
            self.assertEqual(guard.breaker.state, OPEN)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_leaves_no_cycles(self) -> None:
        """
        Memory is free as soon as the session is, without the garbage collector.
        """

        def at_once(*subject: object) -> None:
            raise ModuleError("busy")

        async def later(*subject: object) -> None:
            await waiting
            raise ModuleError("busy")

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for hook in (at_once, later, lambda *subject: waiting):  # noqa: B023 called at once
            for name in ("mail_from", "connect"):
                waiting: Deferred[None] = Deferred()
                mail, client = transaction(), session()
                left = weakref.ref(mail), weakref.ref(client)
                guard = self.guard(hook, name)
                answer = guard(client, mail) if name == "mail_from" else guard(client)
                waiting.callback(None)
                del mail, client, answer
                self.assertEqual([each() for each in left], [None, None], name)

    def test_a_slow_plain_hook_is_named(self) -> None:
        """
        It held up everyone: a warning, once a minute.
        """

        def hook(*subject: object) -> None:
            self.clock.advance(0.2)

        guard = self.guard(hook)
        with capturedLogs() as events:
            for _ in range(3):
                self.assertIsNone(self.ask(guard))
            self.clock.advance(60)
            self.ask(guard)
        self.assertEqual([(event["log_level"], event["hook"]) for event in events], [(LogLevel.warn, "mail_from")] * 2)
        self.assertIn("@blocking", events[0]["log_format"])

    def test_a_clock_that_is_set_back(self) -> None:
        """
        Makes no negative duration.
        """

        def hook(*subject: object) -> None:
            self.clock.rightNow -= 3600

        self.clock.advance(3600)
        self.assertIsNone(self.ask(hook))
        self.assertEqual(self.counts.hook("mail_from").durations.total, 0.0)


class AnswerTests(GuardCase):
    """
    What is answered for a module that fails, and while it is not asked.
    """

    def test_to_ignore_is_no_opinion(self) -> None:
        """
        The failure is recorded all the same.
        """
        self.assertIsNone(self.returning("garbage", ignore=True))
        (decision,) = self.transaction.decisions
        self.assertEqual((decision.verdict, decision.reply), ("error", ""))

    def test_after_failures_in_a_row_it_is_not_asked(self) -> None:
        """
        The answer is that of a failure; a minute later one call finds out, and all is as before.
        """
        asked: list[object] = []
        answers: list[Any] = ["garbage"] * 3 + [None] * 9

        def hook(*subject: object) -> Any:
            asked.append(subject)
            return answers[len(asked) - 1]

        guard = self.guard(hook)
        self.assertEqual([self.ask(guard).reply for _ in range(5)], [LOCAL_ERROR] * 5)
        self.assertEqual(len(asked), 3)
        self.assertIn("not asked, as it failed 3 times in a row", self.transaction.decisions[-1].why)
        self.assertEqual(self.counts.hook("mail_from").verdicts, {"unasked": 2})
        self.clock.advance(60)
        self.assertEqual([self.ask(guard), self.ask(guard), len(asked)], [None, None, 5])

    def test_one_call_at_a_time_finds_out(self) -> None:
        """
        Those who ask while it is under way hear what is said for a failure; for a session as well.
        """
        answers: list[Any] = ["garbage"] * 3
        guard = self.guard(lambda session: answers.pop(0), "connect")
        for _ in range(3):
            self.ask(guard)
        self.clock.advance(60)
        waiting: Deferred[None] = Deferred()
        answers += [waiting, None]
        trial = self.ask(guard)
        self.assertEqual(self.ask(guard).reply, LOCAL_ERROR)
        waiting.callback(None)
        self.assertIsNone(self.successResultOf(trial))
        self.assertIsNone(self.ask(guard))

    def test_the_session_that_goes_away_counts_for_nothing(self) -> None:
        """
        Its wait is cancelled; nothing is counted, recorded or logged; another may find out.
        """
        cancelled: list[object] = []
        answers: list[Any] = ["garbage"] * 3
        guard = self.guard(lambda *subject: answers.pop(0))
        for _ in range(3):
            self.ask(guard)
        self.clock.advance(60)
        answers += [Deferred(cancelled.append), NO]
        with capturedLogs() as events:
            answer = self.ask(guard)
            answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual((len(cancelled), events, self.counts.hook("mail_from").errors), (1, [], 3))
        self.assertEqual((len(self.transaction.decisions), self.clock.getDelayedCalls()), (3, []))
        self.assertEqual(self.ask(guard).decided_by, "test")

    def test_a_spool_that_fails_is_not_the_modules_fault(self) -> None:
        """
        What it wrote into the content could not be stored: 4yz whatever `on_error` says, and nothing is counted.
        """

        async def data(*subject: object) -> None:
            raise SpoolFull("full")

        for hook, code in ((data, 452), (self._broken_disk, 451)):
            answer = self.ask(hook, "data", ignore=True)
            self.assertEqual((answer.action, answer.reply.code, answer.decided_by), (Action.REFUSE, code, ""))
        self.assertEqual(self.counts.hook("data").errors, 0)

    def _broken_disk(self, *subject: object) -> None:
        raise SpoolError("broken")

    def test_blocking_hooks_run_in_a_thread(self) -> None:
        """
        What they return counts as if it had been awaited; busy threads are a failure without a traceback.
        """
        ran: list[object] = []

        def in_thread(call: Callable[[], Any]) -> Deferred[Any]:
            ran.append(call)
            return succeed(call()) if len(ran) == 1 else fail(ModuleError("all threads are busy"))

        @blocking
        def hook(session: Session, mail: Transaction) -> Verdict:
            return NO

        guard = self.guard(hook, in_thread=in_thread)
        self.assertEqual(self.ask(guard).reply, NO.reply)
        with capturedLogs() as events:
            self.assertEqual(self.ask(guard).why, "ModuleError: all threads are busy")
        self.assertNotIn("log_failure", events[0])

    def test_who_gives_up_waiting_answers_for_all(self) -> None:
        """
        When a module is taken away, those who wait for it hear what is said for a failure.
        """
        shared = watch(self.clock, self.counts)
        guard = guard_of(shared, "mail_from", lambda *subject: Deferred())
        answer: Awaitable[Any] = self.ask(guard)
        for wait in tuple(shared.waits):
            wait.give_up()
        assert isinstance(answer, Deferred)
        self.assertEqual((self.successResultOf(answer).reply, shared.waits), (LOCAL_ERROR, set()))


class _Odd(BaseException):
    """
    Has no text.
    """

    def __str__(self) -> str:
        raise ValueError


class _Bomb:
    """
    Does not let itself be compared or shown.
    """

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    def __repr__(self) -> str:
        raise ArithmeticError


def _delete(subject: Any, name: str) -> None:
    delattr(subject, name)


def _spoil(subject: Any, name: str) -> None:
    setattr(subject, name, _Bomb())


def _spoil_metadata(subject: Any) -> None:
    subject.metadata["service"] = _Bomb()


def _spoil_decisions(value: object, subject: Any) -> None:
    subject.decisions = value
    raise ArithmeticError
