"""
Live sessions: looking at them, ending them, overhearing them.
"""

from __future__ import annotations

import attrs
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.net.dialogues import Dialogues, Interest, Overheard, Watch, peers
from empath.receive.live import Live
from tests.receive.support import BEGIN, EPOCH, Client, World, changed
from tests.receive.tls_support import TlsClient, TlsWorld


class LiveCase(SynchronousTestCase):
    """
    A listener whose sessions can be overheard.
    """

    def setUp(self) -> None:
        self.use(World())

    def use(self, world: World) -> None:
        """
        Look at the sessions of this listener.
        """
        self.world = world
        self.dialogues = Dialogues(world.clock)
        world.around = attrs.evolve(world.around, dialogues=self.dialogues)
        world.factory.around = world.around
        self.shown = world.sessions.shown
        self.dialogues.join(self.shown.overhear)

    def live(self) -> list[Live]:
        """
        Look at all sessions.
        """
        return self.shown.page("", 100)[0]

    def read(self, watch: Watch) -> tuple[Overheard, ...]:
        """
        Tell what there is to read.
        """
        lines: tuple[Overheard, ...] = self.successResultOf(Deferred.fromCoroutine(watch.take()))
        return lines


class LookingTests(LiveCase):
    """
    What is told of a session.
    """

    def test_a_session(self) -> None:
        """
        Who, since when, what it is in, how much was said, and how long it has been silent.
        """
        client = self.world.connect()
        said = BEGIN.replace(b"DATA\r\n", b"NONSENSE\r\n")
        heard = len(client.heard() + client.say(said))
        self.world.clock.advance(3)
        (live,) = self.live()
        self.assertEqual(
            (live.session.peer, live.session.port, live.session.name), ("192.0.2.7", 4321, "client.example")
        )
        self.assertEqual((live.step, live.seconds, live.idle), ("recipients", 3.0, 3.0))
        self.assertEqual((live.octets_in, live.octets_out), (len(said), heard))
        self.assertEqual((live.sender, live.recipients, live.messages, live.errors), ("a@b.example", 1, 0, 1))
        client.say(b"RSET\r\nMAIL FROM:<>\r\n")
        (live,) = self.live()
        self.assertEqual((live.sender, live.recipients, live.idle), ("<>", 0, 0.0))
        self.world.clock.advance(5)
        client.say(b"RCPT TO:<c@d")
        self.assertEqual(self.live()[0].idle, 5.0, "half a command moves nothing")
        client.lose()
        self.assertEqual(self.live(), [])

    def test_steps(self) -> None:
        """
        Each has its word, from the greeting to the end.
        """
        waiting: Deferred[None] = Deferred()
        self.world.decisions.answers["connect"] = waiting
        client = self.world.connect()
        steps = [self.live()[0].step]
        waiting.callback(None)
        self.world.decisions.answers.clear()
        for said in (b"", b"EHLO c\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"MAIL FROM:<a@b.example>\r\n"):
            client.say(said)
            steps.append(self.live()[0].step)
        deciding: Deferred[None] = Deferred()
        self.world.decisions.answers["rcpt_to"] = deciding
        client.say(b"RCPT TO:<c@d.example>\r\n")
        steps.append(self.live()[0].step)
        deciding.callback(None)
        self.world.spool.slow_commit = Deferred()
        for said in (b"", b"DATA\r\n", b"x: y\r\n\r\n", b".\r\n"):
            client.say(said)
            steps.append(self.live()[0].step)
        self.world.spool.slow_commit.callback(None)
        client.say(b"QUIT\r\n")
        steps.append(self.live()[0].step)
        expected = "greeting connected greeted greeted greeted mail deciding recipients content content storing closing"
        self.assertEqual(steps, expected.split())

    def test_login(self) -> None:
        """
        While a response is awaited, and once it is known who it is.
        """
        self.use(World(listener=Listener(auth=True, auth_cleartext=True)))
        client = self.world.connect()
        client.say(b"EHLO c\r\nAUTH LOGIN\r\n")
        self.assertEqual(self.live()[0].step, "login")
        client.say(b"dGlt\r\ndGFuc3RhYWY=\r\n")
        self.assertEqual((self.live()[0].step, self.live()[0].session.login), ("greeted", "tim"))

    def test_pages(self) -> None:
        """
        In the order in which they came, also while some go and others come; of some peers only, if that is asked.
        """
        clients = [self.world.connect(f"192.0.2.{at}") for at in range(1, 8)]
        page, after = self.shown.page("", 3)
        self.assertEqual([each.session.peer for each in page], ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        clients[2].lose()
        clients[3].lose()
        self.world.connect("192.0.2.9")
        page, after = self.shown.page(after, 3)
        self.assertEqual([each.session.peer for each in page], ["192.0.2.5", "192.0.2.6", "192.0.2.7"])
        page, after = self.shown.page(after, 3)
        self.assertEqual(([each.session.peer for each in page], after), (["192.0.2.9"], ""))
        page, after = self.shown.page("", 3, peers("192.0.2.4/30"))
        self.assertEqual([each.session.peer for each in page], ["192.0.2.5", "192.0.2.6", "192.0.2.7"])
        self.assertEqual(after, "")
        for nonsense in ("x", "1-2", f"{int(EPOCH):x}-", f"{int(EPOCH):x}-x"):
            self.assertRaises(ValueError, self.shown.page, nonsense, 3)

    def test_who_is_not_let_in_is_not_there(self) -> None:
        """
        A refused client is no session.
        """
        self.use(World(changed(max_connections=1)))
        self.world.connect()
        self.world.connect("192.0.2.8")
        self.assertEqual([each.session.peer for each in self.live()], ["192.0.2.7"])

    def test_whom_a_proxy_presents(self) -> None:
        """
        Is looked at in its place, under the same name.
        """
        self.use(World(changed(xclient=("192.0.2.7",))))
        client = self.world.connect()
        before = self.live()[0].session.session_id
        client.say(b"EHLO proxy\r\nXCLIENT ADDR=198.51.100.9 PORT=99\r\n")
        (live,) = self.live()
        self.assertEqual((live.session.session_id, live.session.peer, live.session.port), (before, "198.51.100.9", 99))
        client.lose()
        self.assertEqual(self.live(), [])


class EndingTests(LiveCase):
    """
    Ending sessions by hand.
    """

    def kill(self, client: Client) -> bytes:
        """
        End the session of a client; tell what it hears.
        """
        client.heard()
        self.assertEqual(len(self.shown.kill(peer=peers("192.0.2.7"))), 1)
        return client.heard()

    def test_an_idle_one(self) -> None:
        """
        Hears why, and is told of as killed.
        """
        client = self.world.connect()
        self.assertEqual(self.kill(client), b"421 4.3.2 mx.example.org closing connection\r\n")
        self.assertTrue(client.hung_up)
        client.lose()
        self.assertEqual(self.world.reasons(), ["killed"])

    def test_within_content(self) -> None:
        """
        Nothing of it is stored.
        """
        client = self.world.begun()
        client.say(b"x: y\r\n\r\n")
        self.assertTrue(self.kill(client).startswith(b"421 "))
        client.say(b".\r\n")
        self.assertEqual((self.world.stored, self.world.spool.writers[0].aborted > 0), ([], True))

    def test_while_something_is_decided(self) -> None:
        """
        The decision is cancelled.
        """
        cancelled: list[object] = []
        self.world.decisions.answers["mail_from"] = Deferred(cancelled.append)
        client = self.world.connect()
        client.say(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\n")
        self.assertTrue(self.kill(client).startswith(b"421 "))
        self.assertEqual(len(cancelled), 1)

    def test_while_a_message_is_stored(self) -> None:
        """
        It is withdrawn, and the client hears that it is to come again.
        """
        client = self.world.begun()
        self.world.spool.slow_commit = Deferred()
        client.say(b"x: y\r\n\r\n.\r\nQUIT\r\n")
        replies = self.kill(client).split(b"\r\n")
        self.assertEqual([line[:3] for line in replies], [b"451", b"421", b""])
        self.assertTrue(client.hung_up)
        self.assertEqual(self.world.stored, [])

    def test_once_a_message_is_stored(self) -> None:
        """
        The client hears that it is ours, though its record is not written yet: it must not send it again.
        """
        record: Deferred[None] = Deferred()
        self.world.factory.around = attrs.evolve(self.world.around, record=lambda _message, _session: record)
        for by_hand in (True, False):
            client = self.world.begun()
            client.say(b"x: y\r\n\r\n.\r\nMAIL FROM:<>\r\n")
            self.assertEqual(client.heard(), b"")
            if by_hand:
                self.shown.kill(peer=peers("192.0.2.7"))
            else:
                client.protocol.abandon()  # type: ignore[attr-defined]
            replies = client.heard().split(b"\r\n")
            self.assertEqual([line[:3] for line in replies], [b"250", b"421", b""])
            client.lose()
        record.callback(None)
        self.assertEqual(self.world.reasons(), ["killed", "shutdown"])

    def test_one_that_does_not_read(self) -> None:
        """
        Is cut off after a second; and at once, if it is asked for again.
        """
        client = self.world.connect()
        self.kill(client)
        self.assertFalse(client.transport.aborted)
        self.world.clock.advance(1.5)
        self.assertTrue(client.transport.aborted)
        other = self.world.connect("192.0.2.7")
        other.say(b"QUIT\r\n")
        self.shown.kill(peer=peers("192.0.2.7"))
        self.assertTrue(other.transport.aborted)

    def test_only_those_that_are_meant(self) -> None:
        """
        By its name, or by its peer; nobody for what is nobody's.
        """
        clients = [self.world.connect(f"192.0.2.{at}") for at in (1, 2, 1)]
        names = [each.session.session_id for each in self.live()]
        self.assertEqual(self.shown.kill("nobody"), ())
        self.assertEqual(self.shown.kill(names[1]), (names[1],))
        self.assertEqual(self.shown.kill(peer=peers("192.0.2.1")), (names[0], names[2]))
        self.assertTrue(all(client.hung_up for client in clients))

    def test_over_a_unix_socket(self) -> None:
        """
        Its peer is called "unix".
        """
        client = Client(self.world.factory, UNIXAddress(b""))
        self.assertEqual(len(self.shown.kill(peer=peers("unix"))), 1)
        self.assertTrue(client.hung_up)


class OverhearingTests(LiveCase):
    """
    Sessions that are watched.
    """

    def watch(self, peer: str = "", domain: str = "", id: str = "") -> Watch:
        """
        Begin to watch.
        """
        return self.dialogues.watch(Interest(peer, domain, id))

    def texts(self, watch: Watch) -> list[str]:
        """
        Tell what was overheard.
        """
        return [f"{'>' if each.from_us else '<'} {each.text}" for each in self.read(watch)]

    def test_from_the_first_word_to_the_last(self) -> None:
        """
        All of a session that begins while it is watched.
        """
        watch = self.watch(peer="192.0.2.7")
        client = self.world.begun()
        client.say(b"x: y\r\n\r\n.\r\nQUIT\r\n")
        client.lose()
        told = self.texts(watch)
        self.assertEqual(
            told[:2], ["< tcp:1025:interface=127.0.0.1 (mta) from port 4321", "> 220 mx.example.org ESMTP empath"]
        )
        self.assertIn("< [11 octets of content]", told)
        self.assertEqual(told[-2:], ["> 221 2.0.0 mx.example.org closing connection", "< quit"])

    def test_what_goes_on_already(self) -> None:
        """
        A session that is in a transaction which names the domain is watched at once, and says for how long it is open.
        """
        client = self.world.begun()
        self.world.clock.advance(12)
        watch, sender, other = (
            self.watch(domain="d.example"),
            self.watch(domain="b.example"),
            self.watch(domain="x.example"),
        )
        client.say(b".\r\n")
        for each in (watch, sender):
            told = self.texts(each)
            self.assertTrue(told[0].endswith("from port 4321, 12.0 s ago"), told)
            self.assertEqual(told[1], "< [3 octets of content]")
        reading = Deferred.fromCoroutine(other.take())
        self.assertNoResult(reading)
        other.end()
        self.assertEqual(self.successResultOf(reading), ())

    def test_by_queue_id(self) -> None:
        """
        The reception of one message that goes on, up to the next one.
        """
        client = self.world.begun()
        client.say(b"x: y\r\n\r\n")
        self.world.spool.slow_commit = Deferred()
        client.say(b".\r\n")
        queue_id = self.world.spool.committed[0][0].queue_id
        watch = self.watch(id=queue_id)
        self.world.spool.slow_commit.callback(None)
        client.say(b"MAIL FROM:<e@f.example>\r\n")
        client.say(b"RSET\r\n")
        told = self.texts(watch)
        self.assertEqual(told[1:], [f"> 250 2.0.0 Ok: queued as {queue_id}", "< MAIL FROM:<e@f.example>"])

    def test_nobody_watches_any_more(self) -> None:
        """
        Sessions cost again what they did before.
        """
        client = self.world.connect()
        watch = self.watch(peer="192.0.2.7")
        self.assertIsNotNone(client.protocol._smtp.tap)  # type: ignore[attr-defined]
        watch.end()
        self.assertIsNone(client.protocol._smtp.tap)  # type: ignore[attr-defined]
        other = self.watch(peer="192.0.2.8")
        self.assertIsNone(client.protocol._smtp.tap)  # type: ignore[attr-defined]
        other.end()

    def test_whom_a_proxy_presents(self) -> None:
        """
        Can be watched by its own address, from then on.
        """
        self.use(World(changed(xclient=("192.0.2.7",))))
        watch = self.watch(peer="198.51.100.9")
        client = self.world.connect()
        client.say(b"EHLO proxy\r\nXCLIENT ADDR=198.51.100.9\r\nEHLO real\r\n")
        self.assertIn("< EHLO real", self.texts(watch))

    def test_tls(self) -> None:
        """
        What protects a session is told, and what is said within it is overheard as before; so is a failure.
        """
        self.use(TlsWorld(self))
        watch = self.watch(peer="192.0.2.7")
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        self.assertIsInstance(client, TlsClient)
        if isinstance(client, TlsClient):
            client.begin()
        self.assertEqual(self.live()[0].step, "connected")
        client.say(b"EHLO within.example\r\n")
        other = self.world.connect()
        other.say(b"EHLO c\r\nSTARTTLS\r\nEHLO injected\r\n")
        other.say(b"STARTTLS\r\n")
        told = self.read(watch)
        secured, failed = (each.text for each in told if each.event == "tls")
        self.assertTrue(secured.startswith("TLSv1.3 TLS_"), secured)
        self.assertTrue(failed.startswith("no TLS: "), failed)
        self.assertIn("EHLO within.example", [each.text for each in told])

    def test_content_is_not_shown(self) -> None:
        """
        Neither is what a client sends behind a DATA that was refused, nor what one says whose AUTH was not overheard.
        """
        watch = self.watch(peer="192.0.2.7")
        client = self.world.connect()
        client.say(b"EHLO c\r\nDATA\r\nDear Bob\r\nhelp yourself\r\n")
        told = self.texts(watch)
        self.assertEqual([each for each in told if each[0] == "<"][-2:], ["< [masked]", "< help [masked]"])
        watch.end()
        other = self.world.connect()
        other.say(b"EHLO c\r\nAUTH LOGIN\r\n")
        watch = self.watch(peer="192.0.2.7")
        other.say(b"tan!staaf\r\n")
        self.assertEqual(self.texts(watch)[-2], "< [masked]")

    def test_passwords_are_not_shown(self) -> None:
        """
        Whichever way the client sends them.
        """
        self.use(World(listener=Listener(auth=True, auth_cleartext=True)))
        watch = self.watch(peer="192.0.2.7")
        client = self.world.connect()
        client.say(b"EHLO c\r\nAUTH LOGIN\r\ndGlt\r\ndGFuc3RhYWY=\r\n")
        other = self.world.connect()
        other.say(b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nEHLO c\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n")
        told = "\n".join(self.texts(watch))
        self.assertEqual(told.count("235 2.7.0"), 2)
        for secret in ("dGlt", "dGFuc3RhYWY", "AHRpbQB0"):
            self.assertNotIn(secret, told)
