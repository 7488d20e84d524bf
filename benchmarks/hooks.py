"""
What one call of one hook costs, in this process: the chain is asked about a recipient, again and again.

The cost of a module is what asking with it takes longer than asking without, divided by the number of modules. A wait
is timed with many questions under way, so it has the cost of a Deferred, a timer and a wake-up, and not the time in
which nothing happens.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from benchmarks.idle import Fired, Idle, Turn
from empath.config.schema import Module
from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.session import Session, Transaction
from empath.modules import IModule, blocking
from empath.modules.chain import Chain
from empath.modules.host import Modules
from empath.modules.services import Surroundings
from empath.observe.metrics.modules import ModulesCounts
from empath.testing.kept import KeptStorages

CALLS = 100_000
QUICK = 5_000
ROUNDS = 7
AT_ONCE = 50  # questions under way: as many sessions as a load has, and fewer than may wait for a thread


@implementer(IModule)
class Threaded:
    """
    Is called in a thread.
    """

    name = "threaded"

    @blocking
    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Say nothing.
        """


def table(calls: int) -> str:
    """
    Measure, and write the result as Markdown.
    """
    kinds: list[tuple[str, list[type], int]] = [
        ("none", [], calls),
        ("one, a plain function", [Idle], calls),
        ("six, plain functions", [Idle] * 6, calls),
        ("six of them in shadow mode", [Idle] * 6, calls),
        ("one, `async def` that awaits a Deferred that has fired", [Fired], calls // 10),
        ("one, `async def` that waits for a turn of the reactor", [Turn], calls // 10),
        ("one, `@blocking`", [Threaded], calls // 10),
    ]
    lines = ["## A hook by itself", "", "| modules | µs a question | µs a hook |", "|---|---|---|"]
    empty = 0.0
    for said, made, count in kinds:
        took = median_of(lambda: asked("shadow" in said, made, count))  # noqa: B023 called at once
        empty = empty or took
        each = f"{(took - empty) / len(made) * 1e6:.2f}" if made else ""
        lines.append(f"| {said} | {took * 1e6:.2f} | {each} |")
    return "\n" + "\n".join(lines) + "\n"


def median_of(measure: Callable[[], float]) -> float:
    """
    Measure several times.
    """
    return statistics.median(measure() for _ in range(ROUNDS))


def asked(shadow: bool, made: list[type], count: int) -> float:
    """
    Ask so often; tells the seconds for each question.
    """
    chain = chain_of(made, shadow)
    session = Session("S", "192.0.2.9", 25, "tcp:25", "mta", 0.0, metadata={"service": "smtp"})
    transaction = Transaction("Q", 0.0, parse_address("a@example.net"), {}, metadata={"service": "smtp"})
    recipient = Recipient(parse_address("you@example.org"))

    def ask() -> Any:
        return chain.rcpt_to(session, transaction, recipient)

    return at_once(ask, count) if ask() is None else waited(ask, count)


def at_once(ask: Callable[[], object], count: int) -> float:
    """
    Time questions that are answered at once, without the loop around them.
    """
    began = time.perf_counter()
    for _ in range(count):
        pass
    loop = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(count):
        ask()
    return (time.perf_counter() - began - loop) / count


def waited(ask: Callable[[], Awaitable[object]], count: int) -> float:
    """
    Time questions whose answers take a while, many at a time.
    """
    reactor: Any = installed
    took: list[float] = []

    async def run() -> None:
        began = time.perf_counter()
        for _ in range(count // AT_ONCE):
            await gatherResults([Deferred.fromCoroutine(settled(ask())) for _ in range(AT_ONCE)])
        took.append((time.perf_counter() - began) / (count // AT_ONCE * AT_ONCE))

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run()).addBoth(lambda _: reactor.crash()))
    reactor.run(installSignalHandlers=False)
    return took[0]


async def settled(answer: Awaitable[object]) -> None:
    """
    Wait for an answer.
    """
    await answer


def chain_of(made: list[type], shadow: bool) -> Chain:
    """
    Make the decisions of a service that has these modules.
    """
    reactor: Any = installed
    around = Surroundings(
        hostname="mx.bench.test",
        reactor=reactor,
        chance=random.Random(1),
        domains=frozenset(),
        folder=Path(),
        counts=ModulesCounts().of,
        storages=KeptStorages(reactor.seconds),
        lookup=unused,
        verify=unused,
    )
    mode: Any = "shadow" if shadow else "enforce"
    sections = [
        (str(number), Module(factory=f"{each.__module__}:{each.__name__}", name=f"m{number}", mode=mode))
        for number, each in enumerate(made)
    ]
    modules = Modules(sections, around, lambda kind, listener: lambda: None)
    modules.start()
    return modules.decisions


def unused(*_: object) -> Any:
    """
    None of these modules asks for anything.
    """


if __name__ == "__main__":
    print(table(CALLS))
