"""
Delivery by LMTP: to TCP ports and UNIX sockets.
"""

from __future__ import annotations

import errno
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.config.schema import DeliveryTls, Domain, EgressPool
from empath.config.units import Folder
from empath.deliver.lmtp import LmtpAgent
from empath.deliver.routing import Routing
from empath.interfaces import IAgent
from empath.mail.address import parse_address
from empath.mail.answer import Found
from empath.mail.envelope import Envelope
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Custody, Outcome, Success, TransientFailure
from empath.mail.wish import REQUIRE_TLS
from tests.deliver.fakes import CLOSE, HANG, STARTTLS
from tests.deliver.lmtp_server import LmtpServer
from tests.deliver.test_changed import Paths
from tests.deliver.world import CONTENT, World, address, message, spell

SOCKET = "/run/dovecot/lmtp"
THREE = ("b@example.org", "c@example.org", "d@example.org")
HERE = "localhost"


class LmtpWorld(World):
    """
    A small world where example.org's mailboxes are behind LMTP, at a UNIX socket unless hosts are given.
    """

    def __init__(self, section: Section | None = None, **domain: Any) -> None:
        place = {} if "mx_override" in domain else {"path": Folder(SOCKET)}
        domains = {"example.org": Domain(strategy="lmtp", **{**place, **domain})}
        super().__init__(attrs.evolve(section or Section(), domains=domains))
        self.lmtp = LmtpServer(self.reactor)
        self.serve(self.lmtp)

    def serve(self, server: LmtpServer) -> LmtpServer:
        """
        Put a server in the place of all that the domain may have.
        """
        self.lmtp = server
        self.reactor.servers = dict.fromkeys((f"{SOCKET}:0", "127.0.0.1:24", "192.0.2.1:24"), server)
        return server


