"""
Requirements on the MTA in memory: the real one, in virtual time, alone in its world, the same each time.
"""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.errors import ConfigError
from empath.mail.life import AttemptEnded, CommandAnswered, MessageReceived
from empath.modules import IModule, IServices
from empath.modules.http import HttpClient
from empath.testing import Disconnected, MockSmtpServer, Mta, MtaMixin, content, self_signed

CONTENT = b"Subject: x\r\n\r\nhi\r\n"
GREY = MockSmtpServer().with_rcpt_to_response(450, "4.2.0 later")


@implementer(IModule)
class Asking:
    """
    Asks whatever a test wants to know.
    """

    name = "asking"

    def start(self, services: IServices) -> None:
        self.services = services
        self.http = HttpClient(services)


class ReceptionTests(MtaMixin, SynchronousTestCase):
    """
    Clients.
    """

    def test_a_message_goes_through(self) -> None:
        """
        From a client to the peer of our domain, and everything tells of it.
        """
        mta = self.mta(domains=["example.org"])
        client = mta.client("192.0.2.7")
        reply = client.send("a@b.example", ["c@example.org"], CONTENT)
        self.assertTrue(reply.startswith("250 2.0.0 Ok: queued as "), reply)
        mta.settle()
        (message,) = mta.messages
        (arrived,) = mta.peer("example.org").messages
        self.assertEqual(
            (arrived.sender, arrived.recipients, arrived.at), ("a@b.example", ("c@example.org",), mta.seconds())
        )
        self.assertTrue(arrived.content.endswith(CONTENT))
        self.assertEqual(mta.content(message), arrived.content)
        self.assertEqual((mta.queue(), mta.faults), ([], []))
        kinds = [type(event) for event in mta.events]
        self.assertLess(kinds.index(MessageReceived), kinds.index(AttemptEnded))
        self.assertIn("status=sent", "\n".join(mta.logs))
        self.assertEqual(mta.dns.asked[:1], [("example.org", "MX")])
        self.assertIn("S: 354", mta.story())

    def test_dialogues_by_hand(self) -> None:
        """
        Line by line, with TLS, and until the server hangs up.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        certificate, key = self_signed("mx.empath.example").write(folder)
        mta = self.mta(
            config=f"""
            [[smtp.listeners]]
            endpoint = "tcp:25:interface=127.0.0.1"
            tls = "starttls"
            certificate = "{certificate}"
            private_key = "{key}"
            [[smtp.listeners]]
            endpoint = "tcp:465"
            tls = "implicit"
            certificate = "{certificate}"
            private_key = "{key}"
            """
        )
        client = mta.client("2001:db8::7")
        self.assertEqual(client.connect(), "220 mx.empath.example ESMTP empath")
        self.assertIn("STARTTLS", client.ehlo())
        self.assertEqual(client.starttls()[:3], "220")
        self.assertNotIn("STARTTLS", client.ehlo("elsewhere.example"))
        self.assertEqual(client.send("", ["c@example.org"], CONTENT)[:3], "250")
        self.assertIn("with ESMTPS", mta.content(mta.messages[0]).decode())
        self.assertEqual(client.quit()[:3], "221")
        self.assertRaises(Disconnected, client.command, "NOOP")
        implicit = mta.client(listener=1)
        implicit.connect_silently()
        implicit.begin_tls()
        self.assertEqual(implicit.reply()[:3], "220")
        self.assertEqual(implicit.send("", ["c@example.org"], CONTENT, keep=False)[:3], "250")
        self.assertFalse(implicit.connected)

    def test_logins(self) -> None:
        """
        Whoever the test says may log in; the module sees the login, and who did not log in may not relay.
        """
        mta = self.mta(domains=["example.org"], logins={"me@acme.example": "secret"})
        client = mta.client()
        self.assertEqual(client.login("me@acme.example", "wrong")[:9], "535 5.7.8")
        self.assertEqual(client.login("you@acme.example", "secret")[:3], "535")
        self.assertEqual(client.send("me@acme.example", ["you@example.com"], CONTENT)[:9], "550 5.7.1")
        self.assertEqual(client.login("me@acme.example", "secret")[:9], "235 2.7.0")
        self.assertEqual(client.send("me@acme.example", ["you@example.com"], CONTENT)[:9], "250 2.0.0")
        mta.restart()
        self.assertEqual(mta.client().login("me@acme.example", "secret")[:9], "235 2.7.0")

    def test_idempotency_keys_outlast_a_restart(self) -> None:
        """
        As on a disk: a copy is known afterwards.
        """
        mta = self.mta(domains=["example.org"], logins={"me@acme.example": "secret"})
        heard = []
        for _ in range(2):
            client = mta.client()
            client.login("me@acme.example", "secret")
            heard.append(client.send("me@acme.example", ["c@example.org"], b"Idempotency-Key: k\r\n" + CONTENT))
            mta.settle()
            mta.restart()
        self.assertEqual(heard[0][:9], "250 2.0.0")
        self.assertEqual(heard[1], heard[0])
        self.assertEqual(len(mta.peer("example.org").messages), 1)

    def test_messages_of_python(self) -> None:
        """
        They get the line ends of SMTP.
        """
        mta = self.mta(domains=["example.org"])
        written = EmailMessage()
        written["Subject"] = "hello"
        written.set_content("one\ntwo\n")
        self.assertEqual(mta.client().send("a@b.example", ["c@example.org"], written)[:9], "250 2.0.0")
        mta.settle()
        self.assertIn(b"\r\n\r\none\r\ntwo\r\n", mta.peer("example.org").messages[0].content)
        self.assertEqual(content(written).get("Subject"), "hello")

    def test_refusals_and_limits(self) -> None:
        """
        The configuration is the real one, whatever it says; who may not relay hears so.
        """
        mta = self.mta(config="smtp.max_connections_per_client = 1")
        client = mta.client()
        self.assertEqual(client.send("a@b.example", ["c@elsewhere.example"], CONTENT), "550 5.7.1 relay access denied")
        self.assertEqual(mta.client().connect()[:3], "421")
        self.assertIsInstance(next(each for each in mta.events if isinstance(each, CommandAnswered)), CommandAnswered)
        error = self.assertRaises(ConfigError, Mta, config="smtp.nonsense = 1")
        self.assertIn("smtp.nonsense", str(error))


class DeliveryTests(MtaMixin, SynchronousTestCase):
    """
    Peers, DNS and time.
    """

    def test_days_of_retries(self) -> None:
        """
        Each retry comes at its own time; after four hours, and when the time is over, the sender is told.
        """
        mta = self.mta(domains=["example.org", "b.example"])
        mta.peer("example.org", GREY)
        mta.client().send("a@b.example", ["c@example.org"], CONTENT)
        mta.advance(days=6)
        times = [each.attempt.started for each in mta.events if isinstance(each, AttemptEnded)]
        self.assertGreater(len(times), 8)
        self.assertGreater(times[3] - times[2], times[1] - times[0])
        delayed, failed = mta.peer("b.example").messages
        for report in (delayed, failed):
            self.assertEqual((report.sender, report.recipients), ("", ("a@b.example",)))
        self.assertIn(b"Action: delayed", delayed.content)
        self.assertIn(b"Action: failed", failed.content)
        self.assertEqual([each.status.value for each in mta.queue("expired")], ["expired"])

    def test_a_peer_that_is_away(self) -> None:
        """
        Refusing or silent; mail arrives once it is back, at the next host meanwhile.
        """
        mta = self.mta(domains=[])
        mta.dns.mx("d.example", "mx1.d.example", "mx2.d.example")
        first, second = mta.peer("mx1.d.example"), mta.peer("mx2.d.example")
        self.assertIs(mta.peer("d.example"), first)
        mta.down("mx1.d.example", silent=True)
        client = mta.client("127.0.0.1")
        client.send("a@b.example", ["c@d.example"], CONTENT)
        mta.advance(minutes=1)
        self.assertEqual((len(first.messages), len(second.messages)), (0, 1))
        mta.down("mx2.d.example")
        client.send("a@b.example", ["e@d.example"], CONTENT)
        mta.advance(minutes=2)
        self.assertEqual(len(mta.queue("retry")), 1)
        mta.up("mx1.d.example")
        mta.advance(minutes=30)
        self.assertEqual([each.recipients for each in first.messages], [("e@d.example",)])

    def test_a_host_that_the_configuration_names(self) -> None:
        """
        A peer answers as a domain's mail server, and under its own name.
        """
        config = '[delivery.domains."*"]\nmx_override = "smtp.example.com:587"'
        mta = self.mta(domains=["example.org"], config=config)
        peer = mta.peer("smtp.example.com")
        mta.client().send("a@b.example", ["c@example.org"], CONTENT)
        mta.settle()
        self.assertEqual(len(peer.messages), 1)

    def test_dns_as_it_can_be(self) -> None:
        """
        No such domain, trouble, silence, null MX; what changes counts once what was told has expired.
        """
        mta = self.mta(domains=[])
        mta.dns.mx("null.example", "")
        mta.dns.fail("broken.example")
        mta.dns.silence("silent.example")
        client = mta.client("127.0.0.1")
        for domain in ("nowhere.example", "null.example", "broken.example", "silent.example"):
            client.send("", [f"c@{domain}"], CONTENT)
        mta.advance(minutes=1)
        failed = {each.domain: each.last_error[:9] for each in mta.queue("failed")}
        self.assertEqual(failed, {"nowhere.example": "550 5.1.2", "null.example": "556 5.1.1"})
        self.assertEqual({each.domain for each in mta.queue("retry")}, {"broken.example", "silent.example"})
        server = mta.peer("broken.example")
        mta.advance(hours=2)
        self.assertEqual(len(server.messages), 1)

    def test_peers_with_tls(self) -> None:
        """
        TLS is used where it is offered, and a handshake that fails is not the end (RFC 7435).
        """
        mta = self.mta(domains=["a.example", "b.example"])
        mta.peer("a.example", MockSmtpServer().with_starttls())
        mta.peer("b.example", MockSmtpServer().with_starttls_failure(220))
        for domain in ("a.example", "b.example"):
            mta.client().send("", [f"c@{domain}"], CONTENT)
        mta.advance(minutes=5)
        self.assertEqual([mta.peer(domain).messages[0].tls for domain in ("a.example", "b.example")], [True, False])

    def test_large_content(self) -> None:
        """
        More than fits into a piece, with TLS, in chunks, and through a spool that keeps it in a "file", restart or not.
        """
        large = CONTENT + b"0123456789\r\n" * 40_000
        mta = self.mta(config='spool.inline_limit = "10KiB"', domains=["a.example", "b.example"])
        mta.peer("a.example", MockSmtpServer().with_starttls())
        mta.peer(
            "b.example",
            MockSmtpServer().with_ehlo_response(250, "mx", "CHUNKING").with_response("MAIL", 1, 450, "4.2.0 no"),
        )
        self.assertEqual(mta.client().send("", ["c@a.example", "c@b.example"], large)[:3], "250")
        mta.settle()
        mta.restart()
        mta.advance(minutes=10)
        for domain in ("a.example", "b.example"):
            (message,) = mta.peer(domain).messages
            self.assertTrue(message.content.endswith(large))

    def test_aliases_and_names(self) -> None:
        """
        CNAME records are followed, and Twisted's own endpoints resolve names in the world.
        """
        mta = self.mta(domains=[])
        mta.dns.records("alias.example", "CNAME", "real.example.")
        real = mta.peer("real.example")
        mta.client("127.0.0.1").send("", ["c@alias.example"], CONTENT)
        mta.settle()
        self.assertEqual(real.messages[0].recipients, ("c@alias.example",))
        endpoint = HostnameEndpoint(mta.reactor, "mx.real.example", 25)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        mta.advance(1)
        connected: Any = self.successResultOf(connecting)
        connected.transport.abortConnection()
        nowhere = HostnameEndpoint(mta.reactor, "nowhere.example", 25).connect(Factory.forProtocol(Protocol))
        self.failureResultOf(nowhere, DNSLookupError)


class LifeTests(MtaMixin, SynchronousTestCase):
    """
    Restarts, and several of them.
    """

    def test_a_crash_keeps_what_is_stored(self) -> None:
        """
        In the middle of an attempt: connections are lost, and the mail is sent again, not lost.
        """
        mta = self.mta()
        server = mta.peer("example.org", MockSmtpServer().with_slow_response("CONTENT", 60))
        client = mta.client()
        client.send("a@b.example", ["c@example.org"], CONTENT)
        mta.advance(10)
        self.assertEqual((server.open, [each.status.value for each in mta.queue()]), (1, ["pending"]))
        mta.restart()
        self.assertEqual((server.sessions[0].open, client.connected), (False, False))
        self.assertEqual(client.send("a@b.example", ["d@example.org"], CONTENT)[:3], "250")
        mta.advance(minutes=10)
        self.assertEqual([each.recipients for each in server.messages][-2:], [("c@example.org",), ("d@example.org",)])
        self.assertEqual(mta.queue(), [])

    def test_stop_and_start(self) -> None:
        """
        An orderly stop leaves nothing behind but the spool.
        """
        mta = self.mta()
        mta.peer("example.org", GREY)
        client = mta.client()
        client.send("a@b.example", ["c@example.org"], CONTENT)
        mta.stop()
        self.assertIn("S: 421", "\n".join([f"S: {client.reply()}"]))
        mta.peer("example.org", MockSmtpServer())
        mta.start()
        mta.advance(minutes=10)
        self.assertEqual(len(mta.peer("example.org").messages), 1)

    def test_the_same_each_time(self) -> None:
        """
        What is by chance follows the seed, and nothing is shared.
        """

        def story(mta: Mta) -> str:
            mta.peer("example.org", GREY)
            mta.client().send("a@b.example", ["c@example.org"], CONTENT)
            mta.advance(days=1)
            return mta.story()

        several = [self.mta(seed=seed) for seed in (1, 1, 2)]
        first, second, third = map(story, several)
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)

    def test_what_modules_counted(self) -> None:
        """
        By module, since the last start.
        """

        mta = self.mta([Asking])
        mta.module("asking").services.count("one")
        mta.module("asking").services.count("three", 3)
        self.assertEqual(mta.counted("asking"), {"one": 1, "three": 3})
        self.assertEqual(mta.counted("another"), {})

    def test_web_servers(self) -> None:
        """
        By name or address, on all ports; they can be away, and come back, and outlast a restart.
        """
        mta = self.mta([Asking])
        server = mta.web("policy.example", (200, b"yes"))
        mta.web("192.0.2.80", lambda request: 404 if request.path == "/x" else 200)

        def code(url: str) -> int:
            asking = mta.module("asking").http.get(url)
            mta.advance(10)
            return int(self.successResultOf(asking).code)

        self.assertEqual(code("http://policy.example/a?b=c"), 200)
        self.assertEqual(code("http://policy.example:8000/"), 200)
        self.assertEqual([code("http://192.0.2.80/x"), code("http://192.0.2.80/y")], [404, 200])
        for name in ("policy.example", "192.0.2.80"):
            mta.down(name)
            self.assertEqual(code(f"http://{name}/"), 0)
            mta.up(name)
            self.assertEqual(code(f"http://{name}/"), 200)
        mta.down("policy.example", silent=True)
        self.assertEqual(code("http://policy.example/"), 0)
        mta.up("policy.example")
        mta.restart()
        self.assertEqual(code("http://policy.example/"), 200)
        self.assertEqual(server.requests[0].query, {"b": "c"})

    def test_other_servers(self) -> None:
        """
        Anything can serve in the world of an MTA, and its machine reaches it by address or name.
        """

        class Hello(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"hello")
                self.transport.loseConnection()

        class Hearing(Protocol):
            heard = b""

            def dataReceived(self, data: bytes) -> None:
                Hearing.heard += data

        mta = self.mta()
        mta.dns.a("policy.example", "192.0.2.80")
        mta.serve("192.0.2.80", 80, Factory.forProtocol(Hello))
        mta.serve("/run/x.sock", 0, Factory.forProtocol(Hello))
        for call, place in (("TCP", ("policy.example", 80)), ("TCP", ("192.0.2.80", 80)), ("UNIX", ("/run/x.sock",))):
            getattr(mta.reactor, f"connect{call}")(*place, ClientFactory.forProtocol(Hearing))
        mta.settle()
        self.assertEqual(Hearing.heard, b"hello" * 3)
