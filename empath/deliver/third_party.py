"""
Ways to deliver that others wrote: made by their dotted names, once for each table of options, and held to their word.

Fatal, at the start, and refused at a reload: a name that cannot be imported, options that its maker does not take, what
it makes if that is no agent. Retried, and logged as a bug by the queue: a delivery whose agent raises, or does not tell
one outcome for each recipient.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import Invalid, implementer
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.deliver.streaming import OpenBody
from empath.deliver.whole import Whole
from empath.errors import ConfigError
from empath.interfaces import IAgent, InThread, IStrategyServices
from empath.mail.answer import Answer
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.net.web_pool import WebPool
from empath.policy.route import Route

log = Logger()

NOT_LOADED = TransientFailure(Reply(451, "4.3.5", ("no way to deliver to the domain is configured",)), Scope.HOST)


@implementer(IStrategyServices)
@attrs.frozen(slots=True, eq=False)
class StrategyServices:
    """
    See `IStrategyServices`; `open_body` reads stored content.
    """

    hostname: str
    clock: IReactorTime
    http: WebPool
    lookup: Callable[[str, str], Answer | Awaitable[Answer]]
    in_thread: InThread[Any]
    open_body: OpenBody

    def content(self, message: Message) -> Whole:
        """
        See `IStrategyServices.content`.
        """
        return Whole(message, self.open_body)


@attrs.define(slots=True, eq=False)
class Hired:
    """
    An agent of theirs, what it was made of, and how many deliveries it is at; it is stopped when it is `dismissed` and
    the last one is over.
    """

    name: str
    options: Mapping[str, Any]
    agent: Any
    busy: int = 0
    dismissed: bool = False

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Deliver; TypeError for what is no tuple of outcomes.
        """
        self.busy += 1
        try:
            told = await self.agent.deliver(message, delivery, attempt)
            wrong = [each for each in told if not isinstance(each, (Success, TransientFailure, PermanentFailure))]
            if wrong:
                raise TypeError(f"{self.name} told {type(wrong[0]).__name__}, which is no outcome")
            return tuple(told)
        finally:
            self.busy -= 1
            if self.dismissed and not self.busy:
                self.end()

    def dismiss(self) -> None:
        """
        Stop it as soon as it has nothing to do.
        """
        self.dismissed = True
        if not self.busy:
            self.end()

    def end(self) -> None:
        """
        Stop it, and wait for nothing.
        """
        Deferred.fromCoroutine(self.stop())

    async def stop(self) -> None:
        """
        Stop it.
        """
        try:
            stopping = self.agent.stop()
            if stopping is not None:
                await stopping
        except Exception:  # it is foreign code
            log.failure("{name} did not stop as it should", name=self.name)


@implementer(IAgent)
class ThirdPartyAgent:
    """
    Has the agents deliver that the strategies of [delivery.domains] name. `find_route` tells a domain's route.
    """

    def __init__(self, services: StrategyServices, find_route: Callable[[str], Route], section: Section) -> None:
        self._services = services
        self._find_route = find_route
        self._hired: list[Hired] = []
        self._unused: list[Hired] = []  # made for a section that is not in use, yet or for good
        self.prepare(section)()

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        See `IAgent`.
        """
        route = self._find_route(delivery.domain)
        hired = _among(self._hired, route.strategy, route.options)
        return _nobody(delivery) if hired is None else hired.deliver(message, delivery, attempt)

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Make the agents that are new, and give what has all used; ConfigError tells everything that is wrong. Those that
        were made for a section that was never used are stopped.
        """
        self._let_go()
        wanted: list[Hired] = []
        problems: list[str] = []
        for name, domain in section.domains.items():
            strategy, options = domain.strategy, domain.options
            if ("." not in strategy and ":" not in strategy) or _among(wanted, strategy, options) is not None:
                continue
            try:
                wanted.append(_among(self._hired, strategy, options) or self._new(strategy, options))
            except ConfigError as error:
                problems += [f'delivery.domains."{name}".{problem}' for problem in error.problems]
        if problems:
            self._let_go()
            raise ConfigError(problems)
        return lambda: self._use(wanted)

    def stop(self) -> Deferred[None]:
        """
        Stop all of them.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._let_go()
        for hired in self._hired:
            await hired.stop()

    def _let_go(self) -> None:
        unused, self._unused = self._unused, []
        for hired in unused:
            hired.dismiss()

    def _new(self, name: str, options: Mapping[str, Any]) -> Hired:
        self._unused.append(self._hire(name, options))
        return self._unused[-1]

    def _use(self, wanted: list[Hired]) -> None:
        before, self._hired, self._unused = self._hired, wanted, []
        for hired in before:
            if hired not in wanted:
                hired.dismiss()

    def _hire(self, name: str, options: Mapping[str, Any]) -> Hired:
        factory = _found(name)
        if faults := list(_faults(factory, options)):
            raise ConfigError(faults)
        try:
            agent = factory(self._services, **options)
        except (ValueError, TypeError) as error:  # how a factory says what is wrong with its options
            raise ConfigError([f"options: {name}: {line}" for line in str(error).splitlines()]) from error
        except (Exception, SystemExit) as error:
            raise ConfigError([f"strategy: {name}: failed: {_told(error)}"]) from error
        try:
            verifyObject(IAgent, agent, tentative=True)
        except Invalid as error:
            raise ConfigError([f"strategy: {name}: made no IAgent: {' '.join(str(error).split())}"]) from error
        return Hired(name, options, agent)


def _among(hired: list[Hired], name: str, options: Mapping[str, Any]) -> Hired | None:
    for each in hired:
        if each.name == name and each.options == options:
            return each
    return None


async def _nobody(delivery: Delivery) -> tuple[Outcome, ...]:
    return (NOT_LOADED,) * len(delivery.open_recipients)


def _found(name: str) -> Callable[..., Any]:
    """
    Find "package.module:Name", or "package.module.Name".
    """
    module, colon, path = name.partition(":")
    if not colon:
        module, _, path = name.rpartition(".")
    try:
        found: Any = attrgetter(path)(import_module(module))
    except (Exception, SystemExit) as error:  # importing runs foreign code
        raise ConfigError([f"strategy: {name}: cannot be imported: {_told(error)}"]) from error
    if not callable(found):
        raise ConfigError([f"strategy: {name}: is no callable but a {type(found).__name__}"])
    return found  # type: ignore[no-any-return]  # looked at just now


def _faults(factory: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[str]:
    """
    Compare the options with what a factory takes behind the services.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # not written in Python: it will tell
        return
    taken = [
        each for each in signature.parameters.values() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ][1:]
    names = {each.name for each in taken}
    if not any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
        for name in options:
            if name not in names:
                yield f"options.{name}: unknown option; allowed: {', '.join(sorted(names)) or 'none'}"
    for each in taken:
        if each.default is each.empty and each.name not in options:
            yield f"options.{each.name}: found nothing; it is needed"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
