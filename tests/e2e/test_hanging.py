"""
Peers that fall silent or talk nonsense at each step: the mail goes to the next host, or waits; nothing is lost.
"""

from __future__ import annotations

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.scripted import Action, Close, Hang, Say

YOU = "you@one.test"
SHORT = {
    "connect": "1s", "greeting": "1s", "ehlo": "1s", "starttls": "1s", "mail_from": "1s", "rcpt_to": "1s",
    "data": "1s", "data_block": "1s", "data_termination": "1s", "quit": "1s",
}  # fmt: skip


class TroubleTests(EndToEndTestCase):
    """
    The preferred host misbehaves for ever, the second is well.
    """

    def check(self, step: str, action: Action) -> None:
        """
        The mail arrives at the second host, or at the first once it behaves; exactly once where it was taken.
        """
        empath, first, second = self.two_hosts({"delivery": {"timeouts": SHORT}})
        first.script.on(step, action)
        queue_id = self.send(empath, [YOU])
        if empath.wait_logged(queue_id, "status=") and not empath.logged(queue_id, "status=sent"):
            first.script.clear()
        empath.wait_logged(queue_id, "status=sent", seconds=20)
        wait_until("arrived", lambda: bool(first.arrived(YOU) or second.arrived(YOU)))
        self.assertEqual(len(first.arrived(YOU)) + len(second.arrived(YOU)), 1)
        self.assertTrue(empath.alive())

    def test_hanging_before_the_greeting(self) -> None:
        self.check("CONNECT", Hang())

    def test_hanging_at_ehlo(self) -> None:
        self.check("EHLO", Hang())

    def test_hanging_at_mail(self) -> None:
        self.check("MAIL", Hang())

    def test_hanging_at_rcpt(self) -> None:
        self.check("RCPT", Hang())

    def test_hanging_at_data(self) -> None:
        self.check("DATA", Hang())

    def test_hanging_at_the_final_dot(self) -> None:
        self.check("CONTENT", Hang())

    def test_hanging_at_quit_delays_nothing(self) -> None:
        self.check("QUIT", Hang())

    def test_closing_before_the_greeting(self) -> None:
        self.check("CONNECT", Close())

    def test_closing_at_ehlo(self) -> None:
        self.check("EHLO", Close())

    def test_closing_at_mail(self) -> None:
        self.check("MAIL", Close())

    def test_closing_at_rcpt(self) -> None:
        self.check("RCPT", Close())

    def test_closing_at_data(self) -> None:
        self.check("DATA", Close())

    def test_garbage_instead_of_a_greeting(self) -> None:
        self.check("CONNECT", Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))

    def test_garbage_at_ehlo(self) -> None:
        self.check("EHLO", Say(b"\0\xff\xfe nonsense\r\n"))

    def test_garbage_at_mail(self) -> None:
        self.check("MAIL", Say(b"999 what\r\n"))

    def test_an_endless_reply_line(self) -> None:
        self.check("CONNECT", Say(b"220 " + b"x" * 2_000_000))

    def test_an_endless_reply_of_many_lines(self) -> None:
        self.check("EHLO", Say(b"250-x\r\n" * 200_000))
