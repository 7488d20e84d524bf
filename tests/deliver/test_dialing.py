"""
IPv6 and IPv4 in a race for one connection (RFC 8305).
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectBindError, NoRouteError, TimeoutError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool, EgressPool
from empath.config.schema import Delivery as Section
from empath.deliver.dialing import Slow
from empath.deliver.egress import Egress
from empath.deliver.target import Target
from empath.policy.tls import CLEARTEXT
from tests.deliver.fakes import HANG, Server
from tests.deliver.world import SENT, SENT_2, World, message, spell

SIX, SIX_B, FOUR = "2001:db8::1", "2001:db8::2", "192.0.2.1"


class RaceTests(SynchronousTestCase):
    """
    A host with addresses of both families: 2001:db8::1 and 192.0.2.1.
    """

    def world(self, six: Server | Exception | str | None = "hang", section: Section | None = None) -> World:
        """
        Make mx1 answer at 192.0.2.1; what is at its IPv6 address is told.
        """
        world = World(section)
        world.resolver.table["mx1.example.org", "AAAA"] = [SIX]
        if six is not None:
            world.reactor.servers[f"{SIX}:25"] = six
        return world

    def tried(self, world: World) -> list[str]:
        """
        Tell the addresses that were connected to, in order.
        """
        return [connector.host for connector in world.reactor.connectors]

    def test_first_family_is_fast(self) -> None:
        """
        An address that answers within a quarter of a second has no rival.
        """
        world = self.world()
        world.reactor.servers[f"{SIX}:25"] = world.mx1
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual((self.tried(world), world.attempt.address), ([SIX], SIX))
        world.reactor.advance(5)
        self.assertEqual(self.tried(world), [SIX])

    def test_second_family_wins(self) -> None:
        """
        After 250 ms of silence the other family is tried beside the first one; what is reached first carries the mail,
        and the other try ends.
        """
        world = self.world()
        told = world.start()
        world.reactor.run()
        world.reactor.advance(0.24)
        self.assertEqual(self.tried(world), [SIX])
        world.reactor.advance(0.01)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(told)), SENT)
        self.assertEqual(
            (self.tried(world), world.attempt.address, world.attempt.host), ([SIX, FOUR], FOUR, "mx1.example.org")
        )
        self.assertTrue(world.reactor.connectors[0].over)
        self.assertEqual(list(world.agent.connections()), [("[2001:db8::1]:25", 1)])

    def test_refused_first_family(self) -> None:
        """
        An address that refuses is followed by the next one at once.
        """
        for fault in (None, NoRouteError()):
            world = self.world(fault)
            self.assertEqual(world.deliver(), SENT)
            self.assertEqual(self.tried(world), [SIX, FOUR])
            self.assertEqual(world.mx1.open, 1)

    def test_loser_comes_last(self) -> None:
        """
        An address that was slow is tried last for ten minutes, then it has its place again.
        """
        world = self.world(section=Section(connection_pool=ConnectionPool(max_messages=1)))
        world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.run()
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(self.tried(world), [SIX, FOUR, FOUR])
        world.reactor.advance(600)
        world.start()
        world.reactor.run()
        self.assertEqual(self.tried(world)[3:], [SIX])

    def test_reused_whatever_the_address(self) -> None:
        """
        The next message takes the connection that there is, by whichever address it came about.
        """
        world = self.world()
        world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.run()
        self.assertEqual(world.deliver(), SENT)
        self.assertTrue(world.attempt.reused)
        self.assertEqual((self.tried(world), world.attempt.address), ([SIX, FOUR], FOUR))

    def test_none_answers(self) -> None:
        """
        When all addresses fail, each was tried once, all reasons are told, and the next host has its turn.
        """
        world = self.world()
        world.reactor.servers[f"{FOUR}:25"] = "hang"
        told = world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.run()
        six, four = world.reactor.connectors
        four.give_up(NoRouteError())
        world.reactor.advance(30)
        self.assertEqual((six.over, four.over), (True, True))
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(told)), SENT_2)
        self.assertEqual(self.tried(world), [SIX, FOUR, "192.0.2.2"])

    def test_reasons(self) -> None:
        """
        The sender is told why each address failed.
        """
        world = self.world(NoRouteError())
        world.resolver.table["example.org", "MX"] = [(10, "mx1.example.org")]
        del world.reactor.servers[f"{FOUR}:25"]
        told = world.start()
        world.reactor.run()
        (outcome,) = self.successResultOf(told)
        self.assertEqual(outcome.reply.lines, ("cannot connect: no route to host, connection refused",))
        self.assertEqual((world.attempt.address, world.attempt.connected), (FOUR, 0.0))

    def test_one_of_a_family_at_a_time(self) -> None:
        """
        No more than one address of each family is tried at once.
        """
        world = self.world()
        world.resolver.table["mx1.example.org", "AAAA"] = [SIX, SIX_B]
        world.reactor.servers |= {f"{SIX_B}:25": "hang", f"{FOUR}:25": "hang"}
        world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.advance(20)
        self.assertEqual(len(self.tried(world)), 2)
        world.reactor.connectors[0].give_up(TimeoutError())
        self.assertEqual({*self.tried(world)}, {SIX, SIX_B, FOUR})

    def test_dead_host_comes_last(self) -> None:
        """
        A host that timed out comes behind the others for ten minutes: no delivery waits for it in vain meanwhile.
        """
        world = World(Section(connection_pool=ConnectionPool(max_messages=1)))
        world.reactor.servers[f"{FOUR}:25"] = TimeoutError()
        self.assertEqual([world.deliver(), world.deliver()], [SENT_2, SENT_2])
        self.assertEqual(self.tried(world), [FOUR, "192.0.2.2", "192.0.2.2"])
        world.reactor.advance(600)
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual(self.tried(world)[3:], [FOUR, "192.0.2.2"])

    def test_bad_session(self) -> None:
        """
        Where the winner's session fails, the address that lost has its chance: no address is left out.
        """
        world = self.world()
        world.server(1, GREETING="554 not here")
        told = world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.run()
        self.assertEqual(self.tried(world), [SIX, FOUR, SIX])
        told.cancel()
        self.failureResultOf(told, CancelledError)
        self.assertEqual(world.reactor.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """
        A cancelled delivery gives up all tries.
        """
        world = self.world()
        world.reactor.servers[f"{FOUR}:25"] = "hang"
        told = world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        told.cancel()
        self.failureResultOf(told, CancelledError)
        self.assertEqual([connector.over for connector in world.reactor.connectors], [True, True])
        self.assertEqual((list(world.agent.connections()), world.reactor.getDelayedCalls()), ([], []))

    def test_no_room_for_a_rival(self) -> None:
        """
        A rival does not go beyond the connections that its address may have.
        """
        world = self.world(section=Section(connection_pool=ConnectionPool(max_per_server=1)))
        world.server(1, DATA=["354 go", HANG])
        world.resolver.table["example.com", "MX"] = [(10, "only4.example.com")]
        world.resolver.table["only4.example.com", "A"] = [FOUR]
        busy = world.start(message("a@example.com"))
        world.reactor.run()
        self.assertEqual(len(self.successResultOf(busy)), 1)
        world.start(message("a@example.com"))
        world.reactor.run()
        world.start()
        world.reactor.run()
        world.reactor.advance(0.25)
        world.reactor.run()
        self.assertEqual(self.tried(world), [FOUR, SIX])

    def test_source_cannot_be_used(self) -> None:
        """
        Where our own address is the trouble, the server is not blamed.
        """
        for section, source in (
            (Section(source_address="192.0.2.77"), "192.0.2.77"),
            (
                Section(pools=(EgressPool("bulk", ("192.0.2.77", "192.0.2.78")),)),
                "192.0.2.77 or 192.0.2.78 (pool bulk)",
            ),
        ):
            world = World(section)
            world.resolver.table["example.org", "MX"] = [(10, "mx1.example.org")]
            world.reactor.servers[f"{FOUR}:25"] = ConnectBindError()
            with capturedLogs() as events:
                told = world.start()
                world.reactor.run()
            (outcome,) = self.successResultOf(told)
            self.assertEqual((outcome.reply.code, outcome.reply.status), (451, "4.3.5"))
            self.assertIn(f"no connection from {source}, so mail waits", str(formatEvent(events[0])))


class SlowTests(SynchronousTestCase):
    """
    What is remembered of addresses.
    """

    def test_bounded(self) -> None:
        """
        No more than a thousand addresses are remembered, the oldest is forgotten.
        """
        slow = Slow(Clock())
        for number in range(1001):
            slow.add(str(number))
        first, last, other = (Target(each, 25, CLEARTEXT, Egress("us")) for each in ("0", "1000", "x"))
        self.assertEqual(slow.last([last, first, other]), [first, other, last])
        slow.remove("1000")
        self.assertEqual(slow.last([last, first]), [last, first])
