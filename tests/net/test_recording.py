"""
Recording dialogues that are traced: which lines make which steps.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.step import MOST_LINES, Step, Steps
from empath.net.dialogues import Dialogues, Interest
from empath.net.overhearing import Overhearing
from empath.net.recording import CONTENT_SIZE, REPLY_CODE, Recording
from empath.net.taps import Both, taps_of, together
from empath.smtp.tap import Tap


class RecordingCase(SynchronousTestCase):
    """
    A recording of one dialogue.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.steps = Steps()
        self.ended: list[str] = []

    def client(self, password: str = "") -> Recording:
        """
        A recording of what we say to a server.
        """
        tap = Recording(self.clock, self.steps, "client", password=password, on_ended=self.hear)
        checked: Tap = tap
        checked.opened("192.0.2.1", "mx.example.org[192.0.2.1]:25")
        return tap

    def hear(self, step: Step) -> None:
        """
        Note a step that ended.
        """
        self.ended.append(step.name)

    def told(self) -> list[str]:
        """
        Tell the steps: name, times from the start, trouble, lines.
        """
        return [
            f"{each.name} {each.started - 1000:g}-{each.ended and each.ended - 1000:g} {each.trouble}".strip()
            for each in self.steps.steps
        ]

    def lines(self, at: int) -> list[str]:
        """
        Tell what was said in a step.
        """
        return [f"{'>' if each.from_us else '<'} {each.text}" for each in self.steps.steps[at].said]


