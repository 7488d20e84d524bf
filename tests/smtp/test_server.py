"""
What holds for every server session, whatever bytes it is given.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.smtp.events import Closed, Ending, Verb
from empath.smtp.extension import Standing
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import NEXT, State
from tests.smtp.server_peer import QUEUE_ID, Peer, rules

FRAGMENTS = st.sampled_from(
    [
        b"EHLO c\r\n",
        b"HELO c\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<> SIZE=10 BODY=8BITMIME\r\n",
        b"RCPT TO:<c@d.example>\r\n",
        b"RCPT TO:<unknown@d.example>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\nReceived: y\r\n\r\n",
        b"\r\n.\r\n",
        b".\r\n",
        b"..",
        b".",
        b"\r",
        b"\n",
        b"\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"GET / HTTP/1.1\r\n",
        b"x" * 600,
        b"\xff\x00",
        b"BDAT 0 LAST\r\n",
        b"BDAT 6\r\nRSET\r\n",
        b"BDAT 7 LAST\r\nA: b\r\n\r",
        b"BDAT 2\r\n\n\x00",
        b"BDAT x\r\n",
        b"MAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\n",
        b"RCPT TO:<no-data@d.example>\r\n",
        b"RCPT TO:<no-chunk@d.example> NOTIFY=NEVER\r\n",
        "RCPT TO:<ü@d.example>\r\n".encode(),
        b"AUTH PLAIN\r\n",
        b"AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=\r\n",
        b"dGVzdAB0ZXN0ADEyMzQ=\r\n",
        b"*\r\n",
        b"XCLIENT NAME=a HELO=forbidden\r\n",
        b"XCLIENT ADDR=192.0.2.1\r\n",
        b"LHLO c\r\n",
    ]
)
RULES = (
    rules(max_errors=6, max_commands=15, auth=True),
    rules(max_errors=6, max_commands=15, kind="lmtp"),
    rules(extensions_off=("CHUNKING",), max_errors=6),
    rules(max_errors=6, starttls=True),
)
BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(FRAGMENTS, max_size=25).map(b"".join),
    st.lists(FRAGMENTS, max_size=15).map(lambda parts: b"EHLO c\r\n" + b"".join(parts)),
    st.lists(FRAGMENTS, max_size=15).map(
        lambda parts: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + b"".join(parts)
    ),
    st.lists(FRAGMENTS, max_size=15).map(
        lambda parts: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nBDAT 9\r\n" + b"".join(parts)
    ),
)


def outcome(pieces: list[bytes], normalize: bool, own: ServerRules) -> tuple[object, ...]:
    """
    Play the pieces into a session and tell everything that came of it.
    """
    peer = Peer(own, normalize, Standing(xclient=True), ("PLAIN", "LOGIN"), cleartext=True)
    said = b"".join([peer.session.output(), *(peer.send(piece) for piece in pieces)])
    return said, peer.events, peer.messages, peer.refused_contents, peer.ending, peer.session.state


class DivisionTests(SynchronousTestCase):
    """
    How TCP divides the bytes means nothing.
    """

    @settings(max_examples=200, deadline=None)
    @given(BYTES, st.booleans(), st.sampled_from(RULES))
    def test_byte_by_byte_is_whole(self, data: bytes, normalize: bool, own: ServerRules) -> None:
        """
        Any bytes, whole or byte by byte, give the same events, replies and messages, and no exception.
        """
        single = [data[at : at + 1] for at in range(len(data))]
        self.assertEqual(outcome([data], normalize, own), outcome(single, normalize, own))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(BYTES, max_size=5), st.booleans(), st.sampled_from(RULES))
    def test_any_division_is_whole(self, pieces: list[bytes], normalize: bool, own: ServerRules) -> None:
        """
        The same for any pieces.
        """
        self.assertEqual(outcome([b"".join(pieces)], normalize, own), outcome(pieces, normalize, own))


class PausedTests(SynchronousTestCase):
    """
    No event is given before the last one is answered.
    """

    def setUp(self) -> None:
        self.session = ServerSession(rules())
        self.session.receive(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nFOO\r\n")

    def test_waits_for_an_answer(self) -> None:
        """
        Pipelined commands stay unread, and unanswered, while one is decided upon.
        """
        self.assertIsNotNone(self.session.next_event())
        self.assertIsNone(self.session.next_event())
        self.assertIs(self.session.pending, Verb.EHLO)
        self.assertEqual(self.session.backlog, len(b"MAIL FROM:<a@b.example>\r\nFOO\r\n"))
        self.assertEqual(self.session.output(), b"")
        self.session.accept()
        self.assertIsNotNone(self.session.next_event())
        self.assertIs(self.session.pending, Verb.MAIL)

    def test_tells_how_many_replies_nobody_fetched(self) -> None:
        """
        Whole ones, however many lines each has.
        """
        self.session.output()
        self.session.next_event()
        self.session.accept()
        self.assertEqual(self.session.unsent, 1)
        self.assertGreater(self.session.output().count(b"\r\n"), 1)
        self.assertEqual(self.session.unsent, 0)

    def test_answer_without_question(self) -> None:
        """
        An answer that nobody waits for is a bug of ours, and said so.
        """
        self.assertRaises(RuntimeError, self.session.accept)

    def test_closed_from_outside(self) -> None:
        """
        A session that was closed says its last reply once, drops what comes and gives no more events.
        """
        self.session.next_event()
        self.session.close(Reply.of("421 4.3.2 shutting down"))
        self.session.close(Reply.of("421 4.3.2 shutting down"))
        self.session.receive(b"NOOP\r\n")
        self.assertEqual(self.session.output(), b"421 4.3.2 shutting down\r\n")
        self.assertIsNone(self.session.next_event())
        self.assertIsNone(self.session.pending)
        self.assertEqual(self.session.backlog, 0)

    def test_closed_in_silence(self) -> None:
        """
        A session whose connection is gone says nothing.
        """
        self.session.close()
        self.assertEqual(self.session.output(), b"")
        self.assertIs(self.session.state, State.CLOSED)


class LineTests(SynchronousTestCase):
    """
    Over-long lines are refused once and passed over, within bounded memory.
    """

    def test_longest_line(self) -> None:
        """
        A line of 512 octets is read, of MAIL and RCPT longer by what the extensions add; one more is 500, once.
        """
        peer = Peer(rules())
        peer.session.output()
        longest = b"NOOP ".ljust(512 - 2, b"x") + b"\r\n"
        self.assertEqual(peer.send(longest), b"250 2.0.0 Ok\r\n")
        self.assertEqual(peer.send(longest[:-2] + b"x\r\n"), b"500 5.5.2 line too long\r\n")
        limits = rules().limits
        self.assertEqual(limits[Verb.MAIL], 512 + 26 + 17 + 10 + 116 + 17 + 15 + 11)
        self.assertEqual(limits[Verb.RCPT], 512 + 530)
        self.assertEqual(rules().line_limit, limits[Verb.RCPT])
        peer.send(b"EHLO c\r\n")
        mail = b"MAIL FROM:<>".ljust(limits[Verb.MAIL] - 2) + b"\r\n"
        self.assertEqual(peer.send(b" ".join(mail.split(b" ", 1))), b"250 2.1.0 Ok\r\n")
        rcpt = b"RCPT TO:<a@b.example>".ljust(limits[Verb.RCPT] - 1) + b"\r\n"
        self.assertEqual(peer.send(rcpt), b"500 5.5.2 line too long\r\n")
        self.assertEqual(rules(auth=True).line_limit, 12288)
        self.assertEqual(peer.send(b"NOOP\r\n"), b"250 2.0.0 Ok\r\n")

    def test_endless_line(self) -> None:
        """
        Megabytes without a line end are one error and are not kept.
        """
        peer = Peer(rules())
        peer.session.output()
        said = b"".join(peer.send(b"x" * 65536) for _ in range(32))
        self.assertEqual(said, b"500 5.5.2 line too long\r\n")
        self.assertEqual(peer.session.backlog, 0)
        self.assertEqual(peer.send(b"x\r\nNOOP\r\n"), b"250 2.0.0 Ok\r\n")


class AcceptedTests(SynchronousTestCase):
    """
    A message that was accepted.
    """

    def test_many_messages(self) -> None:
        """
        Messages follow one another in one session, and the reply names the queue id.
        """
        peer = Peer(rules())
        peer.session.output()
        peer.send(b"EHLO c\r\n")
        for number in range(3):
            peer.send(b"MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
            self.assertEqual(peer.send(b"%d\r\n.\r\n" % number), f"250 2.0.0 Ok: queued as {QUEUE_ID}\r\n".encode())
        self.assertEqual(peer.messages, [b"0\r\n", b"1\r\n", b"2\r\n"])

    def test_content_may_come_in_pieces(self) -> None:
        """
        Nothing is said before its end.
        """
        peer = Peer(rules())
        peer.session.output()
        peer.send(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        self.assertEqual(peer.send(b"A: b\r\n\r\nfirst\r\n"), b"")
        self.assertEqual(peer.send(b"second\r\n.\r\n"), f"250 2.0.0 Ok: queued as {QUEUE_ID}\r\n".encode())
        self.assertEqual(peer.messages, [b"A: b\r\n\r\nfirst\r\nsecond\r\n"])

    def test_sign_of_too_many_errors_in_content(self) -> None:
        """
        A content refused for good is an error like others, and the last of them ends the session.
        """
        peer = Peer(rules(max_errors=1))
        peer.session.output()
        peer.send(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        self.assertEqual(
            peer.send(b"a\nb\r\n.\r\nNOOP\r\n"), b"550 5.5.2 refused content\r\n421 4.7.0 too many errors\r\n"
        )
        self.assertEqual(peer.events[-1], Closed(Ending.ERRORS, Reply.of("421 4.7.0 too many errors")))


class TableTests(SynchronousTestCase):
    """
    The table of states.
    """

    def test_no_command_leads_into_content_but_data(self) -> None:
        """
        Content begins with DATA or BDAT after an accepted RCPT, goes on with BDAT, and in no other way.
        """
        into = {pair for pair, state in NEXT.items() if state is State.CONTENT and pair[0] is not State.CONTENT}
        self.assertEqual(into, {(State.RCPT, Verb.DATA), (State.RCPT, Verb.BDAT), (State.CHUNKS, Verb.BDAT)})

    def test_refusal_says_its_reply(self) -> None:
        """
        The exception that carries a refusal can be read in a log.
        """
        self.assertEqual(str(CommandRefused(Reply.of("500 5.5.2 what"))), "500 5.5.2 what")
