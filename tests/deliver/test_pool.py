"""
Connections that are shared, waited for and let go.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import ConnectionPool, Domain
from empath.config.schema import Delivery as Section
from empath.config.units import Duration
from empath.mail.outcome import Outcome
from tests.deliver.fakes import CLOSE, HANG, Server
from tests.deliver.world import SENT, SENT_2, World, message, spell


class ReuseTests(SynchronousTestCase):
    """
    Connections that serve several messages.
    """

    def test_reused(self) -> None:
        """
        The next message goes over the same connection.
        """
        world = World()
        world.deliver()
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(len(world.mx1.transports), 1)
        self.assertTrue(world.attempt.reused)
        self.assertEqual(world.attempt.connected, 0.0)
        self.assertEqual(list(world.agent.connections()), [("[192.0.2.1]:25", 1)])

    def test_idle_connection_was_dead(self) -> None:
        """
        An idle connection that ends without an answer is replaced by a fresh one at the same host, at once.
        """
        for answer in (CLOSE, "421 4.4.2 idle too long"):
            world = World()
            world.server(1, MAIL=["250 ok", answer, "250 ok"])
            world.deliver()
            self.assertEqual(world.deliver(), SENT)
            self.assertEqual((len(world.mx1.transports), world.mx2.transports), (2, []))
            self.assertFalse(world.attempt.reused)

    def test_replaced_once(self) -> None:
        """
        If the fresh one ends too, the next host has its turn.
        """
        world = World()
        world.server(1, MAIL=["250 ok", CLOSE])
        world.deliver()
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual(len(world.mx1.transports), 2)

    def test_replaced_once_in_a_pass(self) -> None:
        """
        Nor is the fresh one replaced when it ends after a transaction: the next host gets the rest.
        """
        world = World(Section(max_recipients_per_transaction=1))
        world.server(1, MAIL=["250 ok", CLOSE, "250 ok", CLOSE])
        world.deliver()
        self.assertEqual(world.deliver(message("b@example.org", "c@example.org")), [*SENT, *SENT_2])
        self.assertEqual(len(world.mx1.transports), 2)

    def test_answered_is_not_replaced(self) -> None:
        """
        A reused connection that fails after a reply is a failure of the host.
        """
        world = World()
        world.server(1, RCPT=["250 ok", CLOSE])
        world.deliver()
        self.assertEqual(world.deliver(), SENT_2)
        self.assertEqual(len(world.mx1.transports), 1)

    def test_closed_while_idle(self) -> None:
        """
        A connection that the server closes while it is idle is noticed, whatever it says before.
        """
        for last in (b"", b"421 4.4.2 bye\r\n", b"what?\r\n"):
            world = World()
            world.deliver()
            transport = world.mx1.transports[0]
            if last:
                transport.deliver(last)
            else:
                transport.lose(ConnectError())
            world.reactor.run()
            self.assertEqual(list(world.agent.connections()), [])
            self.assertEqual(world.deliver(), SENT)
            self.assertFalse(world.attempt.reused)

    def test_idle_timeout(self) -> None:
        """
        An idle connection says QUIT after its time, and is closed when it is answered.
        """
        world = World()
        world.deliver()
        world.reactor.advance(29)
        world.reactor.run()
        self.assertEqual(world.mx1.open, 1)
        world.reactor.advance(1)
        world.reactor.run()
        self.assertEqual((world.mx1.open, world.mx1.verbs()[-1]), (0, "QUIT"))
        self.assertFalse(world.mx1.transports[0].aborted)

    def test_hang_at_quit(self) -> None:
        """
        A server that does not answer QUIT is left after ten seconds; nobody waits for it.
        """
        world = World()
        world.server(1, QUIT=HANG)
        world.deliver()
        world.reactor.advance(30)
        world.reactor.run()
        self.assertEqual(world.deliver(), SENT)
        world.reactor.advance(10)
        world.reactor.run()
        self.assertTrue(world.mx1.transports[0].aborted)
        self.assertEqual(world.mx1.open, 1)

    def test_max_messages(self) -> None:
        """
        After so many messages a connection says QUIT.
        """
        world = World(Section(connection_pool=ConnectionPool(max_messages=2)))
        for _ in range(3):
            self.assertEqual(world.deliver(), SENT)
        self.assertEqual(len(world.mx1.transports), 2)
        self.assertEqual(world.mx1.verbs().count("QUIT"), 1)

    def test_last_message(self) -> None:
        """
        The last message of a connection leaves with QUIT in one write; no message is waited for longer than that.
        """
        world = World(Section(connection_pool=ConnectionPool(max_messages=2)))
        world.server(1, QUIT=HANG)
        self.assertEqual([world.deliver(), world.deliver()], [SENT, SENT])
        (transport,) = world.mx1.transports
        self.assertEqual([write.count(b"QUIT\r\n") for write in transport.writes], [0, 0, 0, 0, 1])
        self.assertTrue(transport.writes[-1].endswith(b"\r\n.\r\nQUIT\r\n"))
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(len(world.mx1.transports), 2)
        world.reactor.advance(60)
        self.assertTrue(transport.aborted)

    def test_max_messages_of_a_domain(self) -> None:
        """
        A domain's own limit counts for it, above the general one or below; another domain may fill up what is left.
        """
        section = Section(
            connection_pool=ConnectionPool(max_messages=2),
            domains={"example.org": Domain(max_messages=1), "example.com": Domain(max_messages=3)},
        )
        world = World(section)
        world.resolver.table["example.com", "MX"] = world.resolver.table["example.org", "MX"]
        for _ in range(2):
            world.deliver()
        self.assertEqual(len(world.mx1.transports), 2)
        for _ in range(3):
            world.deliver(message("a@example.com"))
        self.assertEqual(len(world.mx1.transports), 3)
        world.deliver(message("a@example.com"))
        self.assertEqual((len(world.mx1.transports), world.mx1.open), (4, 1))
        world.deliver()
        self.assertEqual((len(world.mx1.transports), world.mx1.open), (5, 0))

    def test_max_messages_within_a_message(self) -> None:
        """
        What a message takes in several transactions counts as often.
        """
        world = World(Section(max_recipients_per_transaction=1, connection_pool=ConnectionPool(max_messages=2)))
        self.assertEqual(world.deliver(message("a@example.org", "b@example.org", "c@example.org")), SENT * 3)
        self.assertEqual(len(world.mx1.transports), 2)

    def test_max_age(self) -> None:
        """
        A connection that is too old is not used any more, nor does it stay idle for longer.
        """
        world = World(Section(connection_pool=ConnectionPool(max_age=Duration(60), idle_timeout=Duration(25))))
        for _ in range(3):
            world.deliver()
            world.reactor.advance(20)
            world.reactor.run()
        self.assertEqual((len(world.mx1.transports), world.mx1.open), (1, 0))
        world.deliver()
        self.assertEqual(len(world.mx1.transports), 2)

    def test_max_age_at_the_end(self) -> None:
        """
        A transaction that began in time ends, then the connection says QUIT.
        """
        world = World(Section(connection_pool=ConnectionPool(max_age=Duration(60))))
        world.server(1, CONTENT=HANG)
        told = world.start()
        world.reactor.run()
        world.reactor.advance(61)
        world.mx1.go_on(world.mx1.transports[0], "250 2.0.0 queued")
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(told)), SENT)
        self.assertEqual(world.mx1.verbs()[-1], "QUIT")

    def test_reconfigured(self) -> None:
        """
        New limits hold for what begins later.
        """
        world = World()
        world.deliver()
        world.agent.reconfigure(attrs.evolve(world.section, connection_pool=ConnectionPool(max_messages=1), port=26))
        world.reactor.servers["192.0.2.1:26"] = world.mx1
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.attempt.port, 26)
        self.assertEqual(world.mx1.verbs()[-1], "QUIT")


class LineTests(SynchronousTestCase):
    """
    More deliveries than connections.
    """

    def world(self, **answers: str | list[str]) -> World:
        """
        Allow one connection to a server.
        """
        world = World(Section(connection_pool=ConnectionPool(max_per_server=1)))
        world.server(1, **answers)
        return world

    def test_first_come(self) -> None:
        """
        Who waits is served in order, over the one connection.
        """
        world = self.world()
        order: list[str] = []
        for name in ("a", "b", "c"):
            world.start().addCallback(lambda _, name: order.append(name), name)
        world.reactor.run()
        self.assertEqual((order, len(world.mx1.transports)), (["a", "b", "c"], 1))

    def test_connection_ends(self) -> None:
        """
        When the connection is lost the next one in line gets a new one.
        """
        world = self.world(RCPT=[CLOSE, "250 ok"])
        told: list[tuple[Outcome, ...]] = []
        for _ in range(3):
            world.start().addCallback(told.append)
        world.reactor.run()
        self.assertEqual(sorted(spell(tuple(outcomes[0] for outcomes in told))), [*SENT, *SENT, *SENT_2])
        self.assertEqual(len(world.mx1.transports), 2)

    def test_waiting_is_cancelled(self) -> None:
        """
        Who leaves the line is not served.
        """
        world = self.world()
        first, second, third = world.start(), world.start(), world.start()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        world.reactor.run()
        self.successResultOf(first)
        self.successResultOf(third)
        self.assertEqual(len(world.mx1.contents), 2)

    def test_cannot_connect(self) -> None:
        """
        Who waits for a host that turns out to be down goes on to the next one.
        """
        world = self.world()
        del world.reactor.servers["192.0.2.1:25"]
        told: list[tuple[Outcome, ...]] = []
        for _ in range(2):
            world.start().addCallback(told.append)
        world.reactor.run()
        self.assertEqual([spell(outcomes) for outcomes in told], [SENT_2, SENT_2])

    def test_fresh_one_when_full(self) -> None:
        """
        A fresh connection takes the place of an idle one where there is no room for both.
        """
        world = World(Section(connection_pool=ConnectionPool(max_per_server=2)))
        world.server(1, MAIL=["250 ok", "250 ok", CLOSE, "250 ok"])
        two = [world.start(), world.start()]
        world.reactor.run()
        for each in two:
            self.successResultOf(each)
        self.assertEqual(world.mx1.open, 2)
        self.assertEqual(world.deliver(), SENT)


class SiteTests(SynchronousTestCase):
    """
    Connections that count for a site.
    """

    def world(self) -> World:
        """
        Let the site of example.org have two connections.
        """
        return World(max_connections=2)

    def begin(self, world: World, host: int) -> None:
        """
        Deliver to one host of the site.
        """
        world.resolver.table["example.org", "MX"] = [(10, f"mx{host}.example.org")]
        told = world.start(site="(mx1|mx2).example.org")
        world.reactor.run()
        self.successResultOf(told)

    def test_counted(self) -> None:
        """
        Connections are told by site, from the first try to connect to the last byte.
        """
        world = self.world()
        for host in (1, 2):
            self.begin(world, host)
        self.assertEqual(list(world.agent.connections()), [("(mx1|mx2).example.org", 2)])
        world.reactor.advance(30)
        world.reactor.run()
        self.assertEqual(list(world.agent.connections()), [])

    def test_idle_one_makes_room(self) -> None:
        """
        Idle connections count: one of another host of the site is closed before there would be too many.
        """
        world = self.world()
        for host in (1, 2):
            self.begin(world, host)
        world.reactor.servers["192.0.2.3:25"] = Server(world.reactor)
        world.resolver.table["mx3.example.org", "A"] = ["192.0.2.3"]
        self.begin(world, 3)
        self.assertEqual((world.mx1.verbs()[-1], world.mx1.open, world.mx2.open), ("QUIT", 0, 1))
        self.assertEqual(list(world.agent.connections()), [("(mx1|mx2).example.org", 2)])


class CancelTests(SynchronousTestCase):
    """
    An attempt that is called off, and the end of the service.
    """

    def test_at_each_step(self) -> None:
        """
        A cancelled delivery lets go of its connection wherever it is.
        """
        for step in ("connect", "GREETING", "EHLO", "MAIL", "DATA"):
            world = World()
            if step == "connect":
                world.reactor.servers["192.0.2.1:25"] = "hang"
            else:
                world.server(1, **{step: HANG})
            delivery = world.start()
            world.reactor.run()
            delivery.cancel()
            self.failureResultOf(delivery, CancelledError)
            world.reactor.run()
            self.assertEqual((world.mx1.open, list(world.agent.connections())), (0, []), step)
            self.assertEqual(world.reactor.getDelayedCalls(), [])

    def test_while_looking_up(self) -> None:
        """
        A delivery may be cancelled while it waits for the DNS.
        """
        world = World()
        world.resolver.slow = []
        delivery = world.start()
        delivery.cancel()
        self.failureResultOf(delivery, CancelledError)

    def test_slow_dns(self) -> None:
        """
        Answers that come later do as well; the addresses of a group of hosts are asked for at once.
        """
        world = World()
        world.resolver.slow = []
        delivery = world.start()
        while world.resolver.slow:
            for waiting, answer in [world.resolver.slow.pop(0) for _ in list(world.resolver.slow)]:
                waiting.callback(answer)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)
        self.assertEqual(world.resolver.asked[1:3], [("mx1.example.org", "AAAA"), ("mx1.example.org", "A")])

    def test_stop_while_connecting(self) -> None:
        """
        A connection that is still being made is given up.
        """
        world = World()
        world.reactor.servers["192.0.2.1:25"] = "hang"
        delivery = world.start()
        world.reactor.run()
        stopped = world.agent.stop()
        world.reactor.run()
        self.successResultOf(stopped)
        self.assertEqual(spell(self.successResultOf(delivery)), ["TransientFailure 421 4.3.2"])

    def test_stop(self) -> None:
        """
        At the end idle connections say QUIT, busy ones are closed, who waits is told; then all are gone.
        """
        world = World(Section(connection_pool=ConnectionPool(max_per_server=2)))
        world.server(1, DATA=["354 go", HANG])
        world.server(2, GREETING=HANG)
        idle, busy = world.start(), world.start()
        world.reactor.run()
        self.successResultOf(idle)
        third, fourth = world.start(), world.start()
        world.reactor.run()
        stopped = world.agent.stop()
        self.assertNoResult(stopped)
        world.reactor.run()
        self.successResultOf(stopped)
        for each in (busy, third, fourth):
            (outcome,) = self.successResultOf(each)
            self.assertTrue(outcome.reply.transient)
        self.assertEqual((world.mx1.open, world.mx2.transports), (0, []))
        self.assertEqual(world.deliver(), ["TransientFailure 421 4.3.2"])
        self.successResultOf(world.agent.stop())