class SocketTests(SynchronousTestCase):
    """
    LMTP over a UNIX socket.
    """

    def test_interface(self) -> None:
        """
        The agent of the strategy keeps the interface's promise of names, and has nothing to stop.
        """
        world = LmtpWorld()
        agent = LmtpAgent(world.agent)
        verifyObject(IAgent, agent)
        agent.stop()
        carried = message()
        told: list[Any] = []
        Deferred.fromCoroutine(_waited(agent.deliver(carried, deliveries_of(carried)[0], world.attempt))).addCallback(
            told.append
        )
        world.reactor.run()
        self.assertEqual(spell(told[0]), ["Success 250 2.0.0 localhost"])

    def test_delivered(self) -> None:
        """
        Mail is delivered for good, without any look-up, and it is told where to.
        """
        world = LmtpWorld()
        told: list[tuple[Outcome, ...]] = []
        world.start().addCallback(told.append)
        world.reactor.run()
        ((outcome,),) = told
        assert isinstance(outcome, Success)
        self.assertEqual((outcome.host, outcome.custody), (HERE, Custody.DELIVERED))
        self.assertEqual(world.lmtp.contents, [CONTENT])
        self.assertEqual(world.lmtp.verbs(), ["LHLO", "MAIL", "RCPT", "DATA"])
        self.assertEqual((world.attempt.host, world.attempt.address, world.attempt.port), (HERE, SOCKET, 0))
        self.assertEqual(world.resolver.asked, [])

    def test_pooled(self) -> None:
        """
        A connection serves one message after the other.
        """
        world = LmtpWorld()
        for _ in range(3):
            self.assertEqual(world.deliver(), ["Success 250 2.0.0 localhost"])
        self.assertEqual((len(world.lmtp.transports), len(world.lmtp.contents)), (1, 3))
        self.assertEqual(list(world.agent.connections()), [(f"[{SOCKET}]", 1)])

    def test_each_recipient(self) -> None:
        """
        Each recipient has a verdict of their own, and all of them one copy of the content.
        """
        world = LmtpWorld()
        world.serve(LmtpServer(world.reactor, ("250 2.0.0 b", "552 5.2.2 full", "451 4.2.0 busy")))
        outcomes = ["Success 250 2.0.0 localhost", "PermanentFailure 552 5.2.2 localhost"]
        self.assertEqual(world.deliver(message(*THREE)), [*outcomes, "TransientFailure 451 4.2.0 localhost"])
        self.assertEqual(world.lmtp.contents, [CONTENT])

    def test_nobody(self) -> None:
        """
        Where all were refused at RCPT the connection stays of use.
        """
        world = LmtpWorld()
        world.serve(LmtpServer(world.reactor, RCPT=["550 5.1.1 no", "550 5.1.1 no", "250 2.1.5 yes"]))
        self.assertEqual(world.deliver(message(*THREE[:2])), ["PermanentFailure 550 5.1.1 localhost"] * 2)
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 localhost"])
        self.assertEqual(len(world.lmtp.transports), 1)

    def test_no_tls(self) -> None:
        """
        Nobody listens on a UNIX socket: whatever the policy for hosts is, and REQUIRETLS, it goes in the clear.
        """
        for policy in ("opportunistic", "required", "verified"):
            world = LmtpWorld(Section(tls=DeliveryTls(default_policy=policy)))
            world.serve(LmtpServer(world.reactor, LHLO=STARTTLS))
            self.assertEqual(world.deliver(_guarded()), ["Success 250 2.0.0 localhost"], policy)
            self.assertNotIn("STARTTLS", world.lmtp.verbs())

    def test_login(self) -> None:
        """
        A login may go over it in the clear.
        """
        world = LmtpWorld(username="me", password="secret")
        world.serve(LmtpServer(world.reactor, LHLO="250-mx\r\n250 AUTH PLAIN"))
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 localhost"])
        self.assertIn("AUTH", world.lmtp.verbs())

    def test_trouble(self) -> None:
        """
        A socket that is not there, not ours or not listening makes mail wait, and is told of as what it is.
        """
        for fault, told in (
            (None, "connection refused"),
            (ConnectError(errno.ENOENT, "x"), "there is no such socket"),
            (ConnectError(errno.EACCES, "x"), "permission denied"),
            (ConnectError(errno.EIO, "x"), "network error"),
        ):
            world = LmtpWorld()
            world.reactor.servers = {} if fault is None else {f"{SOCKET}:0": fault}
            found: list[tuple[Outcome, ...]] = []
            world.start().addCallback(found.append)
            world.reactor.run()
            ((outcome,),) = found
            self.assertEqual(str(outcome.reply), f"421 4.4.1 cannot connect: {told}")
            self.assertNotIn(SOCKET, str(outcome.reply))

    def test_no_lmtp(self) -> None:
        """
        A server that speaks SMTP only is a slip of the operator's: mail waits.
        """
        world = LmtpWorld()
        world.serve(LmtpServer(world.reactor, LHLO="500 5.5.1 what"))
        self.assertEqual(world.deliver(), ["TransientFailure 400 4.5.1 localhost"])

    def test_bound_egress(self) -> None:
        """
        Addresses to leave from say nothing about a UNIX socket.
        """
        section = Section(pools=(EgressPool("out", ("192.0.2.77",), weight=1),))
        self.assertEqual(LmtpWorld(section).deliver(), ["Success 250 2.0.0 localhost"])

    def test_own_reverse_path(self) -> None:
        """
        The final delivery gets the reverse-path as it came: it is what the mailbox shows.
        """
        world = LmtpWorld()
        world.agent.return_paths = Paths(alone=True)
        world.deliver(message(*THREE))
        self.assertTrue(world.lmtp.commands[1].startswith("MAIL FROM:<a@example.net>"))
        self.assertEqual(len(world.lmtp.contents), 1)


