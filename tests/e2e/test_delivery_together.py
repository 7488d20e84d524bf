"""
All that a sender who takes care has switched on, at the same time.
"""

from __future__ import annotations

from smtplib import SMTPSenderRefused

from tests.e2e.processes import wait_until
from tests.e2e.scripted import Close, says
from tests.e2e.sending import ALICE, OUTSIDE, SendingCase, bounce, mail, said
from tests.e2e.signed_mail import DOMAIN

TICKETS = f"support@tickets.{DOMAIN}"
GONE = says(550, "5.1.1 no such mailbox")
LATER = says(451, "4.2.1 later")
KEY = "Idempotency-Key: order-1"


class TogetherTests(SendingCase):
    """
    One empath, as examples/sender.toml has it.
    """

    def test_what_waits_is_told_once_and_sent_once(self) -> None:
        """
        Over SMTP and to a webhook, under a key, with kills between: one report of delay, no copy, each
        recipient's own reverse-path at every attempt.
        """
        self.two.script.on("RCPT", LATER)
        self.hook.answers = lambda _: (503, {}, b"")
        empath = self.start(dsn={"delay_after": "2s"})
        content = mail("order", KEY)
        recipients = ["a@one.test", "b@two.test", TICKETS]
        first = self.hand_in(content, *recipients)
        [(path, arrived)] = self.came("a@one.test")
        self.assert_signed(arrived)
        self.assertRegex(path, rf"alice\+a=one\.test=[A-Z2-7]+@{DOMAIN}")
        self.assertNotIn(b"Idempotency", arrived)
        [delay] = self.reports(1)
        told = {fields["Final-Recipient"]: fields["Action"] for fields in said(delay)}
        self.assertEqual(told, {"rfc822; b@two.test": "delayed", f"rfc822; {TICKETS}": "delayed"})
        empath.kill()
        empath.start()
        self.assertEqual(self.hand_in(content, *recipients), first)
        self.two.script.clear()
        self.hook.answers = lambda _: (200, {}, b"")
        [(path, arrived)] = self.came("b@two.test", server=self.two)
        self.assert_signed(arrived)
        self.assertIn(f"MAIL FROM:<{path}>".encode(), b"\n".join(self.two.commands[:5]))
        empath.wait_logged(first, f"to=<{TICKETS}>", "status=sent")
        self.assertEqual(len({request.fields["webhook-id"] for request in self.hook.requests}), 1)
        self.assertTrue(all(request.signed for request in self.hook.requests))
        self.reports(1)
        self.came("a@one.test")

    def test_an_alias_of_which_one_is_gone(self) -> None:
        """
        The sender hears that it was expanded, and who failed, signed; the second time the list knows it, and no host
        is asked. Forwarded mail from outside neither heeds the list nor fills it, and its report goes to its sender.
        """
        self.one.script.on("RCPT", GONE, argument="gone")
        self.start()
        club = f"club@{DOMAIN}"
        self.hand_in(mail("first"), club, notify={club: "SUCCESS,FAILURE"})
        told = sorted(
            (fields for each in self.reports(2) for fields in said(each)), key=lambda fields: fields["Action"]
        )
        self.assertEqual([fields["Action"] for fields in told], ["expanded", "failed"])
        self.assertEqual(told[1]["Original-Recipient"], f"rfc822; {club}")
        self.assertEqual(told[1]["X-Empath-Category"], "bad-mailbox")
        for _, content in self.boxes.kept:
            self.assert_signed(content)
        asked = len([line for line in self.one.commands if b"RCPT" in line and b"gone" in line])
        self.sender.wait_logged("<gone@one.test> gets no more mail: bad-mailbox")
        self.hand_in(mail("second"), club)
        self.assertIn("suppression list", said(self.reports(3)[2])[0]["Diagnostic-Code"])
        self.came("far@one.test", 2)
        self.assertEqual(len([line for line in self.one.commands if b"RCPT" in line and b"gone" in line]), asked)
        self.assertIn("550 5.1.1 the address is on the suppression list", self.refused("gone@one.test"))
        self.from_outside(OUTSIDE, f"lost@{DOMAIN}", mail("third", author=OUTSIDE))
        [(path, report)] = self.came(OUTSIDE, server=self.two)
        self.assertEqual(path, "")
        self.assert_signed(report)
        self.assertIn(b"MAIL FROM:<SRS0=", b"\n".join(self.one.commands))
        self.assertEqual(
            self.counted(
                'delivery_bounces{category="bad-mailbox"}',
                'delivery_addresses_suppressed{why="bad-mailbox"}',
                "delivery_reports_queued",
            ),
            {
                'delivery_bounces{category="bad-mailbox"}': 3,
                'delivery_addresses_suppressed{why="bad-mailbox"}': 1,
                "delivery_reports_queued": 4,
            },
        )

    def test_a_host_that_goes_away_after_the_final_dot(self) -> None:
        """
        The same mail comes again, by the same reverse-path, signed; it is counted once as doubtful, and once as
        possible duplicate. A bounce to that reverse-path ends it for the recipient.
        """
        self.one.script.on("CONTENT", Close(), 1)
        empath = self.start()
        name = self.hand_in(mail("twice", KEY), "a@one.test")
        (first, one), (second, other) = self.came("a@one.test", 2)
        self.assertEqual((first, one.partition(b"\r\nReceived:")[2]), (second, other.partition(b"\r\nReceived:")[2]))
        self.assert_signed(other)
        empath.wait_logged(name, "status=sent", "possible duplicate")
        self.assertEqual(
            self.counted("delivery_doubtful", "delivery_possible_duplicates"),
            {"delivery_doubtful": 1, "delivery_possible_duplicates": 1},
        )
        self.assertEqual(self.from_outside("", second, bounce(second)).code, 250)
        empath.wait_logged("bounce received: to=<a@one.test>", "category=bad-mailbox")
        self.assertIn("550 5.1.1", self.refused("a@one.test"))
        self.reports(1)

    def test_a_stopped_sender_and_an_operator(self) -> None:
        """
        What the stop holds is not told of as delayed, goes on with the release, and not what an operator held; new
        settings meanwhile change the path it leaves by. The key of what is refused is free.
        """
        self.one.script.on("RCPT", LATER)
        empath = self.start(dsn={"delay_after": "2s"})
        held = self.hand_in(mail("held"), "held@one.test")
        stopped = self.hand_in(mail("stopped"), "stopped@one.test")
        for name in (held, stopped):
            empath.wait_logged(name, "status=deferred")
        empath.ask(f"service.queue.controls.hold(Selection(queue_id={held!r}))")
        empath.wait_logged(held, "held: domain=one.test")
        empath.ask("service.safety.senders.stop('login:robot', 'stolen')")
        empath.wait_logged(stopped, "held: domain=one.test why=(the sender is stopped)")
        with self.assertRaises(SMTPSenderRefused) as refusal:
            self.hand_in(mail("refused", KEY), "new@one.test")
        self.assertEqual(refusal.exception.smtp_code, 450)
        empath.kill()
        self.one.script.clear()
        empath.change({"delivery": {"verp": {"enabled": False}}})
        empath.start()
        empath.ask("service.safety.senders.release('login:robot')")
        [(path, content)] = self.came("stopped@one.test")
        self.assertEqual(path, ALICE)
        self.assert_signed(content)
        empath.reload({"delivery": {"verp": {"enabled": True}}})
        empath.wait_logged("in use from now on: delivery.verp.enabled")
        self.hand_in(mail("refused", KEY), "new@one.test")
        self.assertIn("alice+new=", self.came("new@one.test")[0][0])
        self.assertEqual((self.one.arrived("held@one.test"), self.boxes.taken_for(ALICE)), ([], 0))
        empath.ask(f"service.queue.controls.release(Selection(queue_id={held!r}))")
        self.assertIn("alice+held=", self.came("held@one.test")[0][0])
        wait_until("nothing is left", lambda: empath.ask("service.queue.active") == 0)
