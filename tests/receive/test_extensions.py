"""
What extensions ask of the edge: chunks, releases, priorities, new messages, LMTP, UTF-8.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.errors import SpoolError, SpoolFull
from empath.mail.message import Message
from empath.policy.verdict import discard, refuse
from tests.receive.support import EPOCH, HOSTNAME, Client, World, changed

START = b"EHLO c\r\nMAIL FROM:<a@b.example>%s\r\nRCPT TO:<c@d.example>\r\n"
QUEUED = b"250 2.0.0 Ok: queued as "
CLEARTEXT = Listener(auth=True, auth_cleartext=True)
SUBMISSION = Listener(kind="submission", auth_cleartext=True)
LOGIN = b"EHLO c\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"


class ChunkTests(SynchronousTestCase):
    """
    BDAT (RFC 3030).
    """

    def setUp(self) -> None:
        self.world = World()

    def begun(self, parameters: bytes = b"") -> Client:
        """
        Bring a client to where BDAT may come.
        """
        client = self.world.connect()
        client.say(START % parameters)
        return client

    def message(self) -> Message:
        """
        Tell the message that was stored last.
        """
        return self.world.spool.committed[-1][0]

    def test_chunks_become_a_message(self) -> None:
        """
        Each has its answer, the last one that of the message.
        """
        client = self.begun()
        self.assertEqual(client.say(b"BDAT 16\r\nSubject: x\r\n\r\nbo"), b"250 2.0.0 Ok: 16 octets\r\n")
        self.assertTrue(client.say(b"BDAT 4 LAST\r\ndy\r\n").startswith(QUEUED))
        self.assertTrue(self.message().header.endswith(b"Subject: x\r\n"))
        self.assertEqual(self.message().body, b"\r\nbody\r\n")
        self.assertEqual([verb for verb, _ in self.world.took], ["EHLO", "MAIL", "RCPT", "BDAT", "BDAT", "."])

    def test_binary(self) -> None:
        """
        BODY=BINARYMIME is kept only where the content needs it; else it is what the content is.
        """
        for content, body in (
            (b"X: y\r\n\r\na\nb\0", "BINARYMIME"),
            (b"X: y\r\n\r\n\xfc\r\n", "8BITMIME"),
            (b"X: y\r\n\r\nabc\r\n", None),
        ):
            client = self.begun(b" BODY=BINARYMIME")
            self.assertIn(QUEUED, client.say(b"BDAT %d LAST\r\n%s" % (len(content), content)))
            self.assertEqual(self.message().envelope.parameters.get("BODY"), body)

    def test_too_large(self) -> None:
        """
        The chunk that is too much is refused, and what is behind it has no transaction.
        """
        self.world = World(changed(max_message_size=20))
        client = self.begun()
        self.assertTrue(client.say(b"BDAT 10\r\nX: y\r\n\r\nab").startswith(b"250"))
        self.assertEqual(client.say(b"BDAT 15\r\n" + b"z" * 15), b"552 5.3.4 message too large\r\n")
        self.assertEqual(self.world.spool.writers[0].aborted > 0, True)
        self.assertTrue(client.say(b"BDAT 2 LAST\r\nzz").startswith(b"503"))
        self.assertTrue(client.say(b"MAIL FROM:<>\r\n").startswith(b"250"))
        self.assertEqual(self.world.refusals()[0], "BDAT 552 5.3.4 message too large")

    def test_trouble_with_the_spool(self) -> None:
        """
        A chunk that cannot be stored is refused for now; the transaction is over.
        """
        for trouble, reply in ((SpoolFull("full"), b"452 4.3.1"), (SpoolError("broken"), b"451 4.3.0")):
            self.world = World()
            client = self.begun()
            self.world.spool.write_error = trouble
            self.assertTrue(client.say(b"BDAT 10\r\nX: y\r\n\r\nab").startswith(reply))
            self.assertTrue(client.say(b"DATA\r\n").startswith(b"503"))
            self.world = World()
            self.world.spool.begin_error = trouble
            client = self.begun()
            self.assertTrue(client.say(b"BDAT 10\r\nX: y\r\n\r\nab").startswith(reply))
            self.assertTrue(client.say(b"MAIL FROM:<>\r\n").startswith(b"250"))

    def test_reset_drops_what_came(self) -> None:
        """
        RSET and EHLO between chunks end the transaction and its content.
        """
        for command in (b"RSET\r\n", b"EHLO c\r\n", b"HELO c\r\n"):
            client = self.begun()
            client.say(b"BDAT 10\r\nX: y\r\n\r\nab")
            client.say(command)
            self.assertEqual(self.world.spool.writers[-1].aborted, 1)
            self.assertTrue(client.say(b"BDAT 1 LAST\r\nz").startswith(b"503"))
        self.assertEqual(self.world.spool.committed, [])

    def test_time_between_chunks(self) -> None:
        """
        It is that between pieces of content.
        """
        client = self.begun()
        client.say(b"BDAT 10\r\nX: y\r\n\r\nab")
        self.world.clock.advance(179)
        self.assertEqual(client.heard(), b"")
        self.world.clock.advance(1)
        self.assertTrue(client.heard().startswith(b"421 4.4.2"))

    def test_back_pressure(self) -> None:
        """
        The client waits while the spool writes.
        """
        client = self.begun()
        slow = self.world.spool.slow_write = Deferred()
        self.assertEqual(client.say(b"BDAT 10\r\nX: y\r\n\r\nab"), b"")
        self.assertEqual(client.transport.producerState, "paused")
        slow.callback(None)
        self.assertEqual(client.heard(), b"250 2.0.0 Ok: 10 octets\r\n")
        self.assertEqual(client.transport.producerState, "producing")

    def test_a_stop_lets_the_message_end(self) -> None:
        """
        The session ends after the last chunk, or at RSET.
        """
        for last in (b"BDAT 2 LAST\r\nzz", b"RSET\r\n"):
            client = self.begun()
            client.say(b"BDAT 10\r\nX: y\r\n\r\nab")
            protocol: Any = client.protocol
            protocol.drain()
            self.assertFalse(client.hung_up)
            self.assertIn(b"421 4.3.2", client.say(last))
            self.assertTrue(client.hung_up)

    def test_a_client_that_leaves_between_chunks(self) -> None:
        """
        Nothing is stored.
        """
        client = self.begun()
        client.say(b"BDAT 10\r\nX: y\r\n\r\nab")
        client.lose()
        self.assertEqual((self.world.spool.committed, self.world.clock.getDelayedCalls()), ([], []))


class ContentTests(SynchronousTestCase):
    """
    What content must not be.
    """

    def test_nul_in_the_header(self) -> None:
        """
        It is refused: no two programs agree on what such a header says.
        """
        world = World()
        client = world.begun()
        said = client.say(b"X: \0y\r\n\r\nbody\r\n.\r\n")
        self.assertEqual(said, b"550 5.6.0 NUL in the header of the message\r\n")
        self.assertEqual(world.spool.committed, [])


class ParameterTests(SynchronousTestCase):
    """
    What MAIL asks for, and who gets it.
    """

    def stored(self, parameters: bytes, host: str, listener: Listener | None = None, first: bytes = b"") -> Any:
        """
        Send a message with these parameters, tell it and its deliveries.
        """
        world = World(listener=listener)
        world.trusted = {"127.0.0.1"}
        client = world.connect(host)
        client.say(first + START % parameters)
        said = client.say(b"DATA\r\n.\r\n")
        self.assertIn(QUEUED, said)
        return world.spool.committed[0]

    def test_priority(self) -> None:
        """
        It counts from trusted clients (RFC 6710); from others it is as if nothing was said.
        """
        message, deliveries = self.stored(b" MT-PRIORITY=3", "127.0.0.1")
        self.assertEqual((message.priority, deliveries[0].priority), (3, 3))
        self.assertEqual(message.envelope.parameters, {"MT-PRIORITY": "3"})
        self.assertIn(b"priority 3", message.header)
        message, deliveries = self.stored(b" MT-PRIORITY=3", "192.0.2.7")
        self.assertEqual((message.priority, deliveries[0].priority), (0, 0))
        self.assertEqual(message.envelope.parameters, {})

    def test_auth(self) -> None:
        """
        Whom a stranger says the message to be from is not passed on (RFC 4954 §5).
        """
        self.assertEqual(self.stored(b" AUTH=x@y", "127.0.0.1", CLEARTEXT)[0].envelope.parameters, {"AUTH": "x@y"})
        self.assertEqual(self.stored(b" AUTH=x@y", "192.0.2.7", CLEARTEXT)[0].envelope.parameters, {"AUTH": "<>"})

    def test_auth_of_who_logged_in(self) -> None:
        """
        Nor what somebody says who proved to be another: a login is trusted with its own mail only.
        """
        world = World(listener=CLEARTEXT)
        client = world.connect("127.0.0.1")
        client.say(b"EHLO c\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nMAIL FROM:<a@b.example> AUTH=root\r\n")
        client.say(b"RCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n")
        self.assertEqual(world.spool.committed[0][0].envelope.parameters, {"AUTH": "<>"})

    def test_others_are_kept(self) -> None:
        """
        What the next hop has to know goes with the message.
        """
        message, _ = self.stored(b" BODY=8BITMIME RET=HDRS ENVID=x SMTPUTF8 BY=120;R", "192.0.2.7")
        self.assertEqual(set(message.envelope.parameters), {"BODY", "RET", "ENVID", "SMTPUTF8", "BY"})

    def test_utf8(self) -> None:
        """
        Received names the protocol of a transaction under SMTPUTF8 (RFC 6531 §4.3).
        """
        self.assertIn(b"with UTF8SMTP\r\n", self.stored(b" SMTPUTF8", "192.0.2.7")[0].header.replace(b" id ", b"\r\n"))

    def test_release(self) -> None:
        """
        A message of a submission waits until it is to be released; what was asked for is kept for reports.
        """
        until = (datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for parameter, release in (
            (b" HOLDFOR=300", EPOCH + 300),
            (b" HOLDUNTIL=" + until.encode(), EPOCH + 60),
            (b" HOLDUNTIL=2020-01-01T00:00:00Z", EPOCH),
        ):
            message, deliveries = self.stored(parameter, "192.0.2.7", SUBMISSION, LOGIN)
            keyword, _, value = parameter.decode().strip().partition("=")
            self.assertEqual((message.received, message.envelope.parameters), (EPOCH, {keyword: value}))
            self.assertEqual((deliveries[0].next_attempt, deliveries[0].received), (release, release))

    def test_a_release_too_late(self) -> None:
        """
        Beyond the limit it is refused, and where the time to deliver by is over then, whatever the mode (RFC 4865
        §5.2.2).
        """
        client = World(changed(max_future_release=3600.0), SUBMISSION).connect()
        self.assertIn(b"FUTURERELEASE 3600 2026-", client.say(LOGIN))
        for parameters, code in (
            (b"HOLDUNTIL=2030-01-01T00:00:00Z", b"501 5.5.4"),
            (b"HOLDFOR=300 BY=299;R", b"501 5.5.4"),
            (b"HOLDFOR=300 BY=300;R", b"501 5.5.4"),
            (b"HOLDFOR=300 BY=-1;N", b"501 5.5.4"),
            (b"HOLDUNTIL=2020-01-01T00:00:00Z BY=-1;N", b"250 2.1.0"),
            (b"HOLDFOR=300 BY=301;R", b"250 2.1.0"),
        ):
            said = client.say(b"MAIL FROM:<a@b.example> " + parameters + b"\r\n")
            self.assertEqual(said[:9], code)
            client.say(b"RSET\r\n")


class SubmissionTests(SynchronousTestCase):
    """
    New messages (RFC 6409).
    """

    def test_the_header_is_mended(self) -> None:
        """
        Date and Message-ID are added, Bcc is dropped, and the rest stays as it is under our Received.
        """
        world = World(listener=SUBMISSION)
        client = world.connect()
        client.say(LOGIN + START % b"" + b"DATA\r\n")
        client.say(b"Subject: x\r\nBcc: <secret@d.example>\r\n\r\nbody\r\n.\r\n")
        message = world.spool.committed[0][0]
        self.assertIn(b"with ESMTPA", message.header)
        self.assertNotIn(b"secret", message.header)
        self.assertIn(b"\r\nSubject: x\r\nDate: ", message.header)
        self.assertIn(f"\r\nMessage-ID: <{message.queue_id}@{HOSTNAME}>\r\n".encode(), message.header)
        self.assertEqual(message.size, len(message.header) + len(b"\r\nbody\r\n"))

    def test_a_relay_mends_nothing(self) -> None:
        """
        What others wrote stays as they wrote it.
        """
        world = World()
        world.begun().say(b"Bcc: <x@d.example>\r\n\r\n.\r\n")
        self.assertTrue(world.spool.committed[0][0].header.endswith(b"+0000\r\nBcc: <x@d.example>\r\n"))


class LmtpTests(SynchronousTestCase):
    """
    LMTP (RFC 2033).
    """

    def setUp(self) -> None:
        self.world = World(listener=Listener(kind="lmtp"))
        self.client = self.world.connect()

    def begin(self) -> None:
        """
        Bring the client to where the content is awaited, for two recipients.
        """
        self.client.say(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@f.example>\r\nDATA\r\n")

    def test_a_reply_for_each_recipient(self) -> None:
        """
        Received says LMTP, and each recipient has its answer, good or bad.
        """
        self.begin()
        said = self.client.say(b".\r\n")
        self.assertEqual(said.count(QUEUED), 2)
        self.assertIn(b"with LMTP", self.world.spool.committed[0][0].header)
        self.world.decisions.answers["data"] = refuse("550 5.7.1 no")
        self.begin()
        self.assertEqual(self.client.say(b".\r\n"), b"550 5.7.1 no\r\n" * 2)
        self.world.decisions.answers["data"] = discard()
        self.begin()
        self.assertEqual(self.client.say(b".\r\n").count(QUEUED), 2)

    def test_no_ehlo(self) -> None:
        """
        SMTP is not spoken here.
        """
        self.client.heard()
        self.assertTrue(self.client.say(b"EHLO c\r\n").startswith(b"500 5.5.1"))


class PresentedTests(SynchronousTestCase):
    """
    XCLIENT.
    """

    def setUp(self) -> None:
        self.world = World(changed(xclient=("192.0.2.1/32",), max_connections_per_client=2))
        self.proxy = self.world.connect("192.0.2.1")

    @property
    def session(self) -> Any:
        protocol: Any = self.proxy.protocol
        return protocol.session

    def test_a_client_is_presented(self) -> None:
        """
        Its address decides and is what Received, limits and events name; the session begins anew.
        """
        self.assertIn(b"250-XCLIENT ", self.proxy.say(b"EHLO proxy\r\n").replace(b"250 XC", b"250-XC"))
        said = self.proxy.say(b"XCLIENT ADDR=198.51.100.9 PORT=99 NAME=box.example HELO=box PROTO=SMTP\r\n")
        self.assertEqual(said, b"220 mx.example.org ESMTP empath\r\n")
        self.assertEqual((self.session.peer, self.session.port, self.session.name), ("198.51.100.9", 99, "box"))
        self.assertEqual(self.session.metadata, {"client_name": "box.example"})
        self.assertEqual((self.session.trusted, self.session.protocol), (False, "SMTP"))
        self.assertTrue(self.proxy.say(b"MAIL FROM:<>\r\n").startswith(b"503"))
        self.proxy.say(START % b"" + b"DATA\r\n.\r\n")
        self.assertIn(b"from c ([198.51.100.9])", self.world.spool.committed[0][0].header)
        self.proxy.lose()
        self.assertEqual(self.world.sessions.count, 0)

    def test_trust_comes_from_the_new_address(self) -> None:
        """
        A proxy that may relay lends that to nobody; a client of our networks may, and one without an address may not.
        """
        self.world.trusted = {"192.0.2.1", "198.51.100.9", "0.0.0.0"}
        for address, trusted in ((b"198.51.100.8", False), (b"198.51.100.9", True), (b"[UNAVAILABLE]", False)):
            self.proxy = self.world.connect("192.0.2.1")
            self.assertTrue(self.session.trusted)
            self.assertTrue(self.proxy.say(b"XCLIENT ADDR=" + address + b"\r\n").startswith(b"220"))
            self.assertEqual(self.session.trusted, trusted)
            self.proxy.lose()
        self.proxy = self.world.connect("192.0.2.1")
        self.proxy.say(b"XCLIENT NAME=box.example\r\n")
        self.assertEqual((self.session.peer, self.session.metadata), ("192.0.2.1", {"client_name": "box.example"}))
        self.proxy.say(b"XCLIENT ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] NAME=[UNAVAILABLE]\r\n")
        self.assertEqual((self.session.peer, self.session.port, self.session.metadata), ("2001:db8::1", 0, {}))

    def test_login(self) -> None:
        """
        LOGIN makes the client trusted; EHLO does not end that.
        """
        self.proxy.say(b"XCLIENT LOGIN=tim\r\nEHLO c\r\n")
        self.assertEqual((self.session.login, self.session.trusted, self.session.protocol), ("tim", True, "ESMTPA"))
        self.proxy.say(b"XCLIENT ADDR=198.51.100.9 LOGIN=[UNAVAILABLE]\r\nEHLO c\r\n")
        self.assertEqual((self.session.login, self.session.trusted, self.session.protocol), ("", False, "ESMTP"))

    def test_who_is_presented_presents_nobody(self) -> None:
        """
        A proxy may hand on all that its client says (as nginx does): whether XCLIENT may be said follows the address.
        """
        for address in (b"198.51.100.9", b"[UNAVAILABLE]"):
            self.proxy = self.world.connect("192.0.2.1")
            self.world.trusted = {"127.0.0.1"}
            self.proxy.say(b"XCLIENT ADDR=" + address + b"\r\n")
            self.assertNotIn(b"XCLIENT", self.proxy.say(b"EHLO c\r\n"))
            for forged in (b"XCLIENT ADDR=127.0.0.1\r\n", b"XCLIENT LOGIN=tim\r\n", b"XCLIENT ADDR=192.0.2.1\r\n"):
                self.assertTrue(self.proxy.say(forged).startswith(b"502 5.5.1"))
            self.assertEqual((self.session.login, self.session.trusted), ("", False))
            self.proxy.lose()
        self.proxy = self.world.connect("192.0.2.1")
        self.proxy.say(b"XCLIENT ADDR=192.0.2.1\r\n")
        self.assertIn(b"XCLIENT", self.proxy.say(b"EHLO c\r\n"))

    def test_limits(self) -> None:
        """
        They are those of the client that is presented.
        """
        for _ in range(2):
            self.world.connect("198.51.100.9")
        self.proxy.heard()
        said = self.proxy.say(b"XCLIENT ADDR=198.51.100.9\r\n")
        self.assertTrue(said.startswith(b"421 4.7.0 too many connections"))
        self.proxy.lose()
        self.assertEqual((self.world.reasons(), self.world.sessions.count), (["limit"], 2))

    def test_decisions(self) -> None:
        """
        The client is judged as if it had connected itself; refused, the proxy's connection ends.
        """
        for stage in ("connect", "auth"):
            self.setUp()
            self.proxy.heard()
            self.world.decisions.answers[stage] = refuse("554 5.7.1 not you")
            said = self.proxy.say(b"XCLIENT ADDR=198.51.100.9 LOGIN=tim\r\nEHLO c\r\n")
            self.assertEqual(said, b"554 5.7.1 not you\r\n")
            self.assertTrue(self.proxy.hung_up)

    def test_forged(self) -> None:
        """
        From others it gains nothing.
        """
        client = self.world.connect("192.0.2.2")
        self.assertNotIn(b"XCLIENT", client.say(b"EHLO c\r\n"))
        self.assertTrue(client.say(b"XCLIENT ADDR=127.0.0.1 LOGIN=tim\r\n").startswith(b"5"))
        protocol: Any = client.protocol
        self.assertEqual((protocol.session.peer, protocol.session.login), ("192.0.2.2", ""))
        self.proxy.say(b"XCLIENT ADDR=198.51.100.9\r\n")
