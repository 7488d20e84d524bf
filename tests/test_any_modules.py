"""
Modules that change anything of any message, or fail, with crashes at any moment: what they decided is what arrives.

Each message comes with a plan: what every module does at every hook. A model says whom the mail reaches then, from
whom, and how it looks; or that it is refused, dropped, held, or fails.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.life import MessageDiscarded
from empath.testing import Mta
from empath.testing.client import Client, Disconnected
from empath.testing.mock_smtp import MockSmtpServer
from tests.planned import (
    FLAWS,
    HUB,
    IGNORED,
    MODULES,
    MOST,
    ROUTES,
    VERDICTS,
    Model,
    Plan,
    Planned,
    PlannedError,
    Step,
    written,
)

DOMAINS: Final = ("a.example", "b.example", "c.example", "no.example", "senders.example")
REFUSING: Final = "no.example"
NAMES: Final = ("Subject", "X-A", "X-B", "X-Long")
CONFIG: Final = f"""
relay.networks = ["192.0.2.0/24"]
spool.inline_limit = 300
smtp.max_message_size = {MOST}
delivery.dsn.postmaster = "reports@mx.empath.example"
""" + "".join(f'[delivery.domains."{route}"]\nmx_override = "{HUB}"\n' for route in ROUTES)


class History:
    """
    One history, as `chance` has it.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.plan = Plan(0, "", [], [], b"", False)
        self.begun = 0.0
        self.failing = False
        self.misread = 0
        self.crashes = 0
        self.noted: dict[str, dict[str, str]] = {}
        self.models: dict[str, Model] = {}
        self.releases: dict[bytes, float] = {}
        self.mta = Mta(
            [
                {
                    "factory": lambda name=name: Planned(self, name),
                    "on_error": "ignore" if name == IGNORED else "tempfail",
                }
                for name in MODULES
            ],
            domains=DOMAINS,
            config=CONFIG,
        )
        self.mta.peer(HUB)
        self.mta.peer(REFUSING, MockSmtpServer().with_rcpt_to_response(550, "5.1.1 nobody"))
        self.mta.peer("b.example", MockSmtpServer().with_slow_response("CONTENT", 20))

    # Plans

    def address(self, domains: tuple[str, ...] = DOMAINS[:4]) -> str:
        return f"u{self.chance.randrange(6)}@{self.chance.choice(domains)}"

    def make_plan(self) -> Plan:
        chance = self.chance
        recipients = list(dict.fromkeys(self.address() for _ in range(chance.choice([1, 1, 2, 5]))))
        fields = [("Subject", "s"), ("X-Plan", str(len(self.models)))]
        fields += [(chance.choice(NAMES), f"v{n}") for n in range(chance.randrange(4))]
        body = b"\r\n" + b"line\r\n" * chance.choice([0, 1, 49, 2000])
        sender = chance.choice(["", "s@senders.example", "s@senders.example"])
        plan = Plan(len(self.models), sender, recipients, fields, body, chance.random() < 0.5)
        before, self.failing = self.failing, False
        for hook in ("mail_from", *recipients, "data"):
            for module in MODULES:
                plan.steps[module, hook] = list(self.make_steps(hook, before))
        return plan

    def make_steps(self, hook: str, careful: bool) -> Iterator[Step]:
        """
        Make a few steps, and now and then a verdict, or a failure; none after a message in which one failed, so that
        no breaker opens.
        """
        chance = self.chance
        for _ in range(chance.choice([0, 0, 1, 2])):
            yield chance.choice([self.on_envelope, self.at_rcpt if "@" in hook else self.at_hook])(hook)
        draw = chance.random()
        if draw < 0.06:
            yield "verdict", chance.choice([*VERDICTS, "accept", "accept"])
        elif draw < 0.12 and not careful and not self.failing:
            self.failing = True
            yield chance.choice([("raise",), ("flaw", chance.choice([*FLAWS]))])

    def on_envelope(self, hook: str) -> Step:
        chance = self.chance
        route = chance.choice(["archive", "other", "a.example"])
        note = ("note", f"k{chance.randrange(5)}", f"{chance.random()}")
        steps = [note, note, ("sender", chance.choice(["", "t@senders.example"])), ("priority", chance.choice([-9, 5]))]
        steps += [("release", chance.choice([0, 100, 5000])), ("redirect", route)]
        steps += [("hold",)] if chance.random() < 0.3 else []
        return chance.choice(steps)

    def at_rcpt(self, hook: str) -> Step:
        chance = self.chance
        new = [self.address() for _ in range(chance.choice([0, 1, 1, 2, 6]))]
        return "rewrite", (*new, hook) if chance.random() < 0.3 else tuple(new)

    def at_hook(self, hook: str) -> Step:
        chance = self.chance
        if hook != "data":
            return "note", "plain", hook
        name, value = chance.choice(NAMES), f"w{chance.randrange(100)}"
        lines = b"more\r\n" * chance.choice([0, 1, 60, 1500])
        choices: list[Step] = [
            ("add", name, value, chance.choice([None, 0, 1])),
            ("remove", name),
            ("replace", name, value),
            ("append", lines),
            ("body", chance.choice([b"\r\n", b"\r\nnew\r\n", b"\r\n" + lines])),
            ("drop", chance.randrange(2)),
            ("join", f"joined{chance.randrange(10**6)}@{chance.choice(DOMAINS[:4])}"),
            ("turn", self.address()),
        ]
        return chance.choice(choices)

    # What happens

    def step(self) -> None:
        chance = self.chance
        draw = chance.random()
        if draw < 0.7:
            self.send()
        elif draw < 0.85:
            self.mta.advance(chance.choice([0.5, 10, 60, 4000]))
        elif draw < 0.95:
            self.crash()
        else:
            self.mta.stop()
            self.mta.start()

    def crash(self) -> None:
        self.crashes += 1
        self.mta.restart()

    def send(self) -> None:
        self.plan = plan = self.make_plan()
        model = Model(plan).foresee()
        self.begun = self.mta.seconds()
        client = self.mta.client()
        if self.chance.random() < 0.1:
            self.break_off(client, plan)
            return
        reply = client.send(plan.sender, plan.recipients, plan.content, keep=self.chance.random() < 0.5)
        if model.said == "none":
            assert set(client.refused) == model.refused == set(plan.recipients), (client.refused, model)
            return
        assert reply[:3] == model.said, (reply, model)
        if reply.startswith("250"):
            assert set(client.refused) == model.refused, (client.refused, model)
            self.releases[str(plan.number).encode()] = self.begun + model.release
            self.models[reply.split()[-1]] = model
        client.close()

    def break_off(self, client: Client, plan: Plan) -> None:
        """
        Go away in the middle: nothing comes of it.
        """
        client.ehlo()
        said = [f"MAIL FROM:<{plan.sender}>", *(f"RCPT TO:<{each}>" for each in plan.recipients), "DATA"]
        for line in said[: self.chance.randrange(len(said) + 1)]:
            client.command(line)
        try:
            client.write(plan.content[: self.chance.randrange(len(plan.content))])
        except Disconnected:
            return
        client.close()

    def run(self) -> None:
        for _ in range(25):
            self.step()
        self.crash()
        self.mta.advance(days=1)
        self.crash()
        self.mta.advance(hours=1)


