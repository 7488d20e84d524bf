"""
Modules that do as a plan says, and a model that carries the same plan out by itself, to say what is to come of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.modules import (
    Attempt,
    IContent,
    IModule,
    IServices,
    Message,
    Recipient,
    Session,
    Transaction,
    Verdict,
    accept,
    discard,
    parse_address,
    refuse,
    tempfail,
)

Step = tuple[Any, ...]
"""
What is done, and the values for it.
"""

MODULES: Final = ("first", "second", "third")
IGNORED: Final = "second"  # whose failures count for nothing
HUB: Final = "hub.example"  # the next hop of ROUTES
ROUTES: Final = ("archive", "other")
MOST: Final = 20_000  # octets of a message
FLAWS: Final = {"priority": 99, "release": -1.0, "reverse_path": "text", "recipients": None}
VERDICTS: Final = {
    "refuse": refuse("550 5.7.1 no"),
    "tempfail": tempfail("451 4.7.1 later"),
    "discard": discard("gone"),
    "accept": accept("fine"),
}


class Scene(Protocol):
    """
    What the modules play in: the `plan` that counts, and since when; what was `noted` and found again at delivery, and
    how often a body was not what it should have been.
    """

    plan: Plan
    begun: float
    misread: int
    noted: dict[str, dict[str, str]]


class PlannedError(Exception):
    """
    A module that fails, as planned.
    """


@implementer(IModule)
class Planned:
    """
    A module that does at each hook what the plan says, at once or later.
    """

    def __init__(self, scene: Scene, name: str) -> None:
        self.name = name
        self.scene = scene

    def start(self, services: IServices) -> None:
        self.clock = services.clock

    def mail_from(self, session: Session, transaction: Transaction) -> Any:
        return self.do("mail_from", transaction)

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Any:
        return self.do(str(recipient.address), transaction, recipient)

    def data(self, session: Session, transaction: Transaction, content: IContent) -> Any:
        return self.do("data", transaction, None, content)

    def on_delivery_success(self, message: Message, attempt: Attempt) -> None:
        self.scene.noted[message.queue_id] = message.metadata

    def do(
        self,
        hook: str,
        transaction: Transaction,
        recipient: Recipient | None = None,
        content: IContent | None = None,
    ) -> Verdict | Awaitable[Verdict | None] | None:
        plan = self.scene.plan
        steps = plan.steps.get((self.name, hook), [])
        if plan.slow:
            return self.later(steps, transaction, recipient, content)
        verdict = None
        for step in steps:
            verdict = self.take(step, transaction, recipient, content)
        return verdict

    async def later(
        self, steps: list[Step], transaction: Transaction, recipient: Recipient | None, content: IContent | None
    ) -> Verdict | None:
        verdict = None
        for step in steps:
            pause: Deferred[None] = Deferred()
            self.clock.callLater(0.5, pause.callback, None)
            await pause
            verdict = self.take(step, transaction, recipient, content)
            if content is not None:
                await self.read(content)
        return verdict

    async def read(self, content: IContent) -> None:
        """
        Read the body, which has the size that it says.
        """
        reader = content.open()
        size = len(content.header)
        while piece := await reader.read():
            size += len(piece)
        self.scene.misread += size != content.size
        reader.close()

    def take(
        self, step: Step, transaction: Transaction, recipient: Recipient | None, content: IContent | None
    ) -> Verdict | None:
        what, *about = step
        match what:
            case "verdict":
                return VERDICTS[about[0]]
            case "raise":
                raise PlannedError
            case "flaw":
                setattr(transaction, about[0], FLAWS[about[0]])
            case "note":
                transaction.metadata[about[0]] = about[1]
            case "sender":
                transaction.reverse_path = parse_address(about[0]) if about[0] else None
            case "hold":
                transaction.hold("planned")
            case "priority":
                transaction.priority = about[0]
            case "release":
                transaction.release = self.scene.begun + about[0]
            case "redirect":
                transaction.redirect(about[0], recipient)
            case "rewrite":
                assert recipient is not None
                transaction.rewrite(recipient, *map(parse_address, about[0]))
            case _:
                assert content is not None
                self.change(step, transaction, content)
        return None

    def change(self, step: Step, transaction: Transaction, content: IContent) -> None:
        what, *about = step
        match what:
            case "add":
                content.add(*about)
            case "remove":
                content.remove(*about)
            case "replace":
                content.replace(*about)
            case "append":
                content.append(about[0])
            case "body":
                content.replace_body(about[0])
            case "drop":
                del transaction.recipients[about[0] :: 2]
            case "join":
                transaction.recipients.append(Recipient(parse_address(about[0])))
            case "turn":
                for recipient in list(transaction.recipients[:2]):
                    transaction.rewrite(recipient, parse_address(about[0]))


@attrs.define
class Plan:
    """
    One message: what its client says, and what each module does, by its name and the hook.
    """

    number: int
    sender: str
    recipients: list[str]
    fields: list[tuple[str, str]]
    body: bytes
    slow: bool
    steps: dict[tuple[str, str], list[Step]] = attrs.field(factory=dict)

    @property
    def content(self) -> bytes:
        return written(self.fields) + self.body


def written(fields: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


@attrs.define
class Model:
    """
    What is to come of a plan. `refused` are the recipients that are not taken, `said` begins the reply to the content.
    """

    plan: Plan
    sender: str = ""
    recipients: list[str] = attrs.field(factory=list)
    fields: list[tuple[str, str]] = attrs.field(factory=list)
    body: bytes = b""
    metadata: dict[str, str] = attrs.field(factory=dict)
    routes: dict[str, str] = attrs.field(factory=dict)
    release: float = 0.0
    held: bool = False
    refused: set[str] = attrs.field(factory=set)
    accepted: int = 0
    said: str = "250"
    dropped: bool = False
    spoiled: str = ""
    becomes: list[str] | None = None

    def foresee(self) -> Model:
        plan = self.plan
        self.sender, self.fields, self.body = plan.sender, list(plan.fields), plan.body
        self.said = self.hook("mail_from")
        if self.said == "250":
            for recipient in plan.recipients:
                self.name(recipient)
            if not self.accepted:
                self.said = "none"
        if self.said == "250":
            self.said = self.hook("data")
        if self.said == "250" and self.recipients and not self.dropped:
            self.said = self.spoiled or "250"
        return self

    @property
    def arrives(self) -> bool:
        return self.said == "250" and not self.dropped and bool(self.recipients)

    def name(self, recipient: str) -> None:
        self.becomes = None
        if self.hook(recipient) != "250":
            self.refused.add(recipient)
            return
        self.accepted += 1
        new = [recipient] if self.becomes is None else self.becomes
        self.put(recipient, new, len(self.recipients), len(self.recipients))

    def put(self, recipient: str, new: list[str], start: int, end: int) -> None:
        """
        Let new recipients take these places, but for those that others have; the route goes along.
        """
        others = self.recipients[:start] + self.recipients[end:]
        once = [each for each in dict.fromkeys(new) if each not in others]
        if recipient in self.routes:
            for each in new:
                self.routes.setdefault(each, self.routes[recipient])
        self.recipients[start:end] = once

    def hook(self, hook: str) -> str:
        """
        Let each module do its part, up to the first that is against it; tells what the client hears.
        """
        for module in MODULES:
            before = attrs.evolve(
                self, recipients=list(self.recipients), fields=list(self.fields), routes=dict(self.routes)
            )
            verdict = self.steps(hook, self.plan.steps.get((module, hook), []))
            if verdict == "failed":
                self.put_back(before)
                if module != IGNORED:
                    return "451"
            elif verdict == "discard":
                self.dropped = True
                return "250"
            elif verdict in ("refuse", "tempfail"):
                return "550" if verdict == "refuse" else "451"
        return "250"

    def put_back(self, before: Model) -> None:
        for name in ("sender", "recipients", "fields", "routes", "release", "held", "becomes"):
            setattr(self, name, getattr(before, name))
        self.spoiled = before.spoiled if self.body == before.body else before.spoiled or "451"

    def steps(self, hook: str, steps: list[Step]) -> str:
        verdict = ""
        for what, *about in steps:
            match what:
                case "verdict":
                    return str(about[0])
                case "raise":
                    return "failed"
                case "flaw":
                    verdict = "failed"
                case "note":
                    self.metadata[about[0]] = about[1]
                case "sender":
                    self.sender = about[0]
                case "hold":
                    self.held = True
                case "release":
                    self.release = about[0]
                case "redirect":
                    self.routes["" if hook in ("mail_from", "data") else hook] = about[0]
                case "rewrite":
                    self.becomes = list(about[0])
                case "priority":
                    pass
                case _:
                    self.change(what, *about)
        return verdict

    def change(self, what: str, *about: Any) -> None:
        match what:
            case "add":
                name, value, at = about
                self.fields.insert(len(self.fields) if at is None else at, (name, value))
            case "remove":
                self.fields = [each for each in self.fields if each[0] != about[0]]
            case "replace":
                places = [at for at, (name, _) in enumerate(self.fields) if name == about[0]] or [len(self.fields)]
                self.fields[places[0] : places[0] + 1] = [(about[0], about[1])]
            case "append":
                self.body += about[0]
            case "body":
                self.body = about[0]
            case "drop":
                del self.recipients[about[0] :: 2]
            case "join":
                self.recipients.append(about[0])
            case "turn":
                for each in self.recipients[:2]:
                    at = self.recipients.index(each)
                    self.put(each, [about[0]], at, at + 1)
        if len(written(self.fields)) + len(self.body) > MOST:
            self.spoiled = "552"

    def route(self, recipient: str) -> str:
        return self.routes.get(recipient) or self.routes.get("") or recipient.partition("@")[2]

    def arrivals(self) -> Iterator[tuple[str, str]]:
        """
        Tell at which server each recipient is named.
        """
        for recipient in self.recipients:
            route = self.route(recipient)
            yield HUB if route in ROUTES else route, recipient
