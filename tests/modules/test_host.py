"""
All modules together: started before mail comes, replaced while it does, and stopped when it has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Module
from empath.config.units import Duration, Options
from empath.errors import ConfigError, ModuleError
from empath.interfaces import IComponent, IServices
from empath.mail import life
from empath.mail.session import Session, Transaction
from empath.modules import host, loading
from empath.modules.breaker import ADMITTED
from empath.modules.chain import CHANGED
from empath.modules.host import GRACE, Modules
from empath.modules.hosted import LAST_EVENTS, START_BOUND, STOP_BOUND
from empath.modules.lifecycle import STOP_ALL
from empath.modules.loading import LoadedModule
from empath.observe.life import LifeEvents
from empath.observe.metrics.modules import ModulesCounts
from empath.policy.verdict import Verdict, refuse
from tests.modules.hosting import Named, surroundings
from tests.modules.support import session, transaction

NO = refuse("550 5.7.1 no")


class Recording(Named):
    """
    Tells what happens to it; `starting` and `stopping` are what its start and stop return, or raise.
    """

    def __init__(self, name: str, told: list[str], starting: Any = None, stopping: Any = None) -> None:
        super().__init__(name)
        self._told = told
        self.starting, self.stopping = starting, stopping
        self.services: Any = None

    def start(self, services: IServices) -> Any:
        """
        Begin.
        """
        self._told.append(f"{self.name} starts")
        self.services = services
        return _given(self.starting)

    def stop(self) -> Any:
        """
        End.
        """
        self._told.append(f"{self.name} stops")
        return _given(self.stopping)

    def mail_from(self, session: Session, transaction: Transaction) -> Verdict | None:
        """
        Take note.
        """
        transaction.metadata[self.name] = "asked"
        return None

    def on_message_received(self, message: object) -> None:
        """
        Take note.
        """
        self._told.append(f"{self.name} hears")


def _given(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer


class HostCase(SynchronousTestCase):
    """
    Modules that tests make, a clock, and life events.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.told: list[str] = []
        self.events = LifeEvents()
        self.counts = ModulesCounts()
        self.oldest = inf
        self.present: list[LoadedModule] = []

    def section(self, name: str, at: int = 0, **also: Any) -> tuple[str, Module]:
        """
        Make the section of a module that tests refuse with `at`.
        """
        return f"modules[{at}]", Module(f"{__name__}:Recording", name=name, options=Options({"at": at}), **also)

    def module(self, name: str, at: int = 0, starting: Any = None, stopping: Any = None, **also: Any) -> Recording:
        """
        Make a module, for a section of that name.
        """
        made = Recording(name, self.told, starting, stopping)
        self.present.append(LoadedModule(name, made, self.section(name, at, **also)[1]))
        return made

    def host(self, *core: object) -> Modules:
        """
        Host all modules that were made.
        """
        around = surroundings(self.clock, counts=self.counts.of)
        sections = [("modules[0]", each.section) for each in self.present]
        return Modules(sections, around, self.events.subscribe, core, self.present, lambda: self.oldest)

    def adding(self, modules: Modules, *made: Recording) -> Callable[[object], object]:
        """
        Let sections of a reload find these modules, as if their factories made them.
        """
        by_name = {each.name: each for each in made}

        def make(section: Module) -> LoadedModule:
            return LoadedModule(section.name, by_name[section.name], section)

        self.patch(loading, "_made", make)
        return modules.reconfigure

    def asked(self, modules: Modules, mail: Transaction | None = None) -> list[str]:
        """
        Tell who was asked about a transaction.
        """
        mail = mail or transaction(started=self.clock.seconds() + 0.5)
        self.assertIsNone(modules.decisions.mail_from(session(), mail))
        return list(mail.metadata)


