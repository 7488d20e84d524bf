"""
Deliveries that are traced: what is written down of them, step by step.
"""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool, Domain
from empath.config.schema import Delivery as Section
from empath.config.units import Secret
from empath.mail.answer import Found
from empath.mail.attempt import Attempt
from empath.mail.life import LifeEvent, StepEnded
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Outcome
from empath.mail.step import LEFT_FREE, MOST_LINES, MOST_STEPS, Step, Steps
from empath.net.dialogues import Dialogues, Interest
from tests.deliver.fakes import CHUNKING, CLOSE, HANG, STARTTLS, Server
from tests.deliver.test_lmtp import LmtpWorld
from tests.deliver.world import SENT, SENT_2, Reader, World, message, spell

MX1 = {"server.address": "mx1.example.org", "server.port": 25, "network.peer.address": "192.0.2.1"}


class Traced:
    """
    Deliveries of a world, with their steps.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[LifeEvent] = []
        world.agent.emit = self.told.append
        world.reactor.advance(1000)
        self.steps = Steps()
        self.outcomes: list[tuple[Outcome, ...]] = []

    def start(self, carried: Message | None = None) -> Deferred[Any]:
        """
        Start a delivery.
        """
        carried = carried or message()
        (delivery,) = deliveries_of(carried)
        self.steps = Steps()
        attempt = self.world.attempt = Attempt(1, self.world.reactor.seconds(), steps=self.steps)
        started = Deferred.fromCoroutine(cast(Any, self.world.agent.deliver(carried, delivery, attempt)))
        return started.addCallback(self.outcomes.append)

    def deliver(self, carried: Message | None = None) -> list[str]:
        """
        Make one that ends without waiting, and spell its outcomes.
        """
        self.start(carried)
        self.world.reactor.run()
        return spell(self.outcomes[-1])

    def names(self) -> list[str]:
        """
        Name the steps so far.
        """
        return [step.name for step in self.steps.steps]

    def of(self, name: str) -> list[Step]:
        """
        Give the steps of a name.
        """
        return [step for step in self.steps.steps if step.name == name]

    def troubles(self) -> list[str]:
        """
        Spell the steps that failed.
        """
        return [f"{step.name}: {step.trouble}" for step in self.steps.steps if step.trouble]

    def late(self) -> list[Step]:
        """
        Give the steps that ended after their attempt.
        """
        return [event.step for event in self.told if isinstance(event, StepEnded)]


def lines(step: Step) -> list[str]:
    """
    Spell what was said in a step.
    """
    return [f"{'>' if said.from_us else '<'} {said.text}" for said in step.said]


class StepTests(SynchronousTestCase):
    """
    The steps of deliveries over SMTP.
    """

    def setUp(self) -> None:
        self.traced = Traced(World())
        self.world = self.traced.world

    def test_one_host(self) -> None:
        """
        Each phase has its step with its own lines, although all commands went at once.
        """
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertEqual(self.traced.names(), ["dns", "connect", "mail", "rcpt", "data"])
        dns, connect, mail, rcpt, data = self.traced.steps.steps
        self.assertEqual(
            dns.facts,
            {
                "dns.question.name": "example.org",
                "empath.dns.hosts": "mx1.example.org[192.0.2.1] mx2.example.org[192.0.2.2]",
            },
        )
        self.assertEqual(connect.facts | MX1, connect.facts)
        self.assertEqual(connect.facts["network.local.address"], "198.51.100.1")
        self.assertEqual(connect.facts["empath.tls.policy"], "opportunistic")
        self.assertEqual(lines(connect)[:2], ["< 220 hello", "> EHLO client.example.net"])
        self.assertEqual(lines(mail), ["> MAIL FROM:<a@example.net> SIZE=28", "< 250 2.1.0 sender"])
        self.assertEqual(lines(rcpt), ["> RCPT TO:<b@example.org>", "< 250 2.1.5 recipient"])
        self.assertEqual(lines(data), ["> DATA", "< 354 go", "< 250 2.0.0 queued"])
        self.assertEqual([step.facts | MX1 for step in (mail, rcpt, data)], [mail.facts, rcpt.facts, data.facts])
        self.assertEqual(data.facts["empath.content.size"], 32)
        self.assertEqual(self.traced.troubles(), [])
        self.assertEqual(self.traced.late(), [])

    def test_times(self) -> None:
        """
        Each step takes as long as its server does.
        """
        self.world.server(1, MAIL=HANG)
        self.traced.start()
        self.world.reactor.run()
        self.world.reactor.advance(2)
        self.world.mx1.go_on(self.world.mx1.transports[0], "250 ok")
        self.world.reactor.run()
        (mail,) = self.traced.of("mail")
        self.assertEqual(mail.ended - mail.started, 2)
        self.assertEqual([step.ended - step.started for step in self.traced.of("connect")], [0])

    def test_three_hosts(self) -> None:
        """
        One refuses the connection, one wants no transaction, the last takes it: each has its own steps and trouble.
        """
        self.world.resolver.table["example.org", "MX"].append((30, "mx3.example.org"))
        self.world.resolver.table["mx3.example.org", "A"] = ["192.0.2.3"]
        del self.world.reactor.servers["192.0.2.1:25"]
        self.world.server(2, MAIL="421 4.3.2 not now")
        self.world.reactor.servers["192.0.2.3:25"] = Server(self.world.reactor)
        self.assertEqual(self.traced.deliver(), ["Success 250 2.0.0 mx3.example.org"])
        self.assertEqual(
            [(step.name, str(step.facts["server.address"])[:3], step.trouble) for step in self.traced.steps.steps[1:]],
            [
                ("connect", "mx1", "cannot connect: connection refused"),
                ("connect", "mx2", ""),
                ("mail", "mx2", "421 4.3.2 not now"),
                ("rcpt", "mx2", "no reply before the end: 421 4.3.2 not now"),
                ("data", "mx2", "no reply before the end: 421 4.3.2 not now"),
                ("connect", "mx3", ""),
                ("mail", "mx3", ""),
                ("rcpt", "mx3", ""),
                ("data", "mx3", ""),
            ],
        )

    def test_a_recipient_that_is_deferred(self) -> None:
        """
        Is the trouble of RCPT; the DATA that went with it is refused, too.
        """
        self.world.server(1, RCPT="452 4.2.2 full", DATA="554 5.5.1 no valid recipients")
        self.traced.deliver()
        self.assertEqual(self.traced.troubles(), ["rcpt: 452 4.2.2 full", "data: 554 5.5.1 no valid recipients"])

    def test_a_host_that_is_not_ready(self) -> None:
        """
        The trouble is its greeting, and QUIT, which it is told, has a step of its own.
        """
        self.world.server(1, GREETING="421 4.3.2 not now")
        self.assertEqual(self.traced.deliver(), SENT_2)
        self.assertEqual(self.traced.names(), ["dns", "connect", "connect", "mail", "rcpt", "data"])
        refused, used = self.traced.of("connect")
        self.assertEqual(refused.trouble, "421 4.3.2 not now")
        self.assertEqual(lines(refused), ["< 421 4.3.2 not now"])
        self.assertEqual(used.facts["server.address"], "mx2.example.org")

    def test_a_host_that_refuses_us(self) -> None:
        """
        Is told QUIT before the next one is tried.
        """
        self.world.server(1, GREETING="554 5.7.1 go away")
        self.assertEqual(self.traced.deliver(), SENT_2)
        self.assertEqual(self.traced.names().count("quit") + len(self.traced.late()), 1)

    def test_dns(self) -> None:
        """
        A domain that cannot be found has one step, and why.
        """
        self.world.resolver.table["example.org", "MX"] = Found.FAILED
        self.traced.deliver()
        self.assertEqual(self.traced.names(), ["dns"])
        self.assertIn("look-up of example.org MX failed", self.traced.troubles()[0])

    def test_tls(self) -> None:
        """
        Has a step of its own, with what protects the connection; what is said under it opens the session.
        """
        self.world.server(1, EHLO=STARTTLS)
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertEqual(self.traced.names()[:3], ["dns", "connect", "tls"])
        (tls,) = self.traced.of("tls")
        self.assertEqual(
            {name: fact for name, fact in tls.facts.items() if "tls" in name},
            {
                "tls.protocol.name": "tls",
                "tls.protocol.version": "1.3",
                "tls.cipher": "TLS_AES_256_GCM_SHA384",
                "empath.tls.security": "encrypted",
            },
        )
        (connect,) = self.traced.of("connect")
        self.assertEqual(sum("EHLO" in line for line in lines(connect)), 2)
        self.assertEqual(self.traced.troubles(), [])

    def test_tls_that_fails(self) -> None:
        """
        Is the trouble of its step and of the connection; the next one goes without.
        """
        self.world.server(1, EHLO=STARTTLS).shakes = False
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertEqual(self.traced.names(), ["dns", "connect", "tls", "connect", "mail", "rcpt", "data"])
        (tls,) = self.traced.of("tls")
        self.assertIn("TLS handshake failed", tls.trouble)
        self.assertEqual(self.traced.of("connect")[1].facts["empath.tls.policy"], "disabled")

    def test_a_connection_that_is_used_again(self) -> None:
        """
        Is told as such, and nothing of the deliveries before.
        """
        self.world.deliver()
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertEqual(self.traced.names(), ["dns", "connect", "mail", "rcpt", "data"])
        (connect,) = self.traced.of("connect")
        self.assertEqual(connect.facts | MX1, connect.facts)
        self.assertEqual(connect.facts["empath.connection.reused"], True)
        self.assertEqual(connect.facts["empath.connection.transactions"], 1)
        self.assertEqual(lines(connect), [])
        before = self.traced.steps
        self.world.deliver()
        self.assertEqual((len(before.steps), before.lines), (5, before.lines))
        self.assertEqual(sum(len(step.said) for step in before.steps), before.lines)

    def test_an_idle_connection_that_was_dead(self) -> None:
        """
        Shows as a transaction that was lost, before the one that was not.
        """
        self.world.server(1, MAIL=["250 ok", CLOSE, "250 ok"])
        self.world.deliver()
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertEqual(
            [step.facts.get("empath.connection.reused") for step in self.traced.of("connect")], [True, None]
        )
        lost, _ = self.traced.of("mail")
        self.assertIn("lost", lost.trouble)

    def test_a_server_that_hangs(self) -> None:
        """
        Every step under way ends with the reason.
        """
        self.world.server(1, MAIL=HANG)
        self.traced.start()
        self.world.reactor.run()
        self.world.reactor.advance(400)
        self.world.reactor.run()
        mail = self.traced.of("mail")[0]
        self.assertIn("timed out", mail.trouble)
        self.assertEqual(mail.ended, self.world.reactor.seconds())
        self.assertTrue(all(step.ended for step in self.traced.steps.steps))

    def test_an_attempt_that_is_cut_short(self) -> None:
        """
        Leaves no step without an end, and a connection that tells it no more.
        """
        self.world.server(1, DATA=HANG)
        started = self.traced.start()
        self.world.reactor.run()
        started.addErrback(lambda _: None)
        started.cancel()
        self.world.reactor.run()
        self.assertTrue(all(step.ended for step in self.traced.steps.steps))
        self.assertEqual(self.traced.of("data")[0].trouble, "no reply before the end: the attempt was cut short")

    def test_cut_short_while_it_looks_for_hosts(self) -> None:
        """
        The same of what is asked the DNS, and of what is connecting.
        """
        self.world.resolver.slow = []
        started = self.traced.start()
        started.addErrback(lambda _: None)
        started.cancel()
        self.assertEqual(self.traced.troubles(), ["dns: the attempt was cut short"])
        self.world.resolver.slow = None
        self.world.reactor.servers["192.0.2.1:25"] = "hang"
        started = self.traced.start()
        started.addErrback(lambda _: None)
        self.world.reactor.run()
        started.cancel()
        self.assertEqual([step.name for step in self.traced.steps.steps if step.trouble], ["connect"])

    def test_quit_that_is_answered_late(self) -> None:
        """
        Is told when it is, and is no step of the attempt, which did not wait for it.
        """
        self.traced = Traced(World(Section(connection_pool=ConnectionPool(max_messages=1))))
        self.world = self.traced.world
        self.world.server(1, QUIT=HANG)
        self.assertEqual(self.traced.deliver(), SENT)
        self.assertNotIn("quit", self.traced.names())
        self.assertEqual(self.traced.late(), [])
        self.world.reactor.advance(1)
        self.world.mx1.go_on(self.world.mx1.transports[0], "221 bye")
        self.world.reactor.run()
        (quit,) = self.traced.late()
        self.assertEqual((quit.name, quit.ended - quit.started, quit.trouble), ("quit", 1, ""))
        self.assertEqual(lines(quit), ["> QUIT", "< 221 bye"])
        self.assertEqual(quit.facts | MX1, quit.facts)
        (event,) = self.traced.told
        assert isinstance(event, StepEnded)
        self.assertIs(event.attempt, self.world.attempt)

    def test_quit_that_is_never_answered(self) -> None:
        """
        Ends with the connection.
        """
        self.traced = Traced(World(Section(connection_pool=ConnectionPool(max_messages=1))))
        self.world = self.traced.world
        self.world.server(1, QUIT=HANG)
        self.traced.deliver()
        self.world.reactor.advance(1000)
        self.world.reactor.run()
        (quit,) = self.traced.late()
        self.assertEqual(quit.trouble, "the connection ended before a reply")

    def test_chunks(self) -> None:
        """
        All of them are one step.
        """
        self.world.server(1, EHLO=CHUNKING)
        self.world.reader = Reader([b"\r\n", b"x" * 70000, b"\r\n"])
        carried = message(body=None, size=12 + 70004)
        self.assertEqual(self.traced.deliver(carried), SENT)
        (data,) = self.traced.of("data")
        self.assertEqual(data.facts["empath.content.size"], carried.size)

    def test_two_addresses_race(self) -> None:
        """
        Each has its step; the one that lost is given up.
        """
        self.world.resolver.table["mx1.example.org", "AAAA"] = ["2001:db8::1"]
        self.world.reactor.servers["2001:db8::1:25"] = "hang"
        self.traced.start()
        self.world.reactor.run()
        self.world.reactor.advance(0.3)
        self.world.reactor.run()
        self.assertEqual(spell(self.traced.outcomes[0]), SENT)
        six, four = self.traced.of("connect")
        self.assertEqual((six.facts["network.peer.address"], six.trouble), ("2001:db8::1", "cannot connect: given up"))
        self.assertEqual((four.facts["network.peer.address"], four.trouble), ("192.0.2.1", ""))

    def test_lmtp(self) -> None:
        """
        The answers for each recipient belong to the content, also where QUIT went with it.
        """
        pool = ConnectionPool(max_messages=1)
        self.traced = Traced(LmtpWorld(Section(connection_pool=pool)))
        carried = message("b@example.org", "c@example.org")
        self.assertEqual([told.split()[0] for told in self.traced.deliver(carried)], ["Success", "Success"])
        (data,) = self.traced.of("data")
        self.assertEqual(len([line for line in lines(data) if line.startswith("< 2")]), 2)
        (quit,) = [*self.traced.of("quit"), *self.traced.late()]
        self.assertTrue(lines(quit)[-1].startswith("< 221"), lines(quit))

    def test_a_connection_that_somebody_waits_for(self) -> None:
        """
        Goes from one delivery to the next in one breath: no trace gets anything of another's mail.
        """
        self.traced = Traced(World(Section(connection_pool=ConnectionPool(max_per_server=1))))
        self.world = self.traced.world
        self.world.server(1, EHLO="250 8BITMIME", MAIL=[HANG, "250 ok"])
        carried = [message(f"b{number}@example.org") for number in range(4)]
        self.traced.start(carried[0])
        first = self.traced.steps
        self.world.reactor.run()
        self.world.start(carried[1])  # which nobody traces
        self.traced.start(carried[2])
        second = self.traced.steps
        self.world.start(carried[3])
        self.world.reactor.run()
        self.world.mx1.go_on(self.world.mx1.transports[0], "250 ok")
        self.world.reactor.run()
        self.assertEqual(len(self.world.mx1.contents), 4)
        for steps, number in ((first, 0), (second, 2)):
            said = [line for step in steps.steps for line in lines(step)]
            self.assertEqual([line for line in said if "RCPT" in line], [f"> RCPT TO:<b{number}@example.org>"])
            self.assertEqual([step.name for step in steps.steps], ["dns", "connect", "mail", "rcpt", "data"])
            self.assertEqual([step.trouble for step in steps.steps], [""] * 5)
        self.assertIsNone(next(iter(self.world.agent._pool.connections())).session.tap)

    def test_with_somebody_who_watches(self) -> None:
        """
        Both get all of it, whoever came first, and one outlasts the other.
        """
        dialogues = Dialogues(self.world.reactor)
        self.world.agent.dialogues = dialogues
        dialogues.join(self.world.agent.overhear)
        watch = dialogues.watch(Interest("", "example.org", ""))
        self.assertEqual(self.traced.deliver(), SENT)
        watch.end()
        heard = [each.text for each in self.successResultOf(Deferred.fromCoroutine(watch.take()))]
        self.assertIn("RCPT TO:<b@example.org>", heard)
        self.assertEqual(self.traced.names(), ["dns", "connect", "mail", "rcpt", "data"])
        self.assertEqual(self.traced.deliver(), SENT)
        self.world.server(2)

    def test_watching_that_begins_and_ends_meanwhile(self) -> None:
        """
        Takes nothing from the trace.
        """
        dialogues = Dialogues(self.world.reactor)
        self.world.agent.dialogues = dialogues
        dialogues.join(self.world.agent.overhear)
        self.world.server(1, MAIL=HANG)
        self.traced.start()
        self.world.reactor.run()
        watch = dialogues.watch(Interest("", "example.org", ""))
        self.world.mx1.go_on(self.world.mx1.transports[0], "250 ok")
        self.world.reactor.run()
        watch.end()
        self.world.mx1.answers["RCPT"] = ["250 ok"]
        self.assertEqual(lines(self.traced.of("mail")[0])[-1], "< 250 ok")


class HostileTests(SynchronousTestCase):
    """
    What a server can put into a trace.
    """

    def setUp(self) -> None:
        self.traced = Traced(World())
        self.world = self.traced.world

    def test_control_characters(self) -> None:
        """
        Move no cursor.
        """
        self.world.server(1, RCPT="550 5.1.1 \x1b[31mno\x07\x00 \x9b such\u202euser")
        self.traced.deliver()
        shown = "".join(said.text for step in self.traced.steps.steps for said in step.said)
        shown += "".join(step.trouble for step in self.traced.steps.steps)
        self.assertTrue(shown.isprintable(), [c for c in shown if not c.isprintable()])

    def test_long_lines_and_many(self) -> None:
        """
        Are cut, and counted.
        """
        self.world.server(1, GREETING="220 " + "x" * 60000, EHLO="\r\n".join(["250-" + "y" * 400] * 100 + ["250 z"]))
        self.assertEqual(self.traced.deliver(), SENT)
        texts = [said.text for step in self.traced.steps.steps for said in step.said]
        self.assertLess(max(map(len, texts)), 600)
        self.assertLessEqual(len(texts), MOST_LINES)
        self.assertLess(max(len(step.trouble) for step in self.traced.steps.steps), 600)

    def test_no_end_of_replies(self) -> None:
        """
        A flood of lines that nobody asked for ends the session; what is kept of it is bounded.
        """
        flood = "\r\n".join(f"250 {number}" for number in range(5000))
        self.world.server(1, EHLO=flood)
        self.traced.deliver()
        self.assertLessEqual(len(self.traced.steps.steps), MOST_STEPS)
        self.assertLessEqual(sum(len(step.said) for step in self.traced.steps.steps), MOST_LINES)

    def test_a_password_that_is_quoted(self) -> None:
        """
        Is masked in what it says, and so is the command that told it.
        """
        domain = Domain(
            mx_override=("mx1.example.org",),
            tls_policy="required",
            username="user",
            password=Secret("correct horse"),
        )
        section = Section(domains={"example.org": domain})
        self.traced = Traced(World(section))
        offer = "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
        self.traced.world.server(1, EHLO=offer, AUTH="535 5.7.8 correct horse is wrong: AHVzZXIAY29ycmVjdCBob3JzZQ==")
        self.traced.deliver()
        shown = " ".join(
            [said.text for step in self.traced.steps.steps for said in step.said]
            + [step.trouble for step in self.traced.steps.steps]
        )
        self.assertIn("AUTH PLAIN [masked]", shown)
        self.assertNotIn("correct horse", shown)
        self.assertNotIn("AHVzZXIAY29ycmVjdCBob3JzZQ", shown)

    def test_many_recipients(self) -> None:
        """
        Have no more steps than are kept; what is left out is counted, and of the content it is told.
        """
        carried = message(*[f"b{number}@example.org" for number in range(300)])
        self.traced.world.agent.reconfigure(attrs.evolve(self.world.section, max_recipients_per_transaction=1000))
        self.assertEqual(len(self.traced.deliver(carried)), 300)
        self.assertEqual(len(self.traced.steps.steps), MOST_STEPS - LEFT_FREE[0] + 1)
        self.assertEqual(self.traced.steps.steps[-1].name, "data")
        self.assertGreater(self.traced.steps.left_out, 0)
