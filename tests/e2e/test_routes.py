"""
What becomes of mail when hosts are down, say no, or do not exist.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import smtplib

from tests.e2e.harness import SENDER, EndToEndTestCase, message
from tests.e2e.processes import wait_until
from tests.e2e.scripted import Close, says
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options
from tests.e2e.unbound import mail_zone, null_mx

YOU = "you@one.test"


class HostTests(EndToEndTestCase):
    """
    The order of MX hosts, and coming back later.
    """

    def test_the_preferred_host_gets_the_mail(self) -> None:
        empath, first, second = self.two_hosts()
        self.send(empath, [YOU])
        self.wait_arrived(first, YOU)
        self.assertEqual(second.stored, [])

    def test_mail_for_postmaster_without_a_domain_goes_to_the_configured_one(self) -> None:
        empath, first, _ = self.two_hosts({"delivery": {"dsn": {"postmaster": "boss@one.test"}}})
        self.send(empath, ["Postmaster"])
        self.wait_arrived(first, "boss@one.test")

    def test_the_second_host_gets_the_mail_when_the_first_is_down(self) -> None:
        empath, first, second = self.two_hosts()
        first.stop()
        self.send(empath, [YOU])
        self.wait_arrived(second, YOU)

    def test_the_second_host_gets_the_mail_when_the_first_greets_with_421(self) -> None:
        empath, first, second = self.two_hosts()
        first.script.on("CONNECT", says(421, "4.3.2 not now"))
        self.send(empath, [YOU])
        self.wait_arrived(second, YOU)

    def test_mail_waits_while_all_hosts_are_down_and_arrives_after_the_retry_delay(self) -> None:
        empath, first, second = self.two_hosts({"delivery": {"base_retry_delay": "2s"}})
        first.stop()
        second.stop()
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred")
        first.start()
        took = self.timed_arrival(first)
        self.assertGreater(took, 0.5)
        self.assertEqual(len(first.stored) + len(second.stored), 1)

    def timed_arrival(self, server: StoringSmtpServer) -> float:
        """
        Tell how long the mail took from now on.
        """
        return wait_until("arrived after the retry delay", lambda: bool(server.arrived(YOU)), 15)

    def test_451_then_250_delivers_once(self) -> None:
        empath, first, second = self.two_hosts()
        for server in (first, second):
            server.script.on("MAIL", says(451, "4.3.0 later"), times=1)
        queue_id = self.send(empath, [YOU])
        wait_until("arrived", lambda: bool(first.stored or second.stored))
        empath.wait_logged(queue_id, "status=sent")
        self.assertEqual(len(first.stored) + len(second.stored), 1)

    def test_451_to_one_recipient_delays_that_one_only(self) -> None:
        empath, first, _ = self.two_hosts()
        first.script.on("RCPT", says(451, "4.2.0 busy"), argument="late@", times=1)
        self.send(empath, ["soon@one.test", "late@one.test"])
        self.wait_arrived(first, "late@one.test")
        self.assertEqual([each.recipients for each in first.stored], [("soon@one.test",), ("late@one.test",)])

    def test_a_host_that_closes_after_the_final_dot_is_tried_again(self) -> None:
        empath, first, second = self.two_hosts()
        first.script.on("CONTENT", Close(), times=1)
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=sent")
        arrived = first.arrived(YOU) + second.arrived(YOU)
        self.assertIn(len(arrived), (1, 2))

    def test_a_dead_resolver_defers_and_its_return_delivers(self) -> None:
        peer = self.peer("127.0.0.11")
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"))
        dns.stop()
        empath = self.relaying(dns)
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred", "4.4.3")
        dns.resume()
        self.wait_arrived(peer, YOU)

    def test_a_changed_mx_is_followed_once_the_old_answer_has_expired(self) -> None:
        first, second = self.peer("127.0.0.11"), self.peer("127.0.0.12")
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"))
        self.instance = self.relaying(dns)
        self.send(self.instance, ["a@one.test"])
        self.wait_arrived(first, "a@one.test")
        dns.serve(mail_zone("one.test", "127.0.0.12"))
        wait_until("the old answer has expired", lambda: self.reaches(second), 20)

    def reaches(self, server: StoringSmtpServer) -> bool:
        """
        Send one more message, with a client that we did not write, and tell whether any has come to `server`.
        """
        with smtplib.SMTP("127.0.0.1", self.instance.port) as client:
            client.sendmail(SENDER, ["b@one.test"], message())
        return bool(server.stored)


class BounceTests(EndToEndTestCase):
    """
    What cannot be delivered is reported, once, in a form that a standard parser reads.
    """

    def relays(self) -> tuple[StoringSmtpServer, StoringSmtpServer]:
        """
        Start the sender's own server and that of one.test, with empath between.
        """
        origin, one = self.peer("127.0.0.21"), self.peer("127.0.0.11")
        zones = [*mail_zone("one.test", "127.0.0.11"), *mail_zone("origin.test", "127.0.0.21")]
        self.instance = self.relaying(self.dns(*zones, *null_mx("null.test")))
        return origin, one

    def report(self, origin: StoringSmtpServer) -> email.message.EmailMessage:
        """
        Wait for the report, check that it is the only one, and parse it.
        """
        stored = self.wait_arrived(origin, SENDER)
        wait_until("the log tells", lambda: bool(self.instance.logged(f"to=<{SENDER}>", "status=sent")))
        self.assertEqual(len(origin.stored), 1)
        self.assertEqual(stored.sender, "")
        parsed = email.message_from_bytes(stored.content or b"", policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        self.assertEqual(parsed.get_param("report-type"), "delivery-status")
        self.assertEqual(parsed.defects, [])
        return parsed

    def statuses(self, parsed: email.message.EmailMessage) -> list[email.message.Message]:
        """
        The blocks of the delivery-status part: the message's own, then one a recipient.
        """
        [part] = [each for each in parsed.walk() if each.get_content_type() == "message/delivery-status"]
        blocks = part.get_payload()
        assert isinstance(blocks, list)
        return [each for each in blocks if isinstance(each, email.message.Message) and each.keys()]

    def assert_one_failure(self, recipient: str, status: str) -> email.message.EmailMessage:
        """
        The report names `recipient` alone, with this enhanced status code.
        """
        parsed = self.report(self.origin)
        whole, *each = self.statuses(parsed)
        self.assertEqual(whole["Reporting-MTA"], "dns; mx.empath.test")
        self.assertEqual([block["Final-Recipient"].replace(" ", "") for block in each], [f"rfc822;{recipient}"])
        self.assertEqual((each[0]["Action"], each[0]["Status"]), ("failed", status))
        return parsed

    def test_550_for_one_of_three_recipients_delivers_two_and_reports_one(self) -> None:
        self.origin, one = self.relays()
        one.script.on("RCPT", says(550, "5.1.1 no such user here"), argument="b@")
        sent = message("three recipients")
        queue_id = self.send(self.instance, ["a@one.test", "b@one.test", "c@one.test"], sent)
        parsed = self.assert_one_failure("b@one.test", "5.1.1")
        self.assertEqual([each.recipients for each in one.stored], [("a@one.test", "c@one.test")])
        self.assert_relayed(one.stored[0].content, sent)
        self.assertIn("550", self.statuses(parsed)[1]["Diagnostic-Code"])
        self.assertIn("no such user here", self.statuses(parsed)[1]["Diagnostic-Code"])
        self.assertTrue(any("three recipients" in part.as_string() for part in parsed.walk()))
        self.assertTrue(self.instance.logged(queue_id, "to=<b@one.test>", "status=bounced", "dsn=5.1.1"))
        self.assertEqual(len(self.instance.logged(queue_id, "status=sent")), 2)

    def test_a_null_mx_is_reported_as_5_1_10(self) -> None:
        self.origin, _ = self.relays()
        self.send(self.instance, ["you@null.test"])
        self.assert_one_failure("you@null.test", "5.1.10")

    def test_an_unknown_domain_is_reported_as_5_1_2(self) -> None:
        self.origin, _ = self.relays()
        self.send(self.instance, ["you@nowhere.test"])
        self.assert_one_failure("you@nowhere.test", "5.1.2")

    def test_a_refusal_of_the_content_is_reported(self) -> None:
        self.origin, one = self.relays()
        one.script.on("CONTENT", says(554, "5.7.1 spam"))
        self.send(self.instance, [YOU])
        self.assert_one_failure(YOU, "5.7.1")

    def test_an_eight_bit_header_to_a_host_without_8bitmime_is_reported_and_never_sent_raw(self) -> None:
        self.origin, _ = self.relays()
        old = self.peer("127.0.0.31", Options(extensions=("PIPELINING",)), port=self.peer_port)
        self.instance.stop()
        self.instance.change({"delivery": {"domains": {"old.test": {"mx_override": f"127.0.0.31:{self.peer_port}"}}}})
        self.instance.start()
        self.send(self.instance, ["you@old.test"], "Subject: Grüße\r\n\r\nx\r\n".encode())
        self.assert_one_failure("you@old.test", "5.6.3")
        self.assertEqual(old.stored, [])

    def test_a_null_sender_gets_no_report(self) -> None:
        self.origin, one = self.relays()
        one.script.on("RCPT", says(550, "5.1.1 no"), argument=YOU)
        queue_id = self.send(self.instance, [YOU], sender="")
        self.instance.wait_logged(queue_id, "status=bounced")
        self.send(self.instance, ["after@one.test"])
        self.wait_arrived(one, "after@one.test")
        self.assertEqual(self.origin.stored, [])

    def test_what_never_goes_through_expires_and_is_reported(self) -> None:
        self.origin, one = self.relays()
        self.instance.stop()
        self.instance.change({"delivery": {"message_expiration": "3s", "expiry_interval": "1s"}})
        self.instance.start()
        one.script.on("RCPT", says(450, "4.2.0 busy"))
        queue_id = self.send(self.instance, [YOU])
        self.instance.wait_logged(queue_id, "status=expired")
        parsed = self.report(self.origin)
        self.assertEqual([each["Action"] for each in self.statuses(parsed)[1:]], ["failed"])