class HostTests(SynchronousTestCase):
    """
    LMTP over TCP.
    """

    def test_delivered(self) -> None:
        """
        Mail goes to the host and port that the operator named.
        """
        world = LmtpWorld(mx_override=("192.0.2.1:24",))
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 192.0.2.1"])
        self.assertTrue(world.lmtp.transports[0].no_delay)

    def test_looked_up(self) -> None:
        """
        A host's name is looked up for addresses.
        """
        world = LmtpWorld(mx_override=("mx1.example.org:24",))
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 mx1.example.org"])
        self.assertNotIn(("example.org", "MX"), world.resolver.asked)

    def test_not_found(self) -> None:
        """
        A host without an address makes mail wait.
        """
        world = LmtpWorld(mx_override=("mx1.example.org:24",))
        world.resolver.table[("mx1.example.org", "A")] = Found.NO_NAME
        self.assertEqual(world.deliver(), ["TransientFailure 451 4.4.4"])

    def test_tls(self) -> None:
        """
        TLS is as the policy says.
        """
        world = LmtpWorld(mx_override=("192.0.2.1:24",), tls_policy="required")
        world.serve(LmtpServer(world.reactor, LHLO=[STARTTLS, "250 mx"]))
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 192.0.2.1"])
        self.assertEqual(world.lmtp.verbs()[:3], ["LHLO", "STARTTLS", "LHLO"])

    def test_require_tls(self) -> None:
        """
        REQUIRETLS holds on the way to another machine, where the certificate is judged; not on this one. The server
        need not promise anything (RFC 8689): nobody comes after it.
        """
        away = LmtpWorld(mx_override=("192.0.2.1:24",))
        self.assertEqual(away.deliver(_guarded()), ["PermanentFailure 550 5.7.30"])
        self.assertEqual(away.lmtp.contents, [])
        here = LmtpWorld(mx_override=("127.0.0.1:24",))
        self.assertEqual(here.deliver(_guarded()), ["Success 250 2.0.0 127.0.0.1"])

    def test_other_protocol(self) -> None:
        """
        Connections of SMTP and of LMTP to one port are never mixed up.
        """
        section = Section(domains={"example.net": Domain(mx_override=("192.0.2.1:24",))})
        world = LmtpWorld(section, mx_override=("192.0.2.1:24",))
        world.deliver()
        self.assertEqual([target.lmtp for target in world.agent._pool._lanes], [True])


