"""
One attempt over SMTP: from host to host.
"""

from __future__ import annotations

from twisted.internet.error import ConnectError, NoRouteError, TimeoutError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.interfaces import IAgent
from empath.mail.answer import Found
from empath.mail.outcome import Outcome
from tests.deliver.fakes import CLOSE, HANG
from tests.deliver.world import CONTENT, SENT, SENT_2, World, message, spell


class HostTests(SynchronousTestCase):
    """
    From host to host.
    """

    def test_interface(self) -> None:
        """
        The agent keeps the interface's promise of names.
        """
        verifyObject(IAgent, World().agent)

    def test_delivered(self) -> None:
        """
        Mail goes to the preferred host, whole, with the timing of its steps.
        """
        world = World()
        world.reactor.advance(5)
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.mx1.contents, [CONTENT])
        self.assertEqual(world.mx1.verbs(), ["EHLO", "MAIL", "RCPT", "DATA"])
        self.assertTrue(world.mx1.transports[0].no_delay)
        expected = ("mx1.example.org", "192.0.2.1", 25, False, 5.0, 5.0, 5.0, 5.0)
        a = world.attempt
        told = (a.host, a.address, a.port, a.reused, a.resolved, a.connected, a.sent, a.ended)
        self.assertEqual(told, expected)

    def test_small_content_is_one_write(self) -> None:
        """
        The envelope is one write, content and final dot another.
        """
        world = World()
        world.deliver()
        self.assertEqual(len(world.mx1.transports[0].writes), 3)

    def test_next_host_when_down(self) -> None:
        """
        A host that cannot be reached is passed over, however it fails.
        """
        for fault in (None, TimeoutError(), NoRouteError(), ConnectError(), ValueError()):
            world = World()
            if fault is None:
                del world.reactor.servers["192.0.2.1:25"]
            else:
                world.reactor.servers["192.0.2.1:25"] = fault
            self.assertEqual(world.deliver(), SENT_2)
            self.assertEqual((world.attempt.host, world.attempt.address), ("mx2.example.org", "192.0.2.2"))

    def test_all_down(self) -> None:
        """
        When no host can be reached the failure is transient: 4.4.1.
        """
        world = World()
        world.reactor.servers.clear()
        self.assertEqual(world.deliver(), ["TransientFailure 421 4.4.1"])
        self.assertEqual(len(world.reactor.connectors), 2)

    def test_next_host_at_each_opening_step(self) -> None:
        """
        A host that refuses, closes, garbles or says 421 before the content is passed over; nothing is permanent.
        """
        for step in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA"):
            for answer in (CLOSE, "421 4.3.2 busy", "garbage", "354-mixed\r\n250 up"):
                world = World()
                world.server(1, **{step: answer})
                self.assertEqual(world.deliver(), SENT_2, (step, answer))
        for step in ("GREETING", "EHLO"):
            for answer in ("554 5.7.1 no", "450 4.7.1 no"):
                world = World()
                world.server(1, **{step: answer, "HELO": answer})
                self.assertEqual(world.deliver(), SENT_2, (step, answer))

    def test_next_host_when_one_hangs(self) -> None:
        """
        A host that hangs is passed over after the time of the step (RFC 5321 §4.5.3.2).
        """
        times = {"GREETING": 300, "EHLO": 300, "MAIL": 300, "RCPT": 300, "DATA": 120}
        for step, seconds in times.items():
            world = World()
            world.server(1, **{step: HANG})
            told: list[tuple[Outcome, ...]] = []
            world.start().addCallback(told.append)
            world.reactor.run()
            world.reactor.advance(seconds - 1)
            world.reactor.run()
            self.assertEqual(told, [], step)
            world.reactor.advance(1)
            world.reactor.run()
            self.assertEqual(spell(told[0]), SENT_2, step)
            self.assertEqual(world.mx1.open, 0)

    def test_trickle_wins_no_time(self) -> None:
        """
        A server that sends a byte now and then, but no whole reply, runs into the time-out all the same.
        """
        world = World()
        world.server(1, MAIL=HANG)
        told: list[tuple[Outcome, ...]] = []
        world.start().addCallback(told.append)
        world.reactor.run()
        for _ in range(5):
            world.reactor.advance(60)
            if not told:
                world.mx1.transports[0].deliver(b"2")
            world.reactor.run()
        self.assertEqual(spell(told[0]), SENT_2)

    def test_slow_recipients_are_waited_for(self) -> None:
        """
        Each reply gives the server the time of a step anew.
        """
        world = World()
        world.server(1, RCPT=HANG, DATA=HANG)
        told: list[tuple[Outcome, ...]] = []
        world.start(message("b@example.org", "c@example.org", "d@example.org")).addCallback(told.append)
        world.reactor.run()
        for _ in range(3):
            world.reactor.advance(200)
            world.mx1.transports[0].deliver(b"250 ok\r\n")
        world.reactor.run()
        self.assertEqual(told, [])

    def test_connecting_is_bounded(self) -> None:
        """
        Connecting has its own time-out, and the operator's source address for its family.
        """
        world = World(Section(source_address="198.51.100.1"))
        world.deliver()
        (connector,) = world.reactor.connectors
        self.assertEqual((connector.timeout, connector.bind), (30.0, ("198.51.100.1", 0)))
        world = World(Section(source_address="2001:db8::2"))
        world.deliver()
        self.assertIsNone(world.reactor.connectors[0].bind)

    def test_two_sessions(self) -> None:
        """
        After two hosts that answered the attempt is over; hosts that did not answer do not count.
        """
        world = World()
        hosts = [(n, f"mx{n}.example.org") for n in range(1, 6)]
        world.resolver.table[("example.org", "MX")] = hosts
        for n in range(1, 6):
            world.resolver.table[(f"mx{n}.example.org", "A")] = [f"192.0.2.{n}"]
            if n > 2:
                world.server(n, GREETING="450 4.7.1 not now")
        world.reactor.servers["192.0.2.1:25"] = TimeoutError()
        world.reactor.servers["192.0.2.2:25"] = TimeoutError()
        self.assertEqual(world.deliver(), ["TransientFailure 450 4.7.1 mx4.example.org"])

    def test_five_addresses(self) -> None:
        """
        No more than five addresses are tried.
        """
        world = World()
        world.resolver.table[("example.org", "MX")] = [(n, f"h{n}") for n in range(9)]
        for n in range(9):
            world.resolver.table[(f"h{n}", "A")] = [f"198.51.100.{n}"]
        world.deliver()
        self.assertEqual([c.host for c in world.reactor.connectors], [f"198.51.100.{n}" for n in range(5)])

    def test_dns_failures(self) -> None:
        """
        What the DNS says is told without a connection, for each recipient.
        """
        for found, told in (
            (Found.NO_NAME, "PermanentFailure 550 5.1.2"),
            (Found.FAILED, "TransientFailure 451 4.4.3"),
        ):
            world = World()
            world.resolver.table[("example.org", "MX")] = found
            self.assertEqual(world.deliver(message("b@example.org", "c@example.org")), [told, told])
            self.assertEqual(world.reactor.connectors, [])

    def test_lost_after_the_dot(self) -> None:
        """
        A host that closes after the final dot may have the message: no other host gets it in this attempt.
        """
        world = World()
        world.server(1, CONTENT=CLOSE)
        self.assertEqual(world.deliver(), ["TransientFailure 421 4.4.2"])
        self.assertEqual(world.mx2.transports, [])

    def test_hang_after_the_dot(self) -> None:
        """
        A host that hangs after the final dot has ten minutes.
        """
        world = World()
        world.server(1, CONTENT=HANG)
        told: list[tuple[Outcome, ...]] = []
        world.start().addCallback(told.append)
        world.reactor.run()
        world.reactor.advance(599)
        self.assertEqual(told, [])
        world.reactor.advance(1)
        world.reactor.run()
        self.assertEqual(spell(told[0]), ["TransientFailure 421 4.4.2"])
        self.assertIn("more than once", str(told[0][0].reply))