class AnyModulesTests(SynchronousTestCase):
    """
    Many histories.
    """

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        Each message arrives as its modules left it, where they sent it, with what they noted: once, or again where a
        crash came in between; and nothing else does.
        """
        history = History(random.Random(seed))
        history.run()
        self.flushLoggedErrors(PlannedError)
        self.assertEqual(history.misread, 0)
        self.check_what_waits(history)
        self.check_what_was_dropped(history)
        self.check_what_arrived(history)
        self.check_reports(history)
        self.assertEqual(history.mta.spool.pending_bytes, 0)  # type: ignore[union-attr]  # it is there
        history.mta.faults[:] = [fault for fault in history.mta.faults if not fault.check(PlannedError)]
        self.assertEqual(history.mta.faults, [])
        history.mta.stop()

    def check_what_waits(self, history: History) -> None:
        """
        What is held, is so after all restarts; nothing else is still there.
        """
        held = {(each.queue_id, each.domain): each for each in history.mta.queue()}
        wanted = {
            (queue_id, model.route(recipient))
            for queue_id, model in history.models.items()
            if model.arrives and model.held
            for recipient in model.recipients
        }
        self.assertEqual(set(held), wanted)
        for each in held.values():
            self.assertEqual((each.status.value, each.attempts, each.last_error), ("held", 0, "planned"))
            self.assertIsNone(each.next_attempt)

    def check_what_was_dropped(self, history: History) -> None:
        told = [event.message.queue_id for event in history.mta.events if isinstance(event, MessageDiscarded)]
        self.assertEqual(sorted(told), sorted(i for i, model in history.models.items() if not model.arrives))

    def check_what_arrived(self, history: History) -> None:
        wanted: Counter[tuple[str, str, str, bytes]] = Counter()
        for queue_id, model in history.models.items():
            if not model.arrives or model.held:
                continue
            for server, recipient in model.arrivals():
                if server != REFUSING:
                    wanted[server, model.sender, recipient, written(model.fields) + model.body] += 1
                    metadata = history.noted[queue_id]
                    self.assertEqual({**model.metadata, **metadata}, metadata, "what a failing hook noted stays")
        found: Counter[tuple[str, str, str, bytes]] = Counter()
        for server in (HUB, *DOMAINS):
            for message in history.mta.peer(server).messages:
                if b"multipart/report" in message.content:
                    continue
                self.assertEqual(message.content[:10], b"Received: ")
                content = message.content[message.content.index(b"+0000\r\n") + 7 :]
                self.assertGreaterEqual(message.at, history.releases[content.split(b"X-Plan: ")[1].split()[0]])
                for recipient in message.recipients:
                    found[server, message.sender, recipient, content] += 1
        self.assertEqual(set(found), set(wanted))
        for each, number in wanted.items():
            self.assertIn(found[each], range(number, number * (1 + history.crashes) + 1), each)

    def check_reports(self, history: History) -> None:
        """
        Who is the sender now hears of recipients that are refused, and nobody else does.
        """
        wanted = set()
        for model in history.models.values():
            if model.arrives and not model.held and model.sender:
                wanted |= {(model.sender, recipient) for server, recipient in model.arrivals() if server == REFUSING}
        told = set()
        for message in history.mta.peer("senders.example").messages:
            if b"multipart/report" in message.content:
                self.assertEqual(message.sender, "")
                for line in message.content.decode().split("\r\n"):
                    if line.startswith("Final-Recipient: rfc822; "):
                        told.add((message.recipients[0], line.split("; ")[1]))
        self.assertEqual(told, wanted)
