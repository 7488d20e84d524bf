"""
Modules are told what happens, and delay nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from empath.mail import life
from empath.mail.answer import Answer, Found
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope
from empath.mail.message import Message, RecipientState, Status, deliveries_of
from empath.mail.reply import Reply
from empath.modules.blocking import blocking
from empath.modules.listening import MOST_PENDING, Listener, Listeners
from empath.modules.shadow import Shadows
from empath.modules.verifying import LISTENERS
from empath.observe.life import LifeEvents
from empath.observe.metrics.modules import ModulesCounts
from tests.modules.hosting import watch
from tests.modules.support import recipient, session

TO = recipient("user@example.org")
MESSAGE = Message("Q1", 0.0, Envelope(None, (TO,), {}), b"A: b\r\n", b"\r\n", None, 8, False)
(DELIVERY,) = deliveries_of(MESSAGE)
LOOKUP = Answer("example.org", "MX", Found.NO_NAME)


def attempted(*statuses: Status) -> life.AttemptEnded:
    """
    Make an attempt after which recipients stand like this.
    """
    results = tuple(RecipientState(TO, status) for status in statuses)
    return life.AttemptEnded(MESSAGE, DELIVERY, Attempt(1, 0.0), results)


class ListeningCase(SynchronousTestCase):
    """
    One module, and what happens.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = ModulesCounts().of("test")
        self.watch = watch(self.clock, self.counts, timeout=5.0)
        self.events = LifeEvents()
        self.listeners = Listeners(self.events.subscribe)
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.session = session(metadata={"service": "smtp"})

    def listen(self, **hooks: Any) -> Listener:
        """
        Let the module listen with these.
        """
        listener = Listener(self.watch, hooks)
        self.listeners.use([listener])
        return listener

    def recording(self, *names: str) -> dict[str, Any]:
        """
        Make hooks that record what they are told.
        """
        return {name: lambda *subject, name=name: self.told.append((name, subject)) for name in names}


class EventTests(ListeningCase):
    """
    Which hook hears of what.
    """

    def test_every_event(self) -> None:
        """
        With what its hook is promised.
        """
        self.listen(**self.recording(*LISTENERS))
        reply = Reply.of("550 5.7.1 no")
        for event in (
            life.ConnectionOpened(self.session),
            life.CommandAnswered(self.session, "RCPT", reply, None),
            life.ConnectionClosed(self.session, 1.0, "quit"),
            life.MessageReceived(MESSAGE, self.session, 0.1),
            life.LookedUp(LOOKUP, 0.1, False),
        ):
            self.events.emit(event)
        self.assertEqual(
            self.told,
            [
                ("on_connection_opened", (self.session,)),
                ("on_smtp_error", (self.session, reply)),
                ("on_connection_closed", (self.session,)),
                ("on_message_received", (MESSAGE,)),
                ("on_dns_lookup", (LOOKUP,)),
            ],
        )

    def test_attempts(self) -> None:
        """
        First of the attempt, then of success and of failure, with the delivery and its results.
        """
        self.listen(**self.recording(*LISTENERS))
        for statuses, names in (
            ((Status.RETRY,), ["attempt"]),
            ((Status.COMPLETED, Status.COMPLETED), ["attempt", "success"]),
            ((Status.FAILED,), ["attempt", "failure"]),
            ((Status.EXPIRED, Status.RETRY), ["attempt", "failure"]),
            ((Status.FAILED, Status.COMPLETED), ["attempt", "success", "failure"]),
        ):
            self.told.clear()
            event = attempted(*statuses)
            self.events.emit(event)
            self.assertEqual([name for name, _ in self.told], [f"on_delivery_{name}" for name in names])
            message, attempt = self.told[-1][1]
            self.assertEqual((message.queue_id, message.delivery), ("Q1", DELIVERY))
            self.assertEqual([state.status for state in attempt.results], list(statuses))

    def test_several_modules_hear_in_their_order(self) -> None:
        """
        Each all of an attempt, and the same objects.
        """
        hooks = [self.recording("on_delivery_attempt", "on_delivery_success") for _ in range(2)]
        other = Listener(self.watch, {"on_dns_lookup": print})
        self.listeners.use([Listener(self.watch, hooks[0]), other, Listener(self.watch, hooks[1])])
        self.events.emit(attempted(Status.COMPLETED))
        self.assertEqual([name for name, _ in self.told], ["on_delivery_attempt", "on_delivery_success"] * 2)
        self.assertIs(self.told[0][1][0], self.told[3][1][0])

    def test_what_nobody_follows_costs_nothing(self) -> None:
        """
        There is no subscription for it; and none any more once the module has gone.
        """
        self.listeners.use([])
        self.assertEqual(self.events._listeners, {})
        self.listen(**self.recording("on_dns_lookup"))
        self.assertEqual(list(self.events._listeners), [life.LookedUp])
        self.listen(**self.recording("on_message_received"))
        self.assertEqual(list(self.events._listeners), [life.MessageReceived])
        self.listeners.use([])
        self.assertEqual(self.events._listeners, {})