class StartTests(HostCase):
    """
    How modules begin, or do not.
    """

    def test_is_a_component(self) -> None:
        """
        As the others of the service.
        """
        verifyObject(IComponent, self.host())

    def test_without_modules_nothing_begins(self) -> None:
        """
        No subscription, no line in the log.
        """
        modules = self.host()
        with capturedLogs() as events:
            self.assertIsNone(modules.start())
            self.successResultOf(Deferred.fromCoroutine(modules.stop()))
        self.assertEqual((self.events._listeners, events), ({}, []))

    def test_starts_in_order_and_stops_in_reverse(self) -> None:
        """
        Those that listen hear what happens in between.
        """
        self.module("a"), self.module("b")
        modules = self.host()
        self.assertIsNone(modules.start())
        self.assertEqual(self.asked(modules), ["a", "b"])
        self.events.emit(life.MessageReceived(None, None, 0.0))  # type: ignore[arg-type]  # nobody looks at it
        self.successResultOf(Deferred.fromCoroutine(modules.stop()))
        self.assertEqual(self.told, ["a starts", "b starts", "a hears", "b hears", "b stops", "a stops"])
        self.events.emit(life.MessageReceived(None, None, 0.0))  # type: ignore[arg-type]  # as above
        self.assertEqual(len(self.told), 6)

    def test_core_is_asked_first(self) -> None:
        """
        Whom it refuses no module sees.
        """

        class Core:
            def mail_from(self, session: Session, transaction: Transaction) -> Verdict:
                return NO

        self.module("a")
        modules = self.host(Core())
        mail = transaction()
        self.assertIs(modules.decisions.mail_from(session(), mail), NO)
        self.assertEqual(mail.metadata, {})

    def test_one_that_refuses_to_start(self) -> None:
        """
        Is told in one line; those before it are stopped, those behind it never start.
        """
        for error, said in (
            (ValueError("line 1: no\n line 2: nor that"), "line 1: no; line 2: nor that"),
            (OSError(2, "No such file"), "[Errno 2] No such file"),
            (KeyError("x"), "KeyError: 'x'"),
            (SystemExit(3), "SystemExit: 3"),
            (ValueError(), "ValueError"),
        ):
            self.setUp()
            self.module("a"), self.module("b", starting=error), self.module("c")
            with self.assertRaises(ModuleError) as caught:
                self.host().start()
            self.assertEqual(str(caught.exception), f"module b: start: {said}")
            self.assertEqual(self.told, ["a starts", "b starts", "a stops"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError, SystemExit)), 2)

    def test_awaiting_what_is_there_already(self) -> None:
        """
        Is as if it had not been awaited, whether it starts or not.
        """

        async def fine() -> None: ...

        async def failing() -> None:
            raise ValueError("no")

        self.module("a", starting=fine())
        self.assertIsNone(self.host().start())
        self.module("b", starting=failing())
        self.present[0].module.starting = None
        self.assertRaises(ModuleError, self.host().start)
        self.assertEqual(self.told[1:], ["a starts", "b starts", "a stops"])

    def test_who_connects_waits_for_all(self) -> None:
        """
        Nobody is served, or told anything, before all have started.
        """
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()
        self.module("a", starting=first), self.module("b", starting=second)
        modules = self.host()
        started: Any = modules.start()
        connected: Any = modules.decisions.connect(session())
        second.callback(None)
        self.assertNoResult(started)
        self.assertEqual(self.events._listeners, {})
        first.callback(None)
        self.successResultOf(started)
        self.assertIsNone(self.successResultOf(connected))
        self.assertIsNone(modules.decisions.connect(session()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_fails_later_or_never_starts(self) -> None:
        """
        The others are not waited for; what it says is told.
        """
        for error, said in ((ValueError("no"), "no"), (None, f"not done within {START_BOUND:g} s")):
            self.setUp()
            failing: Deferred[None] = Deferred()
            other: Deferred[None] = Deferred()
            self.module("a", starting=failing), self.module("b", starting=other), self.module("c")
            modules = self.host()
            started: Any = modules.start()
            if error is None:
                self.clock.advance(START_BOUND)
            else:
                failing.errback(error)
            self.assertEqual(str(self.failureResultOf(started, ModuleError).value), f"module a: start: {said}")
            self.assertTrue(other.called)
            self.successResultOf(Deferred.fromCoroutine(modules.stop()))
            self.assertEqual(self.told[3:], ["c stops"])

    def test_a_stop_while_modules_start(self) -> None:
        """
        Cancels it.
        """
        waiting: Deferred[None] = Deferred()
        self.module("a", starting=waiting)
        modules = self.host()
        started: Any = modules.start()
        started.addErrback(lambda _: None)
        self.successResultOf(Deferred.fromCoroutine(modules.stop()))
        self.assertEqual((waiting.called, self.told, self.clock.getDelayedCalls()), (True, ["a starts"], []))

    def test_sections_are_what_modules_are_watched_by(self) -> None:
        """
        Mode, answer, budgets, breaker.
        """
        self.module("a", mode="shadow")
        self.module("b", on_error="ignore", timeout=Duration(1.0), failure_threshold=1)
        modules = self.host()
        modules.start()
        self.assertEqual(self.asked(modules), ["b"])
        watch = modules._hosted[1].watch
        self.assertEqual((watch.ignore, watch.timeout, watch.data_timeout), (True, 1.0, 60.0))
        watch.breaker.failed("mail_from", ADMITTED)
        self.assertEqual([self.counts.of(name).breaker() for name in "ab"], [0, 1])


class StopTests(HostCase):
    """
    How modules end.
    """

    def stop(self, modules: Modules) -> Deferred[None]:
        return Deferred.fromCoroutine(modules.stop())

    def test_goes_on_whatever_one_does(self) -> None:
        """
        It raises, fails, or never ends: the others are stopped.
        """

        async def failing() -> None:
            raise KeyError

        for name, stopping in (("a", None), ("b", SystemExit()), ("c", failing()), ("d", Deferred())):
            self.module(name, stopping=stopping)
        modules = self.host()
        modules.start()
        stopped = self.stop(modules)
        self.assertNoResult(stopped)
        self.clock.advance(STOP_BOUND)
        self.successResultOf(stopped)
        self.assertEqual(self.told[4:], ["d stops", "c stops", "b stops", "a stops"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError, SystemExit)), 2)

    def test_is_within_a_bound_for_all(self) -> None:
        """
        However many of them hang.
        """
        for number in range(20):
            self.module(f"m{number}", stopping=Deferred())
        modules = self.host()
        modules.start()
        stopped = self.stop(modules)
        self.clock.pump([1.0] * int(STOP_ALL))
        self.clock.pump([0.0] * 20)
        self.successResultOf(stopped)
        self.assertEqual(sum(line.endswith("stops") for line in self.told), 20)

    def test_is_once(self) -> None:
        """
        A second stop does nothing.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        for _ in range(2):
            self.successResultOf(self.stop(modules))
        self.assertEqual(self.told.count("a stops"), 1)

    def test_what_was_told_last_gets_a_little_time(self) -> None:
        """
        All modules at once, and their rounds have ended.
        """
        made = [self.module(name) for name in "ab"]
        for each in made:
            each.on_message_received = lambda message: Deferred()  # type: ignore[assignment,method-assign]
        modules = self.host()
        modules.start()
        made[0].services.every(0.5, self.fail)
        self.events.emit(life.MessageReceived(None, None, 0.0))  # type: ignore[arg-type]  # nobody looks at it
        stopped = self.stop(modules)
        self.assertNoResult(stopped)
        self.clock.pump([0.5] * int(LAST_EVENTS / 0.5))
        self.successResultOf(stopped)


class ReplacingTests(HostCase):
    """
    Other modules, while mail goes on.
    """

    def test_one_that_has_not_changed_stays(self) -> None:
        """
        Wherever it stands in the order; what is new starts first, what is gone stops last.
        """
        self.module("a"), self.module("b")
        modules = self.host()
        modules.start()
        new = Recording("c", self.told)
        self.adding(modules, new)([self.section("c"), self.section("a")])
        self.assertEqual(self.told[2:], ["c starts", "b stops"])
        self.assertEqual((modules.names, self.asked(modules)), (("c", "a"), ["c", "a"]))
        self.events.emit(life.MessageReceived(None, None, 0.0))  # type: ignore[arg-type]  # nobody looks at it
        self.assertEqual(self.told[4:], ["c hears", "a hears"])

    def test_a_changed_section_is_another_module(self) -> None:
        """
        With the same name.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        self.adding(modules, Recording("a", self.told))([self.section("a", mode="shadow")])
        self.assertEqual((self.told, self.asked(modules)), (["a starts", "a starts", "a stops"], []))

    def test_what_cannot_be_made_changes_nothing(self) -> None:
        """
        ConfigError, at once; and what is no list of sections is a bug.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        self.assertRaises(ConfigError, modules.reconfigure, [("modules[0]", Module("nope"))])
        self.assertRaises(TypeError, modules.reconfigure, None)
        self.assertEqual((self.asked(modules), self.told), (["a"], ["a starts"]))

    def test_what_does_not_start_changes_nothing(self) -> None:
        """
        At once, which refuses it, or later, which one line tells; those that did start are stopped.
        """
        for starting in (ValueError("no"), Deferred[None]()):
            self.setUp()
            self.module("a")
            modules = self.host()
            modules.start()
            made = [Recording("b", self.told), Recording("c", self.told, starting)]
            use = self.adding(modules, *made)
            with capturedLogs() as events:
                if isinstance(starting, Deferred):
                    use([self.section("b"), self.section("c")])
                    starting.errback(ValueError("no"))
                    told = formatEvent(events[0])
                else:
                    told = str(self.assertRaises(ConfigError, use, [self.section("b"), self.section("c")]))
            self.assertEqual(len(events), int(isinstance(starting, Deferred)))
            self.assertIn("module c: start: no", told)
            self.assertEqual((self.asked(modules), self.told[1:]), (["a"], ["b starts", "c starts", "b stops"]))
            self.assertEqual("c: start: no; still in force: a" in modules.trouble, isinstance(starting, Deferred))
            modules.reconfigure([self.section("a")])  # nothing is under way any more
            self.assertEqual((modules.names, modules.trouble), (("a",), ""))

    def test_what_is_in_force_is_told_while_others_start(self) -> None:
        """
        And the others once they have.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        before, starting = modules.sections, Deferred[None]()
        self.adding(modules, Recording("b", self.told, starting))([self.section("b")])
        self.assertIn("still starting; in force: a", modules.trouble)
        self.assertEqual(modules.sections, before)
        starting.callback(None)
        self.assertEqual((modules.trouble, modules.sections), ("", (self.section("b"),)))

    def test_a_fault_of_ours_is_logged_as_one(self) -> None:
        """
        And nothing changes.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        self.patch(host, "start_all", lambda hosted: _given(ZeroDivisionError()))
        self.adding(modules, Recording("b", self.told))([self.section("b")])
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.asked(modules)), (1, ["a"]))

    def test_a_transaction_keeps_its_modules(self) -> None:
        """
        They are stopped once it is over.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        mail = transaction(started=self.clock.seconds())
        self.oldest = mail.started
        self.adding(modules, Recording("b", self.told))([self.section("b")])
        self.clock.advance(5)
        self.assertEqual((self.asked(modules, mail), self.asked(modules)), (["a"], ["b"]))
        self.assertEqual(self.told, ["a starts", "b starts"])
        self.oldest = inf
        self.clock.advance(1)
        self.assertEqual(self.told[2:], ["a stops"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_for_ever(self) -> None:
        """
        A transaction that will not end is told to come again, until it is over.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        mail = transaction(started=self.clock.seconds())
        self.oldest = mail.started
        self.adding(modules)([])
        self.clock.pump([1.0] * int(GRACE + 1))
        self.assertEqual(self.told[1:], ["a stops"])
        content: Any = None
        self.assertIs(modules.decisions.data(session(), mail, content), CHANGED)
        self.oldest = inf
        self.clock.advance(1)
        self.assertIsNone(modules.decisions.data(session(), mail, content))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_clock_that_is_set_back(self) -> None:
        """
        Does not have mail refused that came after it was.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        self.clock.advance(3600)
        self.adding(modules, Recording("b", self.told))([self.section("b")])
        self.clock.rightNow -= 3000
        self.oldest = self.clock.seconds()
        self.clock.advance(1)
        self.assertEqual(self.told[2:], ["a stops"])
        self.assertEqual((self.asked(modules), self.clock.getDelayedCalls()), (["b"], []))

    def test_who_waits_for_a_module_that_goes(self) -> None:
        """
        Hears its answer, if it comes before the module is stopped.
        """
        waiting: Deferred[Verdict] = Deferred()
        module = self.module("a")
        module.mail_from = lambda session, transaction: waiting  # type: ignore[assignment,method-assign,return-value]
        modules = self.host()
        modules.start()
        answer: Any = modules.decisions.mail_from(session(), transaction())
        self.adding(modules)([])
        self.clock.advance(3)
        self.assertEqual(self.told, ["a starts"])
        waiting.callback(NO)
        self.assertEqual(self.successResultOf(answer).decided_by, "a")
        self.clock.advance(1)
        self.assertEqual(self.told, ["a starts", "a stops"])

    def test_one_reload_after_another(self) -> None:
        """
        The last one that came while modules started counts; one that cannot be used is logged.
        """
        starting: Deferred[None] = Deferred()
        modules = self.host()
        modules.start()
        made = [Recording("a", self.told, starting), Recording("b", self.told), Recording("c", self.told)]
        reload = self.adding(modules, *made)
        for name in "abc":
            reload([self.section(name)])
        self.assertEqual(self.told, ["a starts"])
        starting.callback(None)
        self.assertEqual(self.told, ["a starts", "c starts", "a stops"])
        made[2].starting = again = Deferred[None]()
        reload([self.section("c", at=9)])
        self.undo()
        reload([("modules[0]", Module("nope"))])
        with capturedLogs() as events:
            again.callback(None)
        self.assertEqual([event["log_level"] for event in events][-1], LogLevel.error)
        self.assertEqual(modules.names, ("c",))

    def undo(self) -> None:
        """
        Let sections find nothing but what there is.
        """

        def refuse(section: Module) -> LoadedModule:
            raise ConfigError(["nope"])

        self.patch(loading, "_made", refuse)

    def test_a_reload_while_modules_start(self) -> None:
        """
        Waits until they have.
        """
        starting: Deferred[None] = Deferred()
        self.module("a", starting=starting)
        modules = self.host()
        modules.start()
        self.adding(modules, Recording("b", self.told))([self.section("b")])
        self.assertEqual(self.told, ["a starts"])
        starting.callback(None)
        self.assertEqual((self.told, modules.names), (["a starts", "b starts", "a stops"], ("b",)))

    def test_a_stop_in_the_middle(self) -> None:
        """
        Stops those that are there, those that start, and those that go; then nothing is replaced any more.
        """
        self.module("a")
        modules = self.host()
        modules.start()
        self.oldest = 0.0
        starting: Deferred[None] = Deferred()
        made = [Recording("b", self.told), Recording("c", self.told), Recording("d", self.told, starting)]
        reload = self.adding(modules, *made)
        reload([self.section("b")])
        reload([self.section("c"), self.section("d")])
        self.assertEqual(self.told, ["a starts", "b starts", "c starts", "d starts"])
        self.successResultOf(Deferred.fromCoroutine(modules.stop()))
        self.assertEqual(sorted(self.told[4:]), ["a stops", "b stops", "c stops"])
        self.assertEqual((starting.called, self.clock.getDelayedCalls()), (True, []))
        reload([])
        self.assertEqual(len(self.told), 7)
