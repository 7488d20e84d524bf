"""
Ways to deliver that others wrote.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.config.units import Options
from empath.deliver.routing import Routing
from empath.deliver.third_party import StrategyServices, ThirdPartyAgent
from empath.errors import ConfigError
from empath.interfaces import IAgent, IStrategyServices
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, Success
from empath.mail.reply import Reply
from tests.deliver.world import BODY, CONTENT, Reader, message, one_delivery, spell

HERE = "tests.deliver.test_third_party"
TAKEN = Success(Reply(250, "2.0.0", ("taken",)))


class Courier:
    """
    An agent that does as it is told; it does not even declare its interface.
    """

    def __init__(self, services: Any, name: str, made: list[Any] | None = None, fails: bool = False) -> None:
        if not name:
            raise ValueError("name: a name, not ''\nand one more line")
        self.services = services
        self.name = name
        self.fails = fails
        self.told: Any = (TAKEN,)
        self.slow = True
        self.stopped: list[Deferred[None]] = []
        if made is not None:
            made.append(self)

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        if isinstance(self.told, Exception):
            raise self.told
        if isinstance(self.told, Deferred):
            await self.told
            return (TAKEN,)
        told: tuple[Outcome, ...] = self.told
        return told

    def stop(self) -> Deferred[None]:
        if self.fails:
            raise RuntimeError("it does not stop")
        self.stopped.append(Deferred() if self.slow else succeed(None))
        return self.stopped[-1]


@implementer(IAgent)
class Bare:
    """
    One without options.
    """

    def __init__(self, services: Any) -> None:
        pass

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Any:
        return succeed((Success(Reply(250, "2.0.0", ("taken",))),) * len(delivery.open_recipients))

    def stop(self) -> None:
        pass


def broken(services: Any) -> None:
    raise ZeroDivisionError


def leaving(services: Any) -> None:
    raise SystemExit(3)


def anything(services: Any, **options: Any) -> object:
    return object()


NO_FACTORY = 5


class ThirdPartyCase(SynchronousTestCase):
    """
    Services, routes, and an agent of theirs.
    """

    def setUp(self) -> None:
        self.made: list[Courier] = []
        http: Any = None
        self.services = StrategyServices(
            "mx.example.net", Clock(), http, lambda *_: self.fail("asked"), execute, lambda _: Reader([BODY])
        )

    def section(self, **domains: Any) -> Section:
        """
        Make a section: options by the first label of a domain.
        """
        return Section(
            domains={
                f"{name}.example": Domain(strategy=strategy, options=Options(options))
                for name, (strategy, options) in domains.items()
            }
        )

    def couriers(self, **names: str) -> Section:
        """
        Make a section of couriers by their names.
        """
        return self.section(
            **{domain: (f"{HERE}:Courier", {"name": name, "made": self.made}) for domain, name in names.items()}
        )

    def agent(self, section: Section) -> ThirdPartyAgent:
        """
        Make the agent.
        """
        self.routing = Routing(section)
        return ThirdPartyAgent(self.services, self.routing.find, section)

    def use(self, agent: ThirdPartyAgent, section: Section) -> None:
        """
        Use another section.
        """
        agent.prepare(section)()
        self.routing.reconfigure(section)

    def start(self, agent: ThirdPartyAgent, to: str) -> Deferred[tuple[Outcome, ...]]:
        carried = message(to)

        async def deliver() -> tuple[Outcome, ...]:
            return await agent.deliver(carried, one_delivery(carried), Attempt(1, 0.0))

        return Deferred.fromCoroutine(deliver())

    def refused(self, **domains: Any) -> list[str]:
        """
        Tell what is wrong with a section.
        """
        refusal: ConfigError = self.assertRaises(ConfigError, self.agent, self.section(**domains))
        return list(refusal.problems)


class MakingTests(ThirdPartyCase):
    def test_services_are_what_is_promised(self) -> None:
        self.assertTrue(verifyObject(IStrategyServices, self.services))
        content = self.services.content(message(body=None, size=len(CONTENT)))

        async def read() -> bytes:
            return await content.open().read()

        self.assertEqual(
            (content.length, self.successResultOf(Deferred.fromCoroutine(read()))), (len(CONTENT), CONTENT)
        )

    def test_one_for_each_table_of_options(self) -> None:
        """
        Domains that name the same, with equal options, share one.
        """
        agent = self.agent(self.couriers(one="a", two="a", three="b"))
        self.assertEqual([courier.name for courier in self.made], ["a", "b"])
        self.assertIs(self.made[0].services, self.services)
        self.assertEqual(spell(self.successResultOf(self.start(agent, "x@two.example"))), ["Success 250 2.0.0"])
        self.assertTrue(verifyObject(IAgent, agent))

    def test_any_spelling_of_a_name(self) -> None:
        for name in (f"{HERE}:Bare", f"{HERE}.Bare"):
            agent = self.agent(self.section(one=(name, {})))
            self.assertEqual(
                spell(self.successResultOf(self.start(agent, "x@one.example"))), ["Success 250 2.0.0"], name
            )

    def test_what_is_built_in_is_no_dotted_name(self) -> None:
        agent = self.agent(self.section(one=("discard", {})))
        self.assertEqual(
            spell(self.successResultOf(self.start(agent, "x@one.example"))), ["TransientFailure 451 4.3.5"]
        )

    def test_everything_wrong_is_told_with_its_place(self) -> None:
        """
        All of it at once, by the keys of the file.
        """
        problems = self.refused(
            a=("no.such:Thing", {}),
            b=(f"{HERE}:NOTHING", {}),
            c=(f"{HERE}:NO_FACTORY", {}),
            d=(f"{HERE}:Bare", {"speed": 5}),
            e=(f"{HERE}:Courier", {"nam": "x"}),
            f=(f"{HERE}:Courier", {"name": ""}),
            g=(f"{HERE}:broken", {}),
            g2=(f"{HERE}:leaving", {}),
            h=(f"{HERE}:anything", {"any": 1}),
        )
        place = 'delivery.domains."{}.example".'
        expected = [
            ("a", "strategy: no.such:Thing: cannot be imported: ModuleNotFoundError: No module named 'no'"),
            ("b", f"strategy: {HERE}:NOTHING: cannot be imported: AttributeError: module"),
            ("c", f"strategy: {HERE}:NO_FACTORY: is no callable but a int"),
            ("d", "options.speed: unknown option; allowed: none"),
            ("e", "options.nam: unknown option; allowed: fails, made, name"),
            ("e", "options.name: found nothing; it is needed"),
            ("f", f"options: {HERE}:Courier: name: a name, not ''"),
            ("f", f"options: {HERE}:Courier: and one more line"),
            ("g", f"strategy: {HERE}:broken: failed: ZeroDivisionError"),
            ("g2", f"strategy: {HERE}:leaving: failed: SystemExit: 3"),
            ("h", f"strategy: {HERE}:anything: made no IAgent: "),
        ]
        self.assertEqual(len(problems), len(expected))
        for problem, (domain, text) in zip(problems, expected, strict=True):
            self.assertTrue(problem.startswith(place.format(domain) + text), problem)

    def test_what_is_not_written_in_python_tells_itself(self) -> None:
        """
        Without a signature the call is made.
        """
        [problem] = self.refused(a=("builtins:dict", {"x": 1}))
        self.assertIn("builtins:dict", problem)


class KeepingTests(ThirdPartyCase):
    def test_a_reload_keeps_what_is_the_same(self) -> None:
        """
        What is new is made, what is not named any more is stopped.
        """
        agent = self.agent(self.couriers(one="a", two="b"))
        first, second = self.made
        self.use(agent, self.couriers(one="a", two="c"))
        self.assertEqual([courier.name for courier in self.made], ["a", "b", "c"])
        self.assertEqual([len(each.stopped) for each in self.made], [0, 1, 0])
        self.assertIsNot(first, second)

    def test_a_reload_that_fails_changes_nothing(self) -> None:
        agent = self.agent(self.couriers(one="a"))
        self.assertRaises(ConfigError, agent.prepare, self.couriers(one=""))
        self.successResultOf(self.start(agent, "x@one.example"))
        self.assertEqual(self.made[0].stopped, [])

    def test_what_a_refused_reload_made_is_stopped(self) -> None:
        """
        At once if one of them was refused; with the next reload, or the stop, if something else was.
        """
        agent = self.agent(self.couriers(one="a"))
        self.assertRaises(ConfigError, agent.prepare, self.couriers(one="a", two="b", three=""))
        self.assertEqual([(each.name, len(each.stopped)) for each in self.made], [("a", 0), ("b", 1)])
        agent.prepare(self.couriers(one="c"))
        self.use(agent, self.couriers(one="a", two="d"))
        self.assertEqual([(each.name, len(each.stopped)) for each in self.made[2:]], [("c", 1), ("d", 0)])
        agent.prepare(self.couriers(one="e"))
        for courier in self.made:
            courier.slow = False
        self.successResultOf(agent.stop())
        self.assertEqual([len(each.stopped) for each in self.made], [1] * 5)

    def test_one_at_work_is_stopped_when_it_has_done_it(self) -> None:
        agent = self.agent(self.couriers(one="a"))
        [courier] = self.made
        courier.told = Deferred()
        delivering = self.start(agent, "x@one.example")
        self.use(agent, self.couriers(one="b"))
        self.assertEqual(courier.stopped, [])
        courier.told.callback(None)
        self.assertEqual(spell(self.successResultOf(delivering)), ["Success 250 2.0.0"])
        self.assertEqual(len(courier.stopped), 1)

    def test_what_is_no_outcome_is_a_bug_of_theirs(self) -> None:
        """
        The queue logs it, and tries again.
        """
        agent = self.agent(self.couriers(one="a"))
        for told, error in (((None,), TypeError), ((Success,), TypeError), (5, TypeError), (KeyError(), KeyError)):
            self.made[0].told = told
            self.failureResultOf(self.start(agent, "x@one.example"), error)

    def test_the_stop_waits_for_all_and_survives_each(self) -> None:
        section = self.couriers(one="a", two="b")
        agent = self.agent(section)
        self.made[0].fails = True
        stopping = agent.stop()
        self.assertNoResult(stopping)
        self.made[1].stopped[0].callback(None)
        self.successResultOf(stopping)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        bare = self.agent(self.section(one=(f"{HERE}:Bare", {})))
        self.successResultOf(bare.stop())