class ContainmentTests(ListeningCase):
    """
    What a listener does concerns only itself.
    """

    def hear(self, hook: Any) -> Listener:
        """
        Tell a hook of a look-up.
        """
        listener = self.listen(on_dns_lookup=hook)
        self.events.emit(life.LookedUp(LOOKUP, 0.1, False))
        return listener

    def errors(self) -> int:
        return self.counts.hook("on_dns_lookup").errors

    def test_raising(self) -> None:
        """
        Is counted each time, and logged once a minute.
        """
        for error in (ZeroDivisionError("x"), SystemExit()):

            def hook(lookup: Answer, error: BaseException = error) -> None:
                raise error

            with capturedLogs() as events:
                listener = self.hear(hook)
                for _ in range(3):
                    listener.tell("on_dns_lookup", LOOKUP)
                self.clock.advance(60)
                listener.tell("on_dns_lookup", LOOKUP)
            self.assertEqual([event["log_level"] for event in events], [LogLevel.error] * 2)
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 2)
        self.assertEqual(self.errors(), 10)

    def test_what_it_returns_does_not_matter(self) -> None:
        """
        Nor what an Awaitable brings.
        """

        async def inner() -> None: ...

        for answer in (5, "text", object(), succeed(5), succeed(inner())):
            self.hear(lambda lookup, answer=answer: answer)
        self.assertEqual((self.errors(), self.clock.getDelayedCalls()), (0, []))

    def test_waits_in_the_background(self) -> None:
        """
        Within its time.
        """
        waiting: Deferred[None] = Deferred()

        async def hook(lookup: Answer) -> None:
            await waiting

        self.hear(hook)
        self.clock.advance(4)
        waiting.callback(None)
        self.assertEqual((self.errors(), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.counts.hook("on_dns_lookup").durations.total, 4)
        self.hear(lambda lookup: Deferred())
        self.clock.advance(5)
        self.assertEqual(self.errors(), 1)

    def test_a_late_failure(self) -> None:
        """
        Is logged with its traceback.
        """
        waiting: Deferred[None] = Deferred()
        self.hear(lambda lookup: waiting)
        waiting.errback(ZeroDivisionError())
        self.assertEqual((self.errors(), len(self.flushLoggedErrors(ZeroDivisionError))), (1, 1))

    def test_a_bounded_number_is_under_way(self) -> None:
        """
        Beyond it the module is not told, and that is counted.
        """
        waiting: list[Deferred[None]] = []

        def hook(lookup: Answer) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        listener = self.hear(hook)
        for _ in range(MOST_PENDING + 5):
            listener.tell("on_dns_lookup", LOOKUP)
        self.assertEqual(len(waiting), MOST_PENDING)
        self.assertEqual(self.counts.hook("on_dns_lookup").verdicts, {"dropped": 6})
        waiting[0].callback(None)
        listener.tell("on_dns_lookup", LOOKUP)
        self.assertEqual(len(waiting), MOST_PENDING + 1)

    def test_what_it_causes_itself_it_is_not_told(self) -> None:
        """
        A look-up while it hears of a look-up would never end.
        """
        calls: list[Answer] = []

        def hook(lookup: Answer) -> None:
            calls.append(lookup)
            self.events.emit(life.LookedUp(LOOKUP, 0.0, True))

        self.hear(hook)
        self.assertEqual((len(calls), self.errors()), (1, 0))

    def test_nor_when_it_is_a_coroutine(self) -> None:
        """
        Whose first part runs at once as well.
        """
        calls: list[Answer] = []

        async def hook(lookup: Answer) -> None:
            calls.append(lookup)
            self.events.emit(life.LookedUp(LOOKUP, 0.0, True))

        self.hear(hook)
        self.assertEqual((len(calls), self.errors()), (1, 0))

    def test_what_was_spoilt_is_the_trouble_of_one_session(self) -> None:
        """
        The metadata of which is gone, say: it is as before, or the others are told of all the same.
        """
        for spoil in (lambda session: delattr(session, "metadata"), lambda session: session.metadata.update(a=_Bomb())):
            self.listen(on_connection_opened=spoil)
            self.events.emit(life.ConnectionOpened(self.session))
            self.assertEqual(self.session.metadata, {"service": "smtp"})
        told = Listener(watch(self.clock), self.recording("on_connection_closed"))
        self.listeners.use([Listener(self.watch, {"on_connection_opened": spoil}), told])
        del self.session.metadata
        self.events.emit(life.ConnectionOpened(self.session))
        self.events.emit(life.ConnectionClosed(self.session, 1.0, "quit"))
        self.assertEqual((len(self.flushLoggedErrors(AttributeError)), len(self.told)), (1, 1))

    def test_the_log_names_what_it_was_told_of(self) -> None:
        """
        The message, or the session; a look-up belongs to none.
        """

        def broken(*subject: object) -> None:
            raise ZeroDivisionError

        async def late(*subject: object) -> None:
            await Deferred()

        about_session = f"session {self.session.session_id}"
        for name, event, about in (
            ("on_message_received", life.MessageReceived(MESSAGE, self.session, 0.1), "Q1"),
            ("on_delivery_attempt", attempted(Status.RETRY), "Q1"),
            ("on_connection_opened", life.ConnectionOpened(self.session), about_session),
            ("on_dns_lookup", life.LookedUp(LOOKUP, 0.1, False), None),
        ):
            for hook in (broken, late):
                self.listen(**{name: hook})
                with capturedLogs() as events:
                    self.events.emit(event)
                    self.clock.advance(5)
                begins = f"{about}: module test: " if about else "module test: "
                self.assertEqual([each.get("queue_id") for each in events], [about])
                self.assertTrue(str(formatEvent(events[0])).startswith(f"{begins}{name} failed: "))
        self.flushLoggedErrors(ZeroDivisionError)

    def test_in_shadow_mode_it_hears_of_copies(self) -> None:
        """
        Those that its hooks that judge know; what it makes of them is nobody else's.
        """

        def opened(session: Any) -> None:
            session.metadata["seen"] = "x"

        def received(message: Message) -> None:
            message.metadata["seen"] = "x"

        shadows = Shadows()
        self.watch = watch(self.clock, self.counts, shadow=True)
        self.listeners.use(
            [Listener(self.watch, {"on_connection_opened": opened, "on_message_received": received}, shadows)]
        )
        self.events.emit(life.ConnectionOpened(self.session))
        self.assertEqual((self.session.metadata, shadows.of(self.session).metadata["seen"]), ({"service": "smtp"}, "x"))
        self.events.emit(life.MessageReceived(MESSAGE, self.session, 0.0))
        self.assertEqual((MESSAGE.metadata, self.errors()), ({}, 0))

    def test_blocking_listeners_run_in_a_thread(self) -> None:
        """
        As hooks that judge do.
        """
        ran: list[Any] = []

        def in_thread(call: Any) -> Deferred[None]:
            ran.append(call)
            return succeed(None)

        self.watch = watch(self.clock, self.counts, in_thread=in_thread)
        self.hear(blocking(lambda lookup: None))
        self.assertEqual(len(ran), 1)

    def test_metadata_of_a_session_stays_within_bounds(self) -> None:
        """
        A listener may leave something there, no more than a hook may.
        """

        def fine(session: Any) -> None:
            session.metadata["client"] = "x"

        def flood(session: Any, *reply: Reply) -> None:
            session.metadata["flood"] = "x" * 70_000

        def other(session: Any) -> None:
            session.metadata = None

        for hook in (fine, flood, other):
            self.listen(on_connection_opened=hook)
            self.events.emit(life.ConnectionOpened(self.session))
            self.assertEqual(self.session.metadata, {"service": "smtp", "client": "x"})
        self.assertEqual(self.counts.hook("on_connection_opened").errors, 2)


class StopTests(ListeningCase):
    """
    What is under way when empath stops.
    """

    def test_gets_a_little_time(self) -> None:
        """
        Then it is cancelled, and nothing is counted.
        """
        waiting = [Deferred[None]() for _ in range(3)]
        listener = self.listen(on_dns_lookup=lambda lookup: waiting[len(self.told)])
        for number in range(3):
            self.told = [("", ())] * number
            listener.tell("on_dns_lookup", LOOKUP)
        stopped = Deferred.fromCoroutine(listener.stop(2.0))
        waiting[0].callback(None)
        self.clock.advance(1)
        waiting[1].callback(None)
        self.assertNoResult(stopped)
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertTrue(waiting[2].called)
        self.assertEqual((self.counts.hook("on_dns_lookup").errors, self.clock.getDelayedCalls()), (0, []))

    def test_hears_of_nothing_any_more(self) -> None:
        """
        Its module is stopped next.
        """
        listener = self.listen(**self.recording("on_dns_lookup"))
        self.successResultOf(Deferred.fromCoroutine(listener.stop(2.0)))
        self.events.emit(life.LookedUp(LOOKUP, 0.0, True))
        self.assertEqual(self.told, [])

    def test_with_nothing_under_way_it_is_at_once(self) -> None:
        """
        There is nothing to wait for.
        """
        self.successResultOf(Deferred.fromCoroutine(self.listen().stop(2.0)))


class _Bomb:
    """
    Does not let itself be compared.
    """

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    __hash__ = None  # type: ignore[assignment]
