"""
Mail that is delivered by LMTP: to Dovecot, and to a server that goes away in the middle.
"""

from __future__ import annotations

import email
import email.policy
import smtplib
from email.message import EmailMessage
from typing import Any

from tests.e2e.dialogue import Dialogue
from tests.e2e.dovecot import Dovecot
from tests.e2e.harness import SENDER, EndToEndTestCase, message, smarthost
from tests.e2e.lmtp_peer import GONE, LmtpPeer
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.sameness import relayed_difference
from tests.e2e.scripted import Close, Hang
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options

YOU = "you@one.test"
TWO = "two@one.test"
FULL = "full@one.test"
LARGE = b"From: <sender@origin.test>\r\nSubject: large\r\n\r\n" + (b".x" * 38 + b"\r\n") * 20_000
QUICK: Settings = {"delivery": {"base_retry_delay": "1s", "retry_jitter_factor": 0.0}}


class LmtpCase(EndToEndTestCase):
    """
    one.test is delivered by LMTP, reports to the sender go to a storing server.
    """

    def to(self, settings: Settings | None = None, **domain: Any) -> Empath:
        """
        Start empath with this table for one.test.
        """
        self.reports = self.peer("127.0.0.11")
        table = {"delivery": {"domains": {"one.test": {"strategy": "lmtp", **domain}}}}
        instance = self.empath(merged(merged(smarthost(self.reports), table), settings or {}))
        instance.start()
        return instance

    def wanting_reports(self, empath: Empath, *recipients: str) -> None:
        """
        Send a message whose sender wants to know of success.
        """
        with smtplib.SMTP("127.0.0.1", empath.port, "client.test", timeout=30) as client:
            client.ehlo()
            client.sendmail(SENDER, recipients, message(), (), ("NOTIFY=SUCCESS,FAILURE",))

    def report(self) -> EmailMessage:
        """
        Wait for the report to the sender.
        """
        content = self.wait_arrived(self.reports, SENDER).content or b""
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def actions(self, report: EmailMessage) -> list[tuple[str, str]]:
        """
        Tell the Action and Status of each recipient in a report.
        """
        [status] = [part for part in report.walk() if part.get_content_type() == "message/delivery-status"]
        blocks = status.get_payload()
        assert isinstance(blocks, list)
        return [(block["Action"], block["Status"]) for block in blocks[1:]]  # type: ignore[index]


class DovecotTests(LmtpCase):
    """
    Dovecot keeps the mailboxes of three recipients, one of which is nearly full.
    """

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.dovecot = Dovecot(self.folder / "dovecot", self.port, {YOU: 0, TWO: 0, FULL: 100})
        self.addCleanup(self.dovecot.stop)
        self.dovecot.start()

    def wait_kept(self, recipient: str, count: int = 1) -> list[bytes]:
        """
        Wait for mail in a mailbox.
        """
        wait_until(f"mail for {recipient}", lambda: len(self.dovecot.kept(recipient)) >= count)
        return [each.content for each in self.dovecot.kept(recipient)]

    def test_small_and_large_mail_arrives_as_it_was_sent(self) -> None:
        """
        Content arrives whole by socket and port, in one piece and streamed, with its reverse-path.
        """
        places: tuple[dict[str, Any], ...] = (
            {"path": str(self.dovecot.socket)},
            {"mx_override": f"127.0.0.1:{self.port}"},
        )
        for count, domain in enumerate(places):
            empath = self.to(**domain)
            for content in (message(), LARGE):
                self.send(empath, [YOU], content)
            every = self.wait_kept(YOU, 2 * count + 2)
            for sent in (message(), LARGE):  # whichever came first
                same = [each for each in every if not relayed_difference(each, sent.replace(b"\r\n", b"\n"))]
                self.assertEqual(len(same), count + 1)
            self.assertEqual({each.sender for each in self.dovecot.kept(YOU)}, {SENDER})
            empath.stop()
            self.reports.stop()

    def test_each_recipient_has_a_verdict(self) -> None:
        """
        One copy goes to Dovecot for all; who has no room for it bounces alone, and success is told as delivery.
        """
        empath = self.to(path=str(self.dovecot.socket))
        self.wanting_reports(empath, YOU, FULL, TWO)
        self.wait_kept(YOU)
        self.wait_kept(TWO)
        found = sorted(self.actions(self.report()))
        self.assertEqual(found, [("delivered", "2.0.0"), ("delivered", "2.0.0"), ("failed", "5.2.2")])
        self.assertEqual(self.dovecot.kept(FULL), [])
        socket = f"relay=localhost[{self.dovecot.socket}], "
        self.assertEqual(len(empath.wait_logged(f"to=<{YOU}>", socket, "status=sent")), 1)

    def test_unknown_recipients_are_refused_in_the_session(self) -> None:
        """
        With recipients = "verify" Dovecot says who there is.
        """
        ours = {"relay": {"domains": ["one.test"], "networks": []}}
        empath = self.to(ours, path=str(self.dovecot.socket))
        with Dialogue(empath.port) as client:
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}>")
            self.assertEqual([client.say(f"RCPT TO:<{each}>").code for each in (YOU, "no@one.test")], [250, 550])

    def test_mail_waits_for_a_server_that_is_down(self) -> None:
        """
        A socket that is gone defers mail until it is back.
        """
        empath = self.to(QUICK, path=str(self.dovecot.socket))
        self.dovecot.stop()
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred", "4.4.1 cannot connect")
        self.dovecot.start()
        self.wait_kept(YOU)
        empath.wait_logged(queue_id, "status=sent")
        self.assertEqual(len(self.dovecot.kept(YOU)), 1)

    def test_many_share_connections(self) -> None:
        """
        A hundred messages need no hundred connections.
        """
        empath = self.to(path=str(self.dovecot.socket))
        with smtplib.SMTP("127.0.0.1", empath.port, timeout=30) as client:
            for _ in range(100):
                client.sendmail(SENDER, [YOU], message())
        self.assertEqual(len(self.wait_kept(YOU, 100)), 100)
        self.assertLess(self.dovecot.log().count("Connect from"), 30)


