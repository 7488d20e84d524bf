"""
Requirements on the ways back as a whole: an MTA in memory that rewrites reverse-paths, takes what comes back to them,
reads it, and stops sending to whom it is about.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import Config, Feedback, Srs, Suppression, Verp
from empath.config.units import Secret
from empath.errors import ConfigError, StorageError
from empath.mail.address import parse_address
from empath.mail.life_safety import AddressSuppressed, BounceReceived, ComplaintReceived
from empath.modules import IModule, Session, Transaction
from empath.policy import srs
from empath.policy.seal import Seals
from empath.report.suppression import Suppressed
from empath.testing import Client, MockSmtpServer, Mta

CONTENT = b"From: x@example.com\r\nSubject: hello\r\n\r\nworld\r\n"
CONFIG = """
[relay]
networks = ["192.0.2.0/24"]
domains = ["example.org"]
recipients = "any"
[delivery]
retry_jitter_factor = 0.0
[delivery.srs]
domain = "srs.example.org"
secret = "nobody knows this one"
[delivery.verp]
enabled = true
secret = "nor does anybody know this"
[delivery.feedback]
addresses = ["fbl@example.org", "complaints@feedback.example"]
[delivery.suppression]
enabled = true
[delivery.dsn]
postmaster = "postmaster@example.org"
[[modules]]
factory = "alias"
options = { aliases = { "club@example.org" = ["bob@example.net"] } }
"""
INSIDE, OUTSIDE = "192.0.2.7", "203.0.113.9"


def bounce(action: str = "failed", status: str = "5.1.1", text: str = "550 5.1.1 no such user") -> bytes:
    """
    Write a report about delivery.
    """
    return (
        "From: MAILER-DAEMON@mx.example.net\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\n\r\nIt did not work.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; somebody@inner.example.net\r\n"
        f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {text}\r\n\r\n--b--\r\n"
    ).encode()


def complaint(path: str, recipient: str = "") -> bytes:
    """
    Write a complaint (ARF).
    """
    named = f"Original-Rcpt-To: {recipient}\r\n" if recipient else ""
    return (
        "From: fbl@provider.example\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
        "--b\r\n\r\nAn abuse report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: abuse\r\nUser-Agent: Provider/1\r\nVersion: 1\r\n{named}\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nReturn-Path: <{path}>\r\nSubject: hello\r\n\r\nworld\r\n--b--\r\n"
    ).encode()


class ReturnsCase(SynchronousTestCase):
    """
    example.org is ours, example.net and example.com are others'.
    """

    config = CONFIG

    def setUp(self) -> None:
        self.mta = Mta(config=self.config)
        self.addCleanup(self.mta.stop)
        for domain in ("example.net", "example.com"):
            self.mta.peer(domain)

    def send(self, sender: str, recipient: str, content: bytes = CONTENT, peer: str = OUTSIDE) -> Client:
        """
        Send one message, and let it arrive.
        """
        client = self.mta.client(peer)
        client.send(sender, [recipient], content)
        self.mta.advance(1)
        return client

    def rcpt(self, sender: str, recipient: str, peer: str = OUTSIDE) -> str:
        """
        Tell the reply to RCPT.
        """
        client = self.mta.client(peer)
        client.connect()
        client.command("EHLO client.example")
        client.command(f"MAIL FROM:<{sender}>")
        reply = client.command(f"RCPT TO:<{recipient}>")
        client.close()
        return reply

    def left(self, domain: str) -> list[tuple[str, tuple[str, ...]]]:
        """
        Tell sender and recipients of what came to a domain.
        """
        return [(each.sender, each.recipients) for each in self.mta.peer(domain).messages]

    def told(self, kind: type[Any]) -> list[Any]:
        """
        Give the events of a kind.
        """
        return [event for event in self.mta.events if isinstance(event, kind)]

    def listed(self) -> list[Suppressed]:
        """
        Give what is on the suppression list.
        """
        suppression = self.mta.service.outgoing.returning.suppression
        return self.successResultOf(Deferred.fromCoroutine(suppression.entries()))

    def change(self, **changes: object) -> None:
        """
        Use another [delivery].
        """
        config: Config = self.mta.service.config
        delivery = attrs.evolve(config.delivery, **changes)  # type: ignore[arg-type]  # as the test says
        self.mta.service.reconfigure(attrs.evolve(config, delivery=delivery))
        self.mta.settle()


class ForwardingTests(ReturnsCase):
    """
    SRS.
    """

    def forwarded(self, sender: str = "eve@example.com") -> str:
        """
        Have mail forwarded; tells with which reverse-path it left.
        """
        self.send(sender, "club@example.org")
        ((path, recipients),) = self.left("example.net")
        self.assertEqual(recipients, ("bob@example.net",))
        return path

    def test_a_bounce_finds_its_sender(self) -> None:
        """
        Forwarded mail leaves in our name, and a bounce of it goes to the sender, with the null reverse-path.
        """
        path = self.forwarded()
        self.assertRegex(path, r"^SRS0=.*=example\.com=eve@srs\.example\.org$")
        self.send("", path, bounce())
        self.assertEqual(self.left("example.com"), [("", ("eve@example.com",))])

    def test_a_long_sender(self) -> None:
        """
        A sender too long to be rewritten is remembered, over a restart, too.
        """
        sender = f"{'e' * 60}@example.com"
        path = self.forwarded(sender)
        self.assertTrue(path.startswith("SRSK="))
        self.mta.restart()
        self.send("", path, bounce())
        self.assertEqual(self.left("example.com"), [("", (sender,))])

    def test_no_open_relay(self) -> None:
        """
        Other mail than bounces, addresses that we never made, old ones, and any others in the domain are refused.
        """
        path = self.forwarded()
        self.assertTrue(self.rcpt("spam@example.com", path).startswith("550 5.7.1 "))
        self.assertTrue(self.rcpt("", path.replace("eve", "eva")).startswith("550 5.1.1 "))
        self.assertTrue(self.rcpt("", "eve@srs.example.org").startswith("550 5.1.1 "))
        self.assertTrue(self.rcpt("", "eve@example.com").startswith("550 5.7.1 relay access denied"))
        self.assertTrue(self.rcpt("", "SRSK=AAAAAAAA=AA=AAAAAAAAAAAAAAAA@srs.example.org").startswith("550 5.1.1 "))
        self.assertTrue(self.rcpt("", path).startswith("250 "))
        self.mta.advance(days=23)
        self.assertTrue(self.rcpt("", path).startswith("550 5.1.1 "))

    def test_a_flood(self) -> None:
        """
        Whoever has such an address gets no more than a hundred bounces an hour through.
        """
        path = self.forwarded()
        replies = {self.rcpt("", path).split()[0] for _ in range(100)}
        self.assertEqual(replies, {"250"})
        self.assertTrue(self.rcpt("", path.lower()).startswith("450 4.7.1 "))
        self.mta.advance(hours=1)
        self.assertTrue(self.rcpt("", path).startswith("250 "))

    def test_mail_that_comes_by_twice(self) -> None:
        """
        What another forwarder sends back here, and goes on from here again, bounces to its sender all the same.
        """
        other = srs.Srs("srs.example.com", Seals(("theirs",)))
        self.forwarded()
        once = parse_address(self.left("example.net")[0][0])
        again = other.forward(once, self.mta.world.seconds())
        assert again is not None
        self.send(again.text, "club@example.org")
        path = self.left("example.net")[1][0]
        self.send("", path, bounce())
        self.assertEqual(self.left("example.com"), [("", ("eve@example.com",))])

    def test_the_postmaster(self) -> None:
        """
        The domain has one, who is ours.
        """
        self.send("eve@example.com", "postmaster@srs.example.org")
        self.assertEqual(self.left("example.org"), [("eve@example.com", ("postmaster@example.org",))])

    def test_what_stays_as_it_is(self) -> None:
        """
        Mail for our own domains, of our own senders and without a sender keeps its reverse-path, and so does mail that
        does not leave by SMTP.
        """
        self.send("eve@example.com", "alice@example.org")
        self.send("", "club@example.org", bounce())
        self.send("alice@example.org", "club@example.org")
        self.assertEqual([path for path, _ in self.left("example.org")], ["eve@example.com"])
        self.assertEqual([path for path, _ in self.left("example.net")], ["", "alice@example.org"])

    def test_storage_in_trouble(self) -> None:
        """
        While nobody can tell what a token stands for, the bounce is to come again.
        """
        path = self.forwarded(f"{'e' * 60}@example.com")
        returns = self.mta.service.outgoing.returning.returns
        self.patch(returns, "_storage", Broken())
        self.assertTrue(self.rcpt("", path).startswith("451 4.3.0 "))

    def test_switched_off_and_on(self) -> None:
        """
        A reload holds at once, with the older secret understood where it is named.
        """
        path = self.forwarded()
        self.change(
            srs=Srs(domain="srs.example.org", secret=Secret("new"), previous=(Secret("nobody knows this one"),))
        )
        self.assertTrue(self.rcpt("", path).startswith("250 "))
        self.change(srs=Srs())
        self.assertTrue(self.rcpt("", path).startswith("550 5.7.1 relay access denied"))
        self.send("eve@example.com", "club@example.org")
        self.assertEqual(self.left("example.net")[-1][0], "eve@example.com")
        self.assertRaises(ConfigError, self.change, srs=Srs(domain="no domain", secret=Secret("x")))


class Broken:
    """
    A storage that fails.
    """

    def get(self, key: str) -> Deferred[str | None]:
        """
        Fail.
        """
        return fail(StorageError("broken"))


class NamingTests(ReturnsCase):
    """
    VERP, and what comes back.
    """

    def sent(self, recipient: str = "bob@example.net") -> str:
        """
        Send mail of our own side; tells with which reverse-path it left.
        """
        self.send("alice@example.org", recipient, peer=INSIDE)
        return self.left(recipient.rpartition("@")[2])[-1][0]

    def test_each_recipient_has_a_transaction(self) -> None:
        """
        Each with a reverse-path that names it; recipients of our own get one together, as it was.
        """
        client = self.mta.client(INSIDE)
        own = ("al@example.org", "ann@example.org")
        client.send("alice@example.org", ["bob@example.net", "ben@example.net", *own], CONTENT)
        self.mta.advance(1)
        found = {recipients: path for path, recipients in self.left("example.net")}
        self.assertRegex(found["bob@example.net",], r"^alice\+bob=example\.net=[A-Z2-7]{10}@example\.org$")
        self.assertRegex(found["ben@example.net",], r"^alice\+ben=example\.net=[A-Z2-7]{10}@example\.org$")
        self.assertEqual(self.left("example.org"), [("alice@example.org", own)])

    def test_a_bounce_is_read_and_goes_on(self) -> None:
        """
        The sender gets it, everybody hears of it, and the address gets no more mail, over a restart, too.
        """
        path = self.sent()
        self.send("", path, bounce())
        self.assertEqual(self.left("example.org"), [("", ("alice@example.org",))])
        (event,) = self.told(BounceReceived)
        self.assertEqual(
            (str(event.address), event.action, event.category), ("bob@example.net", "failed", "bad-mailbox")
        )
        self.assertEqual([(each.address, each.why) for each in self.listed()], [("bob@example.net", "bad-mailbox")])
        for _ in range(2):
            reply = self.rcpt("alice@example.org", "BOB@example.net", INSIDE)
            self.assertEqual(reply, "550 5.1.1 the address is on the suppression list here: bad-mailbox")
            self.mta.restart()
        self.assertTrue(self.rcpt("", "alice@example.org").startswith("250 "))
        self.assertEqual(self.mta.queue(), [])

    def test_other_reports(self) -> None:
        """
        Delays and failures that say nothing about the address are told, and stop nothing.
        """
        path = self.sent()
        self.send("", path, bounce("delayed", "4.4.1", "no answer"))
        self.send("", path, bounce("failed", "5.7.1", "550 5.7.1 this is spam"))
        self.send("", path, CONTENT)
        self.assertEqual([event.action for event in self.told(BounceReceived)], ["delayed", "failed"])
        self.assertEqual(self.listed(), [])
        self.assertEqual(len(self.left("example.org")), 3)

    def test_mail_that_is_no_bounce(self) -> None:
        """
        What somebody writes to such an address goes to the sender, whose it is, and is not read.
        """
        path = self.sent()
        self.send("bob@example.net", path, bounce())
        self.assertEqual(self.left("example.org"), [("bob@example.net", ("alice@example.org",))])
        self.assertEqual(self.told(BounceReceived), [])

    def test_forged(self) -> None:
        """
        An address that we never made is a mailbox like any other, and what comes there is not read.
        """
        path = self.sent().replace("bob", "ben")
        self.send("", path, bounce())
        self.assertEqual(self.left("example.org"), [("", (path,))])
        self.assertEqual(self.told(BounceReceived), [])

    def test_nobody_reaches_the_reader(self) -> None:
        """
        The place where reports are read can be named by nobody.
        """
        for peer in (INSIDE, OUTSIDE):
            self.assertTrue(self.rcpt("", "complaint@empath-reports", peer).startswith("550 "))

    def test_nobody_is_there_to_be_written_to(self) -> None:
        """
        No mail claims to come from that place: reports about it would be read there, as bounces about whomever it
        names.
        """
        place = '"bounce/victim@example.com"@Empath-Reports'
        for peer in (INSIDE, OUTSIDE):
            client = self.mta.client(peer)
            client.connect()
            client.command("EHLO client.example")
            self.assertTrue(client.command(f"MAIL FROM:<{place}>").startswith("550 5.1.8 "))
            client.close()

    def test_a_long_recipient(self) -> None:
        """
        A recipient that does not fit is remembered.
        """
        long = f"{'b' * 60}@example.net"
        path = self.sent(long)
        self.send("", path, bounce())
        self.assertEqual([str(event.address) for event in self.told(BounceReceived)], [long])
        self.assertEqual(self.left("example.org"), [("", ("alice@example.org",))])

    def test_a_recipient_that_is_forgotten(self) -> None:
        """
        Then the bounce goes to the sender all the same.
        """
        path = self.sent(f"{'b' * 60}@example.net")
        self.mta.storages = type(self.mta.storages)(self.mta.world.seconds)
        self.mta.restart()
        self.send("", path, bounce())
        self.assertEqual(self.left("example.org"), [("", ("alice@example.org",))])
        self.assertEqual(self.told(BounceReceived), [])

    def test_storage_in_trouble(self) -> None:
        """
        While nobody can tell what a token stands for, the bounce is to come again; one that can be read but has no
        effect now waits for that.
        """
        kept, path = self.sent(f"{'b' * 60}@example.net"), self.sent()
        returning = self.mta.service.outgoing.returning
        self.patch(returning.returns, "_storage", Broken())
        self.assertTrue(self.rcpt("", kept).startswith("451 4.3.0 "))
        broken = self.patch(returning.suppression, "_storage", Broken())
        self.send("", path, bounce())
        self.assertEqual([each.status.value for each in self.mta.queue()], ["retry"])
        broken.restore()
        self.mta.advance(minutes=2)
        self.assertEqual([each.address for each in self.listed()], ["bob@example.net"])

    def test_what_cannot_be_read(self) -> None:
        """
        Whoever brought it hears neither of the delay nor of the end: where it was to be read is nobody's address.
        """
        path = self.sent()
        self.patch(self.mta.service.outgoing.returning.suppression, "_storage", Broken())
        self.send("mailer-daemon@example.com", path, bounce())
        self.mta.advance(days=6)
        self.assertEqual(self.left("example.org"), [("mailer-daemon@example.com", ("alice@example.org",))])
        self.assertEqual((self.left("example.com"), self.mta.queue("retry")), ([], []))

    def test_large_bounces(self) -> None:
        """
        A bounce that lies in a file is read as far as it takes.
        """
        self.send("", self.sent(), bounce() + b"x" * 70 * 1000 + b"\r\n" * 100_000)
        self.assertEqual(len(self.told(BounceReceived)), 1)

    def test_switched_off(self) -> None:
        """
        A reload holds at once.
        """
        path = self.sent()
        self.change(verp=Verp())
        self.assertEqual(self.sent(), "alice@example.org")
        self.send("", path, bounce())
        self.assertEqual(self.told(BounceReceived), [])


@implementer(IModule)
class Elsewhere:
    """
    A module that has all mail delivered by another route, and made out to be from the place where reports are read.
    """

    name = "elsewhere"

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        Redirect all of it.
        """
        transaction.redirect("filter.example")
        if transaction.reverse_path is not None and transaction.reverse_path.local == "claims":
            transaction.reverse_path = parse_address('"bounce/victim@example.com"@empath-reports')


