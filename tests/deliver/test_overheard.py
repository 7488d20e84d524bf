"""
Deliveries that are watched.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.net.dialogues import Dialogues, Interest, Watch
from tests.deliver.fakes import CHUNKING, HANG, STARTTLS
from tests.deliver.world import BODY, CONTENT, SENT, SENT_2, Reader, World, message


class OverheardTests(SynchronousTestCase):
    """
    What a watch gets of the connections to servers.
    """

    def use(self, world: World) -> None:
        """
        Let an agent's connections be overheard.
        """
        self.world = world
        self.dialogues = Dialogues(world.reactor)
        world.agent.dialogues = self.dialogues
        self.dialogues.join(world.agent.overhear)

    def setUp(self) -> None:
        self.use(World())

    def watch(self, peer: str = "", domain: str = "", id: str = "") -> Watch:
        """
        Begin to watch.
        """
        return self.dialogues.watch(Interest(peer, domain, id))

    def texts(self, watch: Watch) -> list[str]:
        """
        Tell what was overheard so far.
        """
        watch.end()
        lines = self.successResultOf(Deferred.fromCoroutine(watch.take()))
        return [
            f"{'' if each.event == 'line' else each.event}{'>' if each.from_us else '<'} {each.text}" for each in lines
        ]

    def test_a_delivery(self) -> None:
        """
        By its domain: the connection that is made for it, from its first byte on, and what it carries.
        """
        watch, other = self.watch(domain="example.org"), self.watch(domain="example.com")
        self.assertEqual(self.world.deliver(), SENT)
        told = self.texts(watch)
        self.assertEqual(told[0], "opened< to mx1.example.org[192.0.2.1]:25 from 198.51.100.1")
        self.assertEqual(told[1:3], ["< 220 hello", "> EHLO client.example.net"])
        self.assertIn("> RCPT TO:<b@example.org>", told)
        self.assertIn("> [32 octets of content]", told)
        self.assertEqual(told[-1], "< 250 2.0.0 queued")
        self.assertEqual(self.texts(other), [])

    def test_a_connection_that_is_used_again(self) -> None:
        """
        Is watched once it carries what is of interest, and no longer.
        """
        self.world.deliver()
        watch = self.watch(id="01HYYYYYYYYYYYYYYYYYYYYYYY")
        self.world.deliver(message(queue_id="01HXXXXXXXXXXXXXXXXXXXXXXX"))
        self.world.deliver(message(queue_id="01HYYYYYYYYYYYYYYYYYYYYYYY"))
        self.world.deliver(message(queue_id="01HXXXXXXXXXXXXXXXXXXXXXXX"))
        told = self.texts(watch)
        self.assertTrue(
            told[0].startswith("opened< to mx1.example.org[192.0.2.1]:25 from 198.51.100.1, used 1 times"), told
        )
        self.assertEqual(sum("MAIL FROM" in line for line in told), 1)

    def test_a_host_that_cannot_be_reached(self) -> None:
        """
        Says so, and where the next attempt goes.
        """
        del self.world.reactor.servers["192.0.2.1:25"]
        watch = self.watch(domain="example.org")
        self.assertEqual(self.world.deliver(), SENT_2)
        told = self.texts(watch)
        self.assertEqual(told[0], "opened< to mx1.example.org[192.0.2.1]:25")
        self.assertTrue(told[1].startswith("closed< cannot connect: "), told)
        self.assertTrue(told[2].startswith("opened< to mx2.example.org[192.0.2.2]:25"), told)

    def test_by_peer(self) -> None:
        """
        Only the connections with it.
        """
        del self.world.reactor.servers["192.0.2.1:25"]
        watch = self.watch(peer="192.0.2.2")
        self.world.deliver()
        self.assertTrue(self.texts(watch)[0].startswith("opened< to mx2.example.org"))

    def test_tls_and_the_end(self) -> None:
        """
        What protects the connection is told, and how it ended.
        """
        self.world.server(1, EHLO=STARTTLS)
        watch = self.watch(peer="192.0.2.1")
        self.assertEqual(self.world.deliver(), SENT)
        self.world.agent.stop()
        self.world.reactor.run()
        told = self.texts(watch)
        self.assertIn("tls< TLSv1.3 TLS_AES_256_GCM_SHA384, encrypted", told)
        self.assertEqual(told[-3:], ["> QUIT", "< 221 bye", "closed< done"])

    def test_a_server_that_hangs(self) -> None:
        """
        The end says in which state nothing came.
        """
        self.world.server(1, MAIL=HANG)
        watch = self.watch(peer="192.0.2.1")
        self.world.start()
        self.world.reactor.run()
        self.world.reactor.advance(400)
        self.world.reactor.run()
        self.assertIn("timed out", self.texts(watch)[-1])

    def test_what_goes_on_already(self) -> None:
        """
        A transaction under way is known by its message and its recipients' domains.
        """
        self.world.server(1, MAIL=HANG)
        self.world.start()
        self.world.reactor.run()
        watches = [self.watch(id=message().queue_id), self.watch(domain="example.org")]
        self.world.mx1.go_on(self.world.mx1.transports[-1], "250 a")
        self.world.reactor.run()
        for watch in watches:
            self.assertTrue(self.texts(watch)[0].startswith("opened< to mx1.example.org"))

    def test_chunks(self) -> None:
        """
        BDAT is a line, and its chunk content.
        """
        self.world.server(1, EHLO=CHUNKING)
        self.world.reader = Reader([BODY])
        watch = self.watch(domain="example.org")
        self.assertEqual(self.world.deliver(message(body=None)), SENT)
        told = self.texts(watch)
        self.assertEqual(told[-3:-1], [f"> BDAT {len(CONTENT)} LAST", f"> [{len(CONTENT)} octets of content]"])

    def test_smarthost_logins(self) -> None:
        """
        Their passwords are not shown.
        """
        self.use(World(mx_override=("192.0.2.1:25",), username="tim", password="tanstaaf", tls_policy="required"))
        self.world.server(1, EHLO=f"{STARTTLS.replace('250 STARTTLS', '250-STARTTLS')}\r\n250 AUTH PLAIN")
        watch = self.watch(domain="example.org")
        self.world.deliver()
        told = self.texts(watch)
        self.assertIn("> AUTH PLAIN [masked]", told)
        self.assertNotIn("dGFuc3RhYWY", "".join(told))

    def test_probes(self) -> None:
        """
        Are dialogues of the domain that they ask about.
        """
        watch = self.watch(domain="example.org")
        self.world.agent.verify(message().envelope.recipients[0].address)
        self.world.reactor.run()
        self.assertIn("> RCPT TO:<b@example.org>", self.texts(watch))

    def test_nobody_watches(self) -> None:
        """
        Connections have no tap, those that were made meanwhile neither.
        """
        watch = self.watch(domain="example.org")
        self.world.deliver()
        (connection,) = self.world.agent._pool.connections()
        self.assertIsNotNone(connection.session.tap)
        watch.end()
        self.assertIsNone(connection.session.tap)
        self.world.agent.dialogues = None
        self.world.agent.overhear()