class ClientTests(RecordingCase):
    """
    We are the client.
    """

    def test_a_flood(self) -> None:
        """
        What there is no room for is counted; a reply that a command waits for still ends its step.
        """
        tap = self.client()
        tap.aside = self.steps.begin("connect", 1000)
        tap.said(b"EHLO us\r\nMAIL FROM:<a@example.net>\r\n")
        tap.heard(b"250-more\r\n" * 2000 + b"250 ok\r\n" + b"\n" * 2000 + b"550 5.7.1 no\r\n" + b"250 what\r\n" * 2000)
        self.assertEqual(self.steps.steps[1].trouble, "550 5.7.1 no")
        self.assertEqual((self.steps.lines, self.steps.left_out > 5000), (MOST_LINES, True))

    def test_content_that_is_not_sent(self) -> None:
        """
        Where DATA was said too early, and is answered with 354 nevertheless, its end is no command.
        """
        tap = self.client()
        tap.said(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@c>\r\nDATA\r\n")
        tap.heard(b"250 ok\r\n550 no\r\n354 go\r\n")
        tap.said(b".\r\n")
        tap.heard(b"554 nobody\r\n")
        tap.said(b"QUIT\r\n")
        tap.heard(b"221 bye\r\n")
        self.assertEqual(self.lines(2), ["> DATA", "< 354 go", "> .", "< 554 nobody"])
        self.assertEqual(self.lines(3), ["> QUIT", "< 221 bye"])
        self.assertEqual(self.ended, ["mail", "rcpt", "data", "quit"])

    def test_lmtp(self) -> None:
        """
        Content is answered for each recipient that was accepted, before the QUIT that went with it; control characters
        are not kept.
        """
        tap = Recording(self.clock, self.steps, "client", lmtp=True)
        for _ in range(2):
            tap.said(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@c>\r\nRCPT TO:<d@c>\r\nRCPT TO:<e@c>\r\nDATA\r\n")
            tap.heard(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
            tap.content(9)
            tap.said(b"QUIT\r\n")
            tap.heard(b"250 one\r\n250 t\x1bwo\r\n221 bye\r\n")
        self.assertEqual(self.lines(4), ["> DATA", "< 354 go", "< 250 one", "< 250 t?wo"])
        self.assertEqual(self.lines(5), ["> QUIT", "< 221 bye"])
        self.assertEqual(self.lines(11), ["> QUIT", "< 221 bye"])

    def test_gives_each_command_its_reply_however_they_are_pipelined(self) -> None:
        tap = self.client()
        tap.said(b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\nRCPT TO:<c@two.test>\r\nDATA\r\n")
        self.clock.advance(1)
        tap.heard(b"250 2.1.0 ok\r\n550-5.1.1 no\r\n550 5.1")
        self.clock.advance(1)
        tap.heard(b".1 such user\r\n250 ok\r\n354 go on\r\n")
        tap.content(1000)
        tap.content(24)
        self.clock.advance(3)
        tap.heard(b"250 2.0.0 queued\r\n")
        self.assertEqual(self.told(), ["mail 0-1", "rcpt 0-2 550 5.1.1 such user", "rcpt 0-2", "data 0-5"])
        self.assertEqual(self.lines(1), ["> RCPT TO:<b@two.test>", "< 550-5.1.1 no", "< 550 5.1.1 such user"])
        self.assertEqual(self.lines(3), ["> DATA", "< 354 go on", "< 250 2.0.0 queued"])
        self.assertEqual(self.steps.steps[3].facts, {REPLY_CODE: 250, CONTENT_SIZE: 1024})
        self.assertEqual(self.ended, ["mail", "rcpt", "rcpt", "data"])

    def test_takes_chunks_for_one_step(self) -> None:
        tap = self.client()
        tap.said(b"BDAT 10\r\n")
        tap.said(b"BDAT 10 LAST\r\n")
        tap.heard(b"250 ok\r\n")
        self.clock.advance(2)
        tap.heard(b"452 4.3.1 full\r\n")
        self.assertEqual(self.told(), ["data 0-2 452 4.3.1 full"])

    def test_gives_all_replies_of_lmtp_to_the_content(self) -> None:
        tap = self.client()
        tap.said(b"DATA\r\n")
        tap.heard(b"354 go on\r\n250 2.0.0 one\r\n")
        self.clock.advance(1)
        tap.heard(b"250 2.0.0 two\r\n")
        self.assertEqual(self.told(), ["data 0-1"])
        self.assertEqual(self.lines(0), ["> DATA", "< 354 go on", "< 250 2.0.0 one", "< 250 2.0.0 two"])

    def test_puts_what_comes_before_mail_where_it_is_told(self) -> None:
        """
        Greeting, EHLO and login are of a step that is ended by whoever began it, and show no secret.
        """
        tap = self.client(password="geheim")
        tap.aside = connect = self.steps.begin("connect", 1000.0)
        tap.heard(b"220 mx\r\n")
        tap.said(b"EHLO me.test\r\n")
        tap.heard(b"250-mx\r\n250 AUTH PLAIN\r\n")
        tap.said(b"AUTH PLAIN AGEAZ2VoZWlt\r\n")
        tap.heard(b"535 5.7.8 not geheim\r\n")
        self.assertEqual(
            self.lines(0),
            [
                *("< 220 mx", "> EHLO me.test", "< 250-mx", "< 250 AUTH PLAIN", "> AUTH PLAIN [masked]"),
                "< 535 5.7.8 not [masked]",
            ],
        )
        self.assertEqual((connect.ended, connect.facts, connect.trouble, self.ended), (0.0, {}, "", []))

    def test_drops_what_belongs_to_nothing(self) -> None:
        tap = self.client()
        tap.said(b"RSET\r\n")
        tap.heard(b"250 ok\r\n")
        tap.said(b"QUIT\r\n")
        tap.heard(b"221 bye\r\n")
        self.assertEqual(self.told(), ["quit 0-0"])
        self.assertEqual(self.lines(0), ["> QUIT", "< 221 bye"])

    def test_tells_of_a_connection_that_ended_first(self) -> None:
        tap = self.client()
        tap.said(b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n")
        tap.heard(b"250 ok\r\n421 4.3.2 clo")
        self.clock.advance(4)
        tap.closed("the connection was lost")
        trouble = "no reply before the end: the connection was lost"
        self.assertEqual(self.told(), ["mail 0-0", "rcpt 0-4 421 4.3.2 clo"])
        tap.closed("again")
        self.assertEqual(len(self.ended), 2)
        tap = self.client()
        tap.said(b"DATA\r\n")
        tap.closed("the connection was lost")
        self.assertEqual(self.told()[-1], f"data 4-4 {trouble}")


class ServerTests(RecordingCase):
    """
    We are the server.
    """

    def test_begins_in_the_middle_of_what_was_pipelined(self) -> None:
        """
        Replies to what came before the first command are nobody's, and those after the last are still its own.
        """
        tap = Recording(self.clock, self.steps, "server", joined=True, unanswered=2)
        tap.heard(b"MAIL FROM:<a@one.test>\r\n")
        tap.heard(b"RCPT TO:<b@two.test>\r\n")
        tap.heard(b"RCPT TO:<c@two.test>\r\n")
        tap.finish()
        tap.heard(b"RSET\r\n")
        tap.said(b"250 noop\r\n250 rset\r\n250 sender ok\r\n450 4.1.1 later\r\n250 ok\r\n250 reset\r\n")
        tap.said(b"421 4.4.2 too slow\r\n")
        self.assertEqual(self.told(), ["mail 0-0", "rcpt 0-0 450 4.1.1 later", "rcpt 0-0"])
        self.assertEqual(self.lines(2), ["< RCPT TO:<c@two.test>", "> 250 ok"])

    def test_what_comes_between_leaves_a_step_as_it_ended(self) -> None:
        """
        The answers to NOOP, QUIT and what is no command at all stand in the step before, and are not its own.
        """
        tap = Recording(self.clock, self.steps, "server")
        tap.heard(b"MAIL FROM:<a@one.test>\r\n")
        tap.said(b"250 ok\r\n")
        tap.heard(b"RCPT TO:<b@two.test>\r\n")
        tap.said(b"550 5.1.1 unknown\r\n")
        self.clock.advance(300)
        for line in (b"NOOP\r\n", b"EHLLO\r\n", b"QUIT\r\n"):
            tap.heard(line)
        tap.said(b"250 ok\r\n500 5.5.2 what?\r\n221 bye\r\n")
        tap.closed("quit")
        self.assertEqual(self.told(), ["mail 0-0", "rcpt 0-0 550 5.1.1 unknown"])
        self.assertEqual(self.steps.steps[1].facts, {REPLY_CODE: 550})
        self.assertEqual(self.lines(1)[-3:], ["> 250 ok", "> 500 5.5.2 what?", "> 221 bye"])
        self.assertEqual(self.ended, [])

    def test_takes_lines_that_are_none_as_commands(self) -> None:
        tap = Recording(self.clock, self.steps, "server")
        tap.heard(b"MAIL FROM:<a@one.test>\r\n")
        tap.faulty("bare newline")
        tap.secret(b"cGFzc3dvcmQ=")
        tap.heard(b"RCPT TO:<b@two.test>\r\n")
        tap.said(b"250 ok\r\n500 5.5.2 line\r\n535 5.7.8 no\r\n250 rcpt ok\r\n")
        self.assertEqual(self.lines(1), ["< RCPT TO:<b@two.test>", "> 250 rcpt ok"])
        self.assertNotIn("cGFzc3dvcmQ=", repr(self.steps.steps))


class BothTests(RecordingCase):
    """
    Somebody watches what is traced.
    """

    def test_both_hear_all(self) -> None:
        dialogues = Dialogues(self.clock)
        watch = dialogues.watch(Interest())
        watched = Overhearing(dialogues, "out-1", "client")
        recording = self.client()
        tap = together(recording, watched)
        assert isinstance(tap, Both)
        checked: Tap = tap
        checked.opened("192.0.2.1", "mx.test")
        checked.presents("192.0.2.2")
        checked.carries("01ABC", {"two.test"})
        checked.secured("TLSv1.3")
        checked.heard(b"220 mx\r\n")
        checked.faulty("bare newline")
        checked.secret(b"YQ==")
        checked.said(b"MAIL FROM:<a@one.test>\r\n")
        checked.content(7)
        checked.closed("done")
        self.assertEqual(self.told(), ["mail 0-0 no reply before the end: done"])
        dropped = watch.dropped
        self.assertEqual(dropped, 0)
        self.assertEqual(watched.peer, "192.0.2.2")
        self.assertEqual(watched.ids, {"out-1", "01abc"})

    def test_are_parted_again(self) -> None:
        recording, watched = self.client(), Overhearing(Dialogues(self.clock), "out-1", "client")
        for pair in ((recording, watched), (recording, None), (None, watched), (None, None)):
            self.assertEqual(taps_of(together(*pair)), pair)
