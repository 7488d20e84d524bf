"""
Asking a next hop about a recipient.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.probe import MOST_OF_DOMAIN, PATIENCE, PER_CONNECTION, PER_SITE
from empath.mail.address import Address, parse_address
from empath.mail.answer import Found
from empath.mail.reply import Reply
from tests.deliver.fakes import CLOSE, HANG, STARTTLS
from tests.deliver.world import World

B = parse_address("b@example.org")
UTF8 = parse_address("bü@example.org", utf8=True)


class ProbeCase(SynchronousTestCase):
    """
    Probes in a small world.
    """

    def ask(self, world: World, address: Address = B) -> str:
        """
        Ask, and spell an answer that needs no waiting.
        """
        asked = self.begin(world, address)
        return str(self.successResultOf(asked))

    def begin(self, world: World, address: Address = B) -> Deferred[Reply]:
        """
        Ask, and let everything happen that needs no time.
        """
        asked = world.agent.verify(address)
        world.reactor.run()
        return asked


class AnswerTests(ProbeCase):
    """
    What a next hop says, and what is made of it.
    """

    def test_answers(self) -> None:
        """
        The answer is what the next hop says to RCPT after a null reverse-path; nothing is ever sent.
        """
        for said in (
            "250 2.1.5 yes",
            "251 2.1.5 forwards",
            "550 5.1.1 nobody",
            "450 4.2.0 greylisted",
            "452 4.2.2 full",
        ):
            for ehlo in ("250-mx\r\n250-SIZE 1000\r\n250 PIPELINING", "250 mx"):
                world = World()
                world.server(1, RCPT=said, EHLO=ehlo)
                self.assertEqual(self.ask(world), said)
                self.assertEqual(world.mx1.commands[1:], ["MAIL FROM:<>", "RCPT TO:<b@example.org>"])
                self.assertEqual(world.mx1.contents, [])
                self.assertEqual(world.mx2.transports, [])

    def test_sender_refused(self) -> None:
        """
        A server that refuses the null reverse-path says nothing of the recipient: not verified, and not now.
        """
        world = World()
        world.server(1, MAIL="550 5.7.1 no bounces please")
        told = self.ask(world)
        self.assertEqual(
            told,
            "451 4.7.1 the recipient cannot be verified: mx1.example.org says 550 5.7.1 no bounces please",
        )

    def test_next_host(self) -> None:
        """
        A host that is down, busy or breaks off is passed over.
        """
        for answers in ({"GREETING": "421 4.3.2 later"}, {"RCPT": CLOSE}, {"MAIL": "452 4.3.1 full"}):
            world = World()
            world.server(1, **answers)
            world.server(2, RCPT="550 5.1.1 nobody")
            self.assertEqual(self.ask(world), "550 5.1.1 nobody")

    def test_nobody_to_ask(self) -> None:
        """
        Whatever keeps us from asking is a 4yz that says so: no host, no connection, no such domain.
        """
        world = World()
        world.reactor.servers.clear()
        self.assertEqual(
            self.ask(world), "451 4.4.1 the recipient cannot be verified: 421 4.4.1 cannot connect: connection refused"
        )
        world.resolver.table["example.org", "MX"] = Found.NO_NAME
        self.assertTrue(self.ask(world).startswith("451 4.1.2 the recipient cannot be verified: 550 5.1.2"))

    def test_other_strategies(self) -> None:
        """
        Where mail is not delivered by SMTP everybody is taken at once.
        """
        world = World(strategy="maildir", path="/nowhere")
        self.assertEqual(self.ask(world)[:9], "252 2.1.5")
        self.assertEqual(world.reactor.connectors, [])

    def test_smarthost(self) -> None:
        """
        A probe takes the way that the mail would take.
        """
        world = World(mx_override=("192.0.2.2",))
        world.server(2, RCPT="550 5.1.1 nobody")
        self.assertEqual(self.ask(world), "550 5.1.1 nobody")
        self.assertEqual(world.resolver.asked, [])

    def test_internationalized(self) -> None:
        """
        SMTPUTF8 is asked for where the address needs it; a server without it cannot have such a recipient.
        """
        world = World()
        world.server(1, EHLO="250-mx\r\n250 SMTPUTF8")
        self.assertEqual(self.ask(world, UTF8)[:3], "250")
        self.assertEqual(world.mx1.commands[1:], ["MAIL FROM:<> SMTPUTF8", "RCPT TO:<bü@example.org>"])
        self.assertEqual(self.ask(World(), UTF8)[:9], "550 5.6.7")

    def test_tls(self) -> None:
        """
        The route's TLS policy holds: cleartext after a failed handshake only where it may be.
        """
        for required, told in ((False, "250 2.1.5"), (True, "451 4.7.5")):
            world = World(require_tls=required)
            server = world.server(1, EHLO=STARTTLS)
            world.reactor.servers["192.0.2.2:25"] = server
            server.shakes = False
            self.assertEqual(self.ask(world)[:9], told)


class LimitTests(ProbeCase):
    """
    Probes are bounded, shared and cancelled.
    """

    def test_patience(self) -> None:
        """
        An answer is waited for no longer than 30 s, however many hosts are silent; the connection is closed then.
        """
        world = World()
        world.server(1, RCPT=HANG)
        asked = self.begin(world)
        world.reactor.advance(PATIENCE - 1)
        self.assertNoResult(asked)
        world.reactor.advance(1)
        self.assertEqual(str(self.successResultOf(asked))[:9], "451 4.4.2")
        world.reactor.run()
        self.assertEqual(world.mx1.open, 0)

    def test_shared(self) -> None:
        """
        All who ask for the same address at a time share one probe; it lasts until the last one has left.
        """
        world = World()
        server = world.server(1, RCPT=HANG)
        first, second, third = self.begin(world), self.begin(world), self.begin(world)
        self.assertEqual(server.verbs().count("RCPT"), 1)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        server.go_on(server.transports[0], "250 2.1.5 yes")
        self.assertEqual(str(self.successResultOf(first)), "250 2.1.5 yes")
        self.assertEqual(str(self.successResultOf(third)), "250 2.1.5 yes")

    def test_abandoned(self) -> None:
        """
        A probe that nobody waits for any more ends at once.
        """
        world = World()
        server = world.server(1, RCPT=HANG)
        asked = self.begin(world)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        world.reactor.run()
        self.assertEqual(server.open, 0)
        server.answers["RCPT"] = ["250 2.1.5 yes"]
        self.assertEqual(self.ask(world), "250 2.1.5 yes")

    def test_per_site(self) -> None:
        """
        A server is asked by two connections at a time, which deliveries do not use; these keep all of theirs.
        """
        world = World()
        server = world.server(1, RCPT=HANG)
        asked = [self.begin(world, parse_address(f"u{n}@example.org")) for n in range(5)]
        self.assertEqual(len(server.transports), PER_SITE)
        server.answers["RCPT"] = ["250 2.1.5 yes"]
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 mx1.example.org"])
        self.assertEqual(dict(world.agent.connections()), {"[192.0.2.1]:25": PER_SITE + 1})
        for transport in server.transports[:PER_SITE]:
            server.go_on(transport, "250 2.1.5 yes")
        world.reactor.run()
        self.assertEqual([str(self.successResultOf(each))[:3] for each in asked], ["250"] * 5)

    def test_per_connection(self) -> None:
        """
        A connection is used for a few probes only, as a server may punish who asks for many unknown users.
        """
        world = World()
        server = world.server(1, RCPT="550 5.1.1 nobody")
        for number in range(PER_CONNECTION + 1):
            self.ask(world, parse_address(f"u{number}@example.org"))
        self.assertEqual(len(server.transports), 2)
        self.assertEqual(server.verbs().count("RSET"), PER_CONNECTION - 1)
        self.assertEqual(server.verbs().count("QUIT"), 1)

    def test_most(self) -> None:
        """
        No more than so many stand in line for a domain, and one that is silent leaves the others their room.
        """
        world = World(Section(domains={"example.com": Domain(mx_override=("192.0.2.2",))}))
        world.server(1, RCPT=HANG)
        asked = [self.begin(world, parse_address(f"u{n}@example.org")) for n in range(MOST_OF_DOMAIN + 1)]
        self.assertEqual(str(self.successResultOf(asked.pop()))[:9], "451 4.3.2")
        self.assertNoResult(asked[-1])
        self.assertEqual(self.ask(world, parse_address("b@example.com"))[:3], "250")

    def test_stop(self) -> None:
        """
        At the end probes are cut short, and none begins any more.
        """
        world = World()
        server = world.server(1, RCPT=HANG)
        asked = self.begin(world)
        stopped = world.agent.stop()
        self.assertEqual(str(self.successResultOf(asked))[:9], "451 4.3.2")
        world.reactor.run()
        self.successResultOf(stopped)
        self.assertEqual(server.open, 0)
        self.assertEqual(self.ask(world)[:9], "451 4.3.2")

    def test_fault(self) -> None:
        """
        A bug on the way is logged, and says nothing of the recipient.
        """
        world = World()
        world.resolver.table["example.org", "MX"] = 7
        self.assertEqual(self.ask(world)[:9], "451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