class DoubtTests(SynchronousTestCase):
    """
    Who may have the mail although nobody said so (RFC 1047).
    """

    def deliver(self, world: World, carried: Message | None = None) -> list[tuple[str, bool]]:
        """
        Deliver, and spell outcomes with their doubt.
        """
        told: list[tuple[Outcome, ...]] = []
        world.start(carried or message(*THREE)).addCallback(told.append)
        world.reactor.run()
        return _doubts(told[0])

    def test_lost_among_the_answers(self) -> None:
        """
        A server that is gone in the middle of its answers has told those before; only the others are in doubt.
        """
        world = LmtpWorld()
        world.serve(LmtpServer(world.reactor, ("250 2.0.0 b", CLOSE)))
        self.assertEqual(
            self.deliver(world), [("Success", False), ("TransientFailure", True), ("TransientFailure", True)]
        )
        self.assertEqual(len(world.lmtp.transports), 1)

    def test_late(self) -> None:
        """
        Each answer may take its time, ten minutes; one that does not come leaves its recipient in doubt.
        """
        world = LmtpWorld()
        world.serve(LmtpServer(world.reactor, ("250 2.0.0 b", HANG)))
        told: list[tuple[Outcome, ...]] = []
        world.start(message(*THREE[:2])).addCallback(told.append)
        world.reactor.run()
        world.reactor.advance(599)
        self.assertEqual(told, [])
        world.reactor.advance(1)
        world.reactor.run()
        self.assertEqual(_doubts(told[0]), [("Success", False), ("TransientFailure", True)])

    def test_smtp(self) -> None:
        """
        Over SMTP all who were accepted are in doubt, and no other host is tried.
        """
        world = World()
        world.server(1, CONTENT=CLOSE, RCPT=["250 2.1.5 b", "550 5.1.1 c", "250 2.1.5 d"])
        self.assertEqual(
            self.deliver(world), [("TransientFailure", True), ("PermanentFailure", False), ("TransientFailure", True)]
        )
        self.assertEqual(world.mx2.transports, [])

    def test_whose_content_never_went(self) -> None:
        """
        Recipients of a later transaction of the attempt are in no doubt.
        """
        world = World(Section(max_recipients_per_transaction=2))
        world.server(1, CONTENT=CLOSE)
        self.assertEqual(self.deliver(world), [("TransientFailure", True)] * 2 + [("TransientFailure", False)])

    def test_cut_short(self) -> None:
        """
        An attempt that is cut short while an answer is waited for tells who may have the mail, not that nothing was.
        """
        for answered, outcomes in (
            ((HANG,), [("TransientFailure", True)] * 3),
            (("250 2.0.0 b", HANG), [("Success", False), ("TransientFailure", True), ("TransientFailure", True)]),
        ):
            world = LmtpWorld()
            world.serve(LmtpServer(world.reactor, answered))
            delivery = world.start(message(*THREE))
            world.reactor.run()
            delivery.cancel()
            self.assertEqual(_doubts(self.successResultOf(delivery)), outcomes)
            world.reactor.run()
            self.assertEqual((world.lmtp.open, list(world.agent.connections())), (0, []))
            self.assertEqual(world.reactor.getDelayedCalls(), [])

    def test_cut_short_in_a_later_transaction(self) -> None:
        """
        What went before counts, and what never went is in no doubt.
        """
        world = World(Section(max_recipients_per_transaction=1))
        world.server(1, CONTENT=["250 2.0.0 b", HANG])
        delivery = world.start(message(*THREE))
        world.reactor.run()
        delivery.cancel()
        expected = [("Success", False), ("TransientFailure", True), ("TransientFailure", False)]
        self.assertEqual(_doubts(self.successResultOf(delivery)), expected)


class VerificationTests(SynchronousTestCase):
    """
    Who keeps mailboxes can be asked about them.
    """

    def test_asked(self) -> None:
        """
        A recipient is verified by what the LMTP server says to RCPT.
        """
        for said in ("250 2.1.5 yes", "550 5.1.1 no", "452 4.2.2 full"):
            world = LmtpWorld()
            world.serve(LmtpServer(world.reactor, RCPT=said))
            asked = world.agent.verify(parse_address("b@example.org"))
            world.reactor.run()
            self.assertEqual(str(self.successResultOf(asked)), said)
            self.assertEqual(world.lmtp.verbs(), ["LHLO", "MAIL", "RCPT"])


class RouteTests(SynchronousTestCase):
    """
    What the routes of LMTP need.
    """

    def test_needs_dns(self) -> None:
        """
        Only hosts that have a name need the DNS.
        """
        for given, needed in (
            ({"path": Folder(SOCKET)}, False),
            ({"mx_override": ("localhost:24", "192.0.2.1:24")}, False),
            ({"mx_override": ("localhost:24", "lmtp.example.org:24")}, True),
        ):
            domain = Domain(strategy="lmtp", **given)
            self.assertIs(Routing(Section(domains={"*": domain})).needs_dns, needed, given)


def _guarded() -> Message:
    envelope = Envelope(address("a@example.net"), message().envelope.recipients, {REQUIRE_TLS: ""})
    return message(envelope=envelope)


def _doubts(outcomes: tuple[Outcome, ...]) -> list[tuple[str, bool]]:
    return [(type(o).__name__, isinstance(o, TransientFailure) and o.doubtful) for o in outcomes]


async def _waited(delivering: Any) -> Any:
    return await delivering