class ModuleTests(ReturnsCase):
    """
    Where a module changes what it can.
    """

    config = CONFIG.replace("[[modules]]", '[[modules]]\nfactory = "tests.test_returns:Elsewhere"\n[[modules]]')

    def test_all_mail_goes_elsewhere(self) -> None:
        """
        The sender's copy of a bounce does; it is read here.
        """
        self.mta.peer("filter.example")
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        self.send("", self.left("filter.example")[0][0], bounce())
        self.assertEqual([str(event.address) for event in self.told(BounceReceived)], ["bob@example.net"])
        self.assertEqual(self.left("filter.example")[1:], [("", ("alice@example.org",))])

    def test_reports_of_our_own(self) -> None:
        """
        They are never read: what they say, we know, and of whom, the sender chose.
        """
        self.mta.peer("filter.example", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 no such user"))
        self.send("claims@example.com", "alice@example.org")
        self.mta.advance(1)
        self.assertEqual((self.told(BounceReceived), self.listed(), self.mta.queue()), ([], [], []))

    def test_forwarded_mail(self) -> None:
        """
        What comes back to it does not lead there.
        """
        self.mta.peer("filter.example")
        self.send("claims@example.com", "club@example.org")
        path = self.left("filter.example")[0][0]
        self.assertTrue(path.startswith("SRSK="))
        self.assertTrue(self.rcpt("", path).startswith("550 5.1.1 "))


class VerifyingTests(ReturnsCase):
    """
    Where recipients of ours are verified at the next hop.
    """

    config = CONFIG.replace('recipients = "any"', 'recipients = "verify"')

    def test_a_sender_who_takes_no_mail(self) -> None:
        """
        A bounce for a sender that nobody knows is read, and told to nobody; mail for it that is no bounce is refused.
        """
        self.mta.peer("example.org", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 who?", "no-reply@example.org"))
        self.send("no-reply@example.org", "bob@example.net", peer=INSIDE)
        path = self.left("example.net")[0][0]
        self.send("", path, bounce())
        self.assertEqual([str(event.address) for event in self.told(BounceReceived)], ["bob@example.net"])
        self.assertEqual((self.left("example.org"), self.mta.queue()), ([], []))
        self.assertTrue(self.rcpt("bob@example.net", path).startswith("550 5.1.1 "))

    def test_everybody_else(self) -> None:
        """
        Senders that are known get their bounces, and forwarded senders theirs.
        """
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        self.send("eve@example.com", "club@example.org")
        for path, _ in self.left("example.net"):
            self.send("", path, bounce())
        self.assertEqual(self.left("example.org"), [("", ("alice@example.org",))])
        self.assertEqual(self.left("example.com"), [("", ("eve@example.com",))])


class ComplaintTests(ReturnsCase):
    """
    ARF.
    """

    def test_a_complaint_by_whoever_got_the_mail(self) -> None:
        """
        The reverse-path in the returned message proves who complains; he gets no more mail.
        """
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        path = self.left("example.net")[0][0]
        self.send("fbl@provider.example", "FBL@example.org", complaint(path))
        (event,) = self.told(ComplaintReceived)
        self.assertEqual((str(event.address), event.kind, event.reporter), ("bob@example.net", "abuse", "Provider/1"))
        self.assertEqual([(each.address, each.why) for each in self.listed()], [("bob@example.net", "complaint")])
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("550 5.7.1 "))
        self.assertEqual(self.left("example.org"), [("fbl@provider.example", ("FBL@example.org",))])

    def test_a_complaint_that_anybody_could_have_written(self) -> None:
        """
        It is told, and stops nobody's mail; who hands it in from our own side is believed.
        """
        forged = complaint("alice@example.org", "bob@example.net")
        self.send("fbl@provider.example", "complaints@feedback.example", forged)
        self.assertEqual([event.address for event in self.told(ComplaintReceived)], [None])
        self.assertEqual(self.listed(), [])
        self.send("fbl@provider.example", "complaints@feedback.example", forged, INSIDE)
        self.assertEqual([each.address for each in self.listed()], ["bob@example.net"])

    def test_a_long_recipient(self) -> None:
        """
        A token in the reverse-path names him; one that is forgotten nobody.
        """
        long = f"{'b' * 60}@example.net"
        self.send("alice@example.org", long, peer=INSIDE)
        path = self.left("example.net")[0][0]
        self.send("fbl@provider.example", "fbl@example.org", complaint(path))
        self.mta.storages = type(self.mta.storages)(self.mta.world.seconds)
        self.mta.restart()
        self.send("fbl@provider.example", "fbl@example.org", complaint(path))
        self.assertEqual([str(event.address) for event in self.told(ComplaintReceived)], [long, "None"])

    def test_other_mail(self) -> None:
        """
        What is no report goes to the mailbox, if there is one, and says nothing.
        """
        self.send("eve@example.com", "fbl@example.org")
        self.assertEqual(self.told(ComplaintReceived), [])
        self.assertEqual(len(self.left("example.org")), 1)
        self.assertEqual(self.mta.queue(), [])

    def test_not_wanted(self) -> None:
        """
        Complaints stop nothing where they are not to, and where nobody keeps a list; nor does what is no spam.
        """
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        path = self.left("example.net")[0][0]
        self.send("f@provider.example", "fbl@example.org", complaint(path).replace(b"Type: abuse", b"Type: not-spam"))
        self.change(suppression=Suppression(enabled=True, complaints=False))
        self.send("f@provider.example", "fbl@example.org", complaint(path))
        self.change(suppression=Suppression())
        self.send("f@provider.example", "fbl@example.org", complaint(path))
        self.assertEqual(len(self.told(ComplaintReceived)), 3)
        self.assertEqual(self.listed(), [])
        self.change(feedback=Feedback())
        self.send("f@provider.example", "fbl@example.org", complaint(path))
        self.assertEqual(len(self.told(ComplaintReceived)), 3)


class SuppressionTests(ReturnsCase):
    """
    The list, in sessions and before attempts.
    """

    def setUp(self) -> None:
        super().setUp()
        self.list = self.mta.service.outgoing.returning.suppression

    def add(self, address: str, why: str = "by hand") -> bool:
        """
        Put an address on the list.
        """
        return self.successResultOf(Deferred.fromCoroutine(self.list.add(parse_address(address), why)))

    def test_fed_by_failures(self) -> None:
        """
        Who is refused for good as unknown gets nothing the next time; who is refused for what is in the mail does.
        """
        self.mta.peer("example.net", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 no such user"))
        self.mta.peer("example.com", MockSmtpServer().with_rcpt_to_response(550, "5.7.1 looks like spam"))
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        self.send("alice@example.org", "eve@example.com", peer=INSIDE)
        (event,) = self.told(AddressSuppressed)
        self.assertEqual((event.address, event.suppressed, event.why), ("bob@example.net", True, "bad-mailbox"))
        self.assertEqual(len(self.listed()), 1)
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("550 5.1.1 "))
        self.assertTrue(self.rcpt("alice@example.org", "eve@example.com", INSIDE).startswith("250 "))

    def test_outside_mail_feeds_nothing(self) -> None:
        """
        What strangers have forwarded puts nobody on the list, and the list does not stop it.
        """
        self.mta.peer("example.net", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 no such user"))
        self.send("eve@example.com", "club@example.org")
        self.assertEqual(self.listed(), [])
        self.add("bob@example.net")
        self.mta.peer("example.net", MockSmtpServer())
        self.send("eve@example.com", "club@example.org")
        self.assertEqual(len(self.left("example.net")), 1)

    def test_before_an_attempt(self) -> None:
        """
        Mail that was accepted before is not sent to whom the list has got meanwhile; the others get it.
        """
        self.mta.down("example.net")
        client = self.mta.client(INSIDE)
        client.send("alice@example.org", ["bob@example.net", "ben@example.net"], CONTENT)
        self.mta.advance(1)
        self.add("bob@example.net", "complaint")
        self.mta.up("example.net")
        self.mta.advance(hours=1)
        self.assertEqual([recipients for _, recipients in self.left("example.net")], [("ben@example.net",)])
        ((sender, _),) = self.left("example.org")
        self.assertEqual(sender, "")
        report = b" ".join(self.mta.peer("example.org").messages[0].content.split())
        self.assertIn(b"suppression list here: complaint", report)

    def test_nobody_left(self) -> None:
        """
        Where all recipients are on the list no host is troubled.
        """
        self.mta.down("example.net")
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        self.add("bob@example.net")
        self.mta.up("example.net")
        before = len(self.mta.peer("example.net").commands)
        self.mta.advance(hours=1)
        self.assertEqual(len(self.mta.peer("example.net").commands), before)
        self.assertEqual(self.mta.queue(), [])

    def test_taken_off(self) -> None:
        """
        Whoever is taken off the list gets mail again.
        """
        self.assertTrue(self.add("bob@example.net"))
        self.assertFalse(self.add("Bob@example.net"))
        remove = Deferred.fromCoroutine(self.list.remove(parse_address("BOB@example.net"), "he asked"))
        self.assertTrue(self.successResultOf(remove))
        again = Deferred.fromCoroutine(self.list.remove(parse_address("bob@example.net")))
        self.assertFalse(self.successResultOf(again))
        self.assertEqual([event.suppressed for event in self.told(AddressSuppressed)], [True, False])
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("250 "))

    def test_for_a_time(self) -> None:
        """
        Where a duration is set, an address is on the list for so long.
        """
        self.change(suppression=Suppression(enabled=True, duration=3600.0))  # type: ignore[arg-type]  # seconds
        self.add("bob@example.net")
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("550 "))
        self.mta.advance(hours=1)
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("250 "))

    def test_off(self) -> None:
        """
        A list that is not in use stops nobody, and is still there.
        """
        self.add("bob@example.net")
        self.change(suppression=Suppression())
        self.assertTrue(self.rcpt("alice@example.org", "bob@example.net", INSIDE).startswith("250 "))
        self.send("alice@example.org", "bob@example.net", peer=INSIDE)
        self.assertEqual(len(self.left("example.net")), 1)
        self.assertEqual([each.address for each in self.listed()], ["bob@example.net"])
