"""
Peers that fall silent or talk nonsense at each step: the mail goes to the next host, or waits; nothing is lost.
"""

from __future__ import annotations

from empath.testing import MockSmtpServer
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.mocked import MockPeer
from tests.e2e.processes import wait_until
from tests.e2e.unbound import mail_zone

MOCK = MockSmtpServer()
YOU = "you@one.test"
SHORT = {
    "connect": "1s", "greeting": "1s", "ehlo": "1s", "starttls": "1s", "mail_from": "1s", "rcpt_to": "1s",
    "data": "1s", "data_block": "1s", "data_termination": "1s", "quit": "1s",
}  # fmt: skip


class TroubleTests(EndToEndTestCase):
    """
    The preferred host misbehaves for ever, the second is well.
    """

    def mocked(self, address: str, behaviour: MockSmtpServer | None = None) -> MockPeer:
        """
        Start a scripted server.
        """
        peer = MockPeer(behaviour)
        peer.start(address, self.peer_port)
        self.addCleanup(peer.stop)
        return peer

    def check(self, behaviour: MockSmtpServer) -> None:
        """
        The mail arrives at the second host, or at the first once it behaves; exactly once where it was taken.
        """
        first, second = self.mocked("127.0.0.11", behaviour), self.mocked("127.0.0.12")
        dns = self.dns(*mail_zone("one.test", "127.0.0.11", "127.0.0.12"))
        empath = self.relaying(dns, {"delivery": {"timeouts": SHORT}})
        queue_id = self.send(empath, [YOU])
        if empath.wait_logged(queue_id, "status=") and not empath.logged(queue_id, "status=sent"):
            first.behave()
        empath.wait_logged(queue_id, "status=sent", seconds=20)
        wait_until("arrived", lambda: bool(first.arrived(YOU) or second.arrived(YOU)))
        self.assertEqual(len(first.arrived(YOU)) + len(second.arrived(YOU)), 1)
        self.assertTrue(empath.alive())

    def test_hanging_before_the_greeting(self) -> None:
        self.check(MOCK.with_silence("GREETING"))

    def test_hanging_at_ehlo(self) -> None:
        self.check(MOCK.with_silence("EHLO"))

    def test_hanging_at_mail(self) -> None:
        self.check(MOCK.with_silence("MAIL"))

    def test_hanging_at_rcpt(self) -> None:
        self.check(MOCK.with_silence("RCPT"))

    def test_hanging_at_data(self) -> None:
        self.check(MOCK.with_silence("DATA"))

    def test_hanging_at_the_final_dot(self) -> None:
        self.check(MOCK.with_silence("CONTENT"))

    def test_hanging_at_quit_delays_nothing(self) -> None:
        self.check(MOCK.with_silence("QUIT"))

    def test_closing_before_the_greeting(self) -> None:
        self.check(MOCK.with_lost_reply("GREETING"))

    def test_closing_at_ehlo(self) -> None:
        self.check(MOCK.with_lost_reply("EHLO"))

    def test_closing_at_mail(self) -> None:
        self.check(MOCK.with_lost_reply("MAIL"))

    def test_closing_at_rcpt(self) -> None:
        self.check(MOCK.with_lost_reply("RCPT"))

    def test_closing_at_data(self) -> None:
        self.check(MOCK.with_lost_reply("DATA"))

    def test_garbage_instead_of_a_greeting(self) -> None:
        self.check(MOCK.with_malformed_response("GREETING", b"HTTP/1.1 400 Bad Request\r\n\r\n"))

    def test_garbage_at_ehlo(self) -> None:
        self.check(MOCK.with_malformed_response("EHLO", b"\0\xff\xfe nonsense\r\n"))

    def test_garbage_at_mail(self) -> None:
        self.check(MOCK.with_malformed_response("MAIL", b"999 what\r\n"))

    def test_an_endless_reply_line(self) -> None:
        self.check(MOCK.with_malformed_response("GREETING", b"220 " + b"x" * 2_000_000))

    def test_an_endless_reply_of_many_lines(self) -> None:
        self.check(MOCK.with_malformed_response("EHLO", b"250-x\r\n" * 200_000))