class EmpathTests(LmtpCase):
    """
    One instance hands its mail to another one's LMTP listener, which offers all that we know.
    """

    def test_all_of_it(self) -> None:
        """
        Binary content goes in chunks, each recipient is answered, and the second one, which knows DSN, tells of
        success: once.
        """
        socket = self.folder / "second.lmtp"
        server = self.peer("127.0.0.12", Options((*DEFAULT_EXTENSIONS, "CHUNKING", "BINARYMIME")))
        second = self.empath(merged(smarthost(server), {"relay": {"domains": ["one.test"]}}), "second")
        second.listen(endpoint=f"unix:{socket}:mode=666", kind="lmtp")
        second.start()
        first = self.to(path=str(socket))
        content = LARGE + b"a NUL: \x00\r\n"
        with smtplib.SMTP("127.0.0.1", first.port, "client.test", timeout=30) as client:
            client.ehlo()
            client.mail(SENDER, ["BODY=BINARYMIME", f"SIZE={len(content)}"])
            for each in (YOU, TWO):
                client.rcpt(each, ["NOTIFY=SUCCESS"])
            client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            self.assertEqual(client.getreply()[0], 250)
        arrived = self.wait_arrived(server, TWO)
        self.assertEqual(sorted(arrived.recipients), sorted([TWO, YOU]))
        self.assertTrue((arrived.content or b"").endswith(content))
        [line] = first.wait_logged(f"to=<{YOU}>", f"relay=localhost[{socket}], ", "status=sent")
        self.assertIn("2.0.0", line)
        report = wait_until("the second one's report", lambda: bool(server.arrived(SENDER)))
        self.assertGreater(report, 0)
        self.assertEqual(self.reports.arrived(SENDER), [])


class DoubtTests(LmtpCase):
    """
    Peers that take mail and are gone before they say so.
    """

    def metric(self, empath: Empath, name: str) -> float:
        """
        Read a counter.
        """
        [line] = [each for each in empath.get("/metrics", metrics=True)[1].splitlines() if each.startswith(name + " ")]
        return float(line.split()[1])

    def assert_possible_duplicate(self, empath: Empath, queue_id: str, recipient: str) -> None:
        """
        The doubt is told when it arises, and when the mail has gone out once more.
        """
        to = f"to=<{recipient}>"
        self.assertEqual(len(empath.wait_logged(queue_id, to, "status=deferred", "possible duplicate")), 1)
        self.assertEqual(len(empath.wait_logged(queue_id, to, "status=sent", "possible duplicate")), 1)
        self.assertEqual(self.metric(empath, "empath_delivery_doubtful_total"), 1)
        self.assertEqual(self.metric(empath, "empath_delivery_possible_duplicates_total"), 1)

    def test_lmtp(self) -> None:
        """
        Those who were answered have their mail once; the one who was not gets it again, as a possible duplicate.
        """
        path = self.folder / "lmtp"
        peer = LmtpPeer(path, [b"250 2.0.0 kept", b"550 5.7.1 not this", GONE])
        self.addCleanup(peer.stop)
        empath = self.to(QUICK, path=str(path))
        queue_id = self.send(empath, [YOU, FULL, TWO])
        self.assert_possible_duplicate(empath, queue_id, TWO)
        self.assertEqual([peer.taken_for(each) for each in (YOU, FULL, TWO)], [1, 0, 2])
        self.assertEqual(len(empath.wait_logged(queue_id, f"to=<{FULL}>", "status=bounced")), 1)
        self.assertEqual(empath.logged(f"to=<{YOU}>", "possible duplicate"), [])

    def test_smtp(self) -> None:
        """
        A server that keeps a message and closes instead of saying so gets it again, once; the other hosts do not.
        """
        empath, first, second = self.two_hosts(QUICK)
        first.script.on("CONTENT", Close(), times=1)
        queue_id = self.send(empath, [YOU])
        self.assert_possible_duplicate(empath, queue_id, YOU)
        self.assertEqual((len(first.arrived(YOU)), second.arrived(YOU)), (2, []))

    def test_stopped_meanwhile(self) -> None:
        """
        Who is stopped while the answer is waited for notes the doubt, and sends again after the next start.
        """
        empath, first, second = self.two_hosts(merged(QUICK, {"delivery": {"shutdown_timeout": "1s"}}))
        first.script.on("CONTENT", Hang(), times=1)
        queue_id = self.send(empath, [YOU])
        wait_until("the content went", lambda: b"DATA" in first.commands)
        self.assertEqual(empath.stop(), 0)
        empath.wait_logged(queue_id, "status=deferred", "cut short", "possible duplicate")
        empath.start()
        empath.wait_logged(queue_id, "status=sent", "possible duplicate")
        self.assertEqual(len(first.arrived(YOU)) + len(second.arrived(YOU)), 1)

    def test_told_after_a_crash(self) -> None:
        """
        The doubt is on disk with the outcome: a crash between the attempts does not make it forgotten.
        """
        settings: Settings = {"delivery": {"base_retry_delay": "2s", "retry_jitter_factor": 0.0}}
        empath, first, _ = self.two_hosts(settings)
        first.script.on("CONTENT", Close(), times=1)
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred", "possible duplicate")
        empath.kill()
        empath.start()
        empath.wait_logged(queue_id, "status=sent", "possible duplicate")
        self.assertEqual(len(first.arrived(YOU)), 2)
