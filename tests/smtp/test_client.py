"""
The client session: transactions.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import Goodbye, SessionEnded, StartTls, State, Terms, TransactionEnded, Trouble
from empath.smtp.sasl import Credentials
from tests.smtp.client_driver import PIPELINING, PLAIN, SENT, TERMS, Driver, consignment

SAID = b"MAIL FROM:<a@example.net> SIZE=23\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"


class TransactionTests(SynchronousTestCase):
    """
    What a server's replies mean for each recipient.
    """

    def test_pipelined(self) -> None:
        """
        With PIPELINING the whole envelope goes at once, then the content; a 250 to the dot is success for all.
        """
        driver = Driver().opened().begin(consignment())
        self.assertEqual(driver.written, SAID)
        driver.say(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n")
        self.assertEqual(driver.written, SAID + SENT)
        driver.say(b"250 2.0.0 queued as 1\r\n")
        reply = Reply(250, "2.0.0", ("queued as 1",))
        self.assertEqual(driver.ended(), TransactionEnded((Success(reply, "mx.example.org"),)))
        self.assertIs(driver.session.state, State.READY)

    def test_step_by_step(self) -> None:
        """
        Without PIPELINING each command waits for the reply before; without SIZE and 8BITMIME neither is said.
        """
        driver = Driver().opened(PLAIN).begin(consignment("b@example.org", "c@example.org", sender=None))
        said = []
        for turn in (b"250 a\r\n", b"250 b\r\n", b"251 c\r\n", b"354 d\r\n", b"250 e\r\n"):
            said.append(driver.written)
            driver.written = b""
            driver.say(turn)
        self.assertEqual(
            said,
            [b"MAIL FROM:<>\r\n", b"RCPT TO:<b@example.org>\r\n", b"RCPT TO:<c@example.org>\r\n", b"DATA\r\n", SENT],
        )
        self.assertEqual(driver.codes(), ["Success 250", "Success 250"])

    def test_other_host_name(self) -> None:
        """
        A transaction may know the server by another name than the session does.
        """
        driver = Driver().opened()
        driver.act(driver.session.begin(consignment(), "mx2.example.org"))
        driver.say(b"250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
        (outcome,) = driver.ended().outcomes
        self.assertEqual(outcome.host, "mx2.example.org")

    def test_some_refused(self) -> None:
        """
        A refused recipient has its own outcome, and the others get the mail.
        """
        three = consignment("b@example.org", "c@example.org", "d@example.org")
        replies = b"250 a\r\n550 5.1.1 no\r\n250 c\r\n450 4.2.1 d\r\n354 go\r\n"
        driver = Driver().opened().begin(three).say(replies, b"250 done\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550", "Success 250", "TransientFailure 450"])
        self.assertEqual({o.scope for o in driver.ended().outcomes if not isinstance(o, Success)}, {Scope.RECIPIENT})

    def test_too_many_recipients(self) -> None:
        """
        452 or 552 after an accepted RCPT only means "not in this transaction" (RFC 5321 §4.5.3.1.10).
        """
        three = consignment("b@example.org", "c@example.org", "d@example.org")
        replies = b"250 a\r\n250 b\r\n452 4.5.3 c\r\n552 5.5.3 d\r\n354 go\r\n"
        driver = Driver().opened().begin(three).say(replies, b"250 done\r\n")
        self.assertEqual(driver.ended().again, (1, 2))
        self.assertEqual(driver.codes(), ["Success 250", "TransientFailure 452", "TransientFailure 452"])

    def test_mailbox_full_at_first(self) -> None:
        """
        552 to the first RCPT is what it says: permanent, for this recipient.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n552 5.2.2 full\r\n554 no recipients\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 552"])
        self.assertEqual(driver.ended().again, ())

    def test_none_accepted_but_content_wanted(self) -> None:
        """
        354 though every recipient was refused gets a dot alone; what is said to it counts for nobody.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n550 b\r\n354 go\r\n")
        self.assertEqual(driver.written, SAID + b".\r\n")
        driver.say(b"250 thanks\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550"])

    def test_answered_before_it_was_asked(self) -> None:
        """
        More than 354 to a dot that was not sent yet ends the session: every later answer would be to something else.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n450 b\r\n354 go\r\n552 no\r\n")
        self.assertEqual((driver.written, driver.codes()), (SAID, ["TransientFailure 450"]))
        self.assertIs(driver.over().trouble, Trouble.GARBLED)

    def test_last(self) -> None:
        """
        QUIT goes with the last transaction's content (RFC 2920 §3.1), whose outcome does not depend on what follows.
        """
        for tail in (b"", b"221 bye\r\n", b"500 what\r\n"):
            driver = Driver().opened()
            driver.begin(consignment(), last=True).say(b"250 a\r\n250 b\r\n354 go\r\n")
            self.assertTrue(driver.written.endswith(b"\r\n.\r\nQUIT\r\n"))
            self.assertIs(driver.session.state, State.DOT)
            driver.say(b"250 taken\r\n" + tail)
            self.assertEqual(driver.codes(), ["Success 250"])
            self.assertIs(driver.session.state, State.CLOSED if tail else State.QUIT)
            self.assertEqual(driver.events[2:], [Goodbye()] if tail else [])

    def test_last_and_lost(self) -> None:
        """
        A connection that ends before the content is answered is an unknown outcome; after that it has had its end.
        """
        asked = b"250 a\r\n250 b\r\n354 go\r\n"
        driver = Driver().opened().begin(consignment(), last=True).say(asked)
        driver.act(driver.session.connection_lost())
        self.assertEqual(driver.codes(), ["TransientFailure 421"])
        driver = Driver().opened().begin(consignment(), last=True).say(asked, b"250 taken\r\n")
        driver.act(driver.session.connection_lost())
        self.assertEqual((driver.codes(), driver.events[2:]), (["Success 250"], [Goodbye()]))

    def test_last_without_pipelining(self) -> None:
        """
        A server that knows no PIPELINING hears one thing at a time; and one that wants no content may be asked again.
        """
        driver = Driver().opened(PLAIN).begin(consignment(), last=True).say(b"250 a\r\n", b"250 b\r\n", b"354 go\r\n")
        self.assertNotIn(b"QUIT", driver.written)
        driver.say(b"250 taken\r\n")
        self.assertIs(driver.session.state, State.READY)
        driver = Driver().opened().begin(consignment(), last=True).say(b"250 a\r\n550 b\r\n554 none\r\n")
        self.assertIs(driver.session.state, State.READY)

    def test_sender_refused(self) -> None:
        """
        A refused MAIL decides for all; the replies to what was pipelined behind it are waited for and ignored.
        """
        for tail in (b"503 b\r\n503 c\r\n", b"250 b\r\n550 c\r\n"):
            driver = Driver().opened().begin(consignment()).say(b"550 5.7.1 no\r\n")
            self.assertEqual(driver.events, [])
            driver.say(tail)
            self.assertEqual(driver.codes(), ["PermanentFailure 550"])
            self.assertIs(driver.session.state, State.READY)

    def test_sender_refused_but_content_wanted(self) -> None:
        """
        354 after a refused MAIL gets a dot alone.
        """
        driver = Driver().opened().begin(consignment()).say(b"550 no\r\n250 b\r\n354 go\r\n", b"250 fine\r\n")
        self.assertEqual(driver.written, SAID + b".\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550"])

    def test_sender_refused_step_by_step(self) -> None:
        """
        Without PIPELINING a refused MAIL ends it at once; the next transaction needs no RSET.
        """
        driver = Driver().opened(PLAIN).begin(consignment()).say(b"451 later\r\n")
        self.assertEqual(driver.codes(), ["TransientFailure 451"])
        driver.written = b""
        self.assertEqual(driver.begin(consignment()).written, b"MAIL FROM:<a@example.net>\r\n")

    def test_all_refused_step_by_step(self) -> None:
        """
        Without PIPELINING no DATA is said when nobody was accepted; the next transaction begins with RSET.
        """
        driver = Driver().opened(PLAIN).begin(consignment()).say(b"250 a\r\n", b"550 b\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550"])
        driver.written = b""
        driver.begin(consignment())
        self.assertEqual(driver.written, b"RSET\r\n")
        driver.say(b"250 reset\r\n")
        self.assertEqual(driver.written, b"RSET\r\nMAIL FROM:<a@example.net>\r\n")

    def test_reset_pipelined(self) -> None:
        """
        After a transaction without final dot, RSET goes with the next envelope.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n550 b\r\n503 c\r\n")
        driver.events.clear()
        driver.written = b""
        driver.begin(consignment())
        self.assertEqual(driver.written, b"RSET\r\n" + SAID)
        driver.say(b"250 reset\r\n250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
        self.assertEqual(driver.codes(), ["Success 250"])

    def test_reset_refused(self) -> None:
        """
        A refused RSET leaves a session in no known state: it ends, and the mail goes elsewhere.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n550 b\r\n503 c\r\n")
        driver.events.clear()
        driver.begin(consignment()).say(b"500 what?\r\n")
        (outcome,) = driver.ended().outcomes
        self.assertEqual(
            outcome, TransientFailure(Reply(400, "4.0.0", ("to RSET: 500 what?",)), Scope.HOST, "mx.example.org")
        )
        self.assertIs(driver.session.state, State.CLOSED)

    def test_data_refused(self) -> None:
        """
        A refused DATA concerns the message: all accepted recipients fail, the refused ones keep their outcome.
        """
        two = consignment("b@example.org", "c@example.org")
        driver = Driver().opened().begin(two).say(b"250 a\r\n550 b\r\n250 c\r\n554 5.7.1 no\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550", "PermanentFailure 554"])
        self.assertEqual([getattr(o, "scope", None) for o in driver.ended().outcomes], [Scope.RECIPIENT, Scope.MESSAGE])

    def test_content_refused(self) -> None:
        """
        The answer to the final dot: 5yz is for ever, 4yz for now; where the server blames its own system another
        host may do better.
        """
        for said, kind, scope in (
            (b"554 5.7.1 spam\r\n", PermanentFailure, Scope.MESSAGE),
            (b"451 4.7.1 greylisted\r\n", TransientFailure, Scope.MESSAGE),
            (b"451 later\r\n", TransientFailure, Scope.MESSAGE),
            (b"451 4.3.0 trouble\r\n", TransientFailure, Scope.HOST),
            (b"452 4.2.2 disk\r\n", TransientFailure, Scope.HOST),
        ):
            driver = Driver().opened().begin(consignment()).say(b"250 a\r\n250 b\r\n354 c\r\n", said)
            (outcome,) = driver.ended().outcomes
            assert not isinstance(outcome, Success)
            self.assertEqual((type(outcome), outcome.scope), (kind, scope), said)
            self.assertIs(driver.session.state, State.READY)

    def test_shutdown_in_the_middle(self) -> None:
        """
        421 ends the session at any step: transient for whoever has no outcome.
        """
        two = consignment("b@example.org", "c@example.org")
        for replies in (b"421 x\r\n", b"250 a\r\n421 x\r\n", b"250 a\r\n250 b\r\n250 c\r\n421 x\r\n"):
            driver = Driver().opened().begin(two).say(replies)
            self.assertEqual(driver.codes(), ["TransientFailure 421"] * 2, replies)
            self.assertEqual(driver.over().trouble, Trouble.SHUTDOWN)
        driver = Driver().opened().begin(two).say(b"250 a\r\n550 b\r\n421 x\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 550", "TransientFailure 421"])

    def test_shutdown_after_the_dot(self) -> None:
        """
        421 to the final dot says that the mail was not taken: another host may have it at once.
        """
        driver = Driver().opened().begin(consignment()).say(b"250 a\r\n250 b\r\n354 c\r\n", b"421 4.3.2 bye\r\n")
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, TransientFailure)
        self.assertEqual((outcome.scope, outcome.host), (Scope.HOST, "mx.example.org"))

    def test_unanswered(self) -> None:
        """
        A transaction whose session ends before any reply but 421 says so.
        """
        self.assertTrue(Driver().opened().begin(consignment()).say(b"421 idle\r\n").ended().unanswered)
        self.assertFalse(Driver().opened().begin(consignment()).say(b"250 a\r\n421 x\r\n").ended().unanswered)

    def test_lost_at_each_step(self) -> None:
        """
        A lost connection is transient at each step, and no outcome is missing; after the final dot no other host is
        tried, since the message may have arrived.
        """
        steps = (b"", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n")
        for count in range(len(steps) + 1):
            driver = Driver().opened().begin(consignment()).say(*steps[:count])
            driver.act(driver.session.connection_lost())
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, TransientFailure)
            after_dot = count == len(steps)
            self.assertEqual(outcome.scope, Scope.MESSAGE if after_dot else Scope.SESSION)
            self.assertEqual(outcome.reply.enhanced, "4.4.2")
            self.assertEqual("more than once" in str(outcome.reply), after_dot)

    def test_timed_out(self) -> None:
        """
        A server that says nothing is transient, and its host is left.
        """
        driver = Driver().opened().begin(consignment())
        driver.act(driver.session.timed_out())
        failure = TransientFailure(Reply(421, "4.4.2", ("timed out at MAIL",)), Scope.HOST)
        self.assertEqual(driver.ended().outcomes, (failure,))
        self.assertEqual(driver.over(), SessionEnded(failure, Trouble.TIMEOUT))
        self.assertEqual(driver.session.timed_out(), [])
        self.assertEqual(driver.session.connection_lost(), [])
        self.assertEqual(driver.session.receive(b"250 x\r\n"), [])

    def test_protocol_errors(self) -> None:
        """
        Replies that cannot be answers end the session; nothing is delivered by them, nothing is permanent.
        """
        for replies in (
            b"354 x\r\n",
            b"250 a\r\n354 x\r\n",
            b"250 a\r\n250 b\r\n250 c\r\n",
            b"garbage\r\n",
            b"334 x\r\n",
        ):
            driver = Driver().opened().begin(consignment()).say(replies)
            self.assertEqual(driver.codes(), ["TransientFailure 421"], replies)
            self.assertEqual(driver.over().trouble, Trouble.GARBLED)
            self.assertIs(driver.session.state, State.CLOSED)

    def test_early_refusal(self) -> None:
        """
        A refusal before the final dot ends the session and is transient; a success before it is a protocol error.
        """
        for said, status in ((b"552 5.3.4 too big\r\n", "4.3.4"), (b"451 x\r\n", "4.0.0"), (b"250 x\r\n", "4.5.0")):
            driver = Driver().opened().begin(consignment()).say(b"250 a\r\n250 b\r\n354 c\r\n" + said)
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, TransientFailure)
            self.assertEqual(outcome.reply.enhanced, status)
            self.assertEqual(driver.written, SAID)

    def test_unsolicited(self) -> None:
        """
        Between transactions 421 is a shutdown, anything else an error.
        """
        self.assertEqual(Driver().opened().say(b"421 idle\r\n").over().trouble, Trouble.SHUTDOWN)
        self.assertEqual(Driver().opened().say(b"250 what\r\n").over().trouble, Trouble.GARBLED)

    def test_quit(self) -> None:
        """
        QUIT is answered by anything, the end of the connection or nothing at all.
        """
        for bye in ("221 bye", "500 what", "lost", "late"):
            driver = Driver().opened()
            driver.session.quit()
            driver.act([])
            self.assertEqual(driver.written, b"QUIT\r\n")
            if bye == "lost":
                driver.act(driver.session.connection_lost())
            elif bye == "late":
                driver.act(driver.session.timed_out())
            else:
                driver.say(f"{bye}\r\n".encode())
            self.assertEqual(driver.events, [Goodbye()])
            self.assertIs(driver.session.state, State.CLOSED)

    def test_abandon(self) -> None:
        """
        What we give up ourselves fails as we say, once.
        """
        failure = TransientFailure(Reply(451, "4.3.0", ("ours",)), Scope.MESSAGE)
        driver = Driver().opened().begin(consignment())
        driver.act(driver.session.abandon(failure))
        self.assertEqual(driver.ended().outcomes, (failure,))
        self.assertEqual(driver.session.abandon(failure), [])

    def test_misuse(self) -> None:
        """
        Calls out of turn are our own fault, and raise.
        """
        driver = Driver()
        self.assertRaises(RuntimeError, driver.session.begin, consignment())
        self.assertRaises(RuntimeError, driver.session.content, b"x")
        self.assertRaises(RuntimeError, driver.session.end_content)


class LimitTests(SynchronousTestCase):
    """
    What is settled without a word.
    """

    def settled(self, ehlo: bytes, **changes: object) -> Driver:
        """
        Begin a transaction that needs no talk.
        """
        driver = Driver().opened(ehlo).begin(consignment(**changes))  # type: ignore[arg-type]  # names of fields
        self.assertEqual(driver.written, b"")
        self.assertIs(driver.session.state, State.READY)
        return driver

    def test_eight_bit_not_offered(self) -> None:
        """
        8-bit content does not go to a server without 8BITMIME: 554 5.6.3 (RFC 6152).
        """
        (outcome,) = self.settled(PLAIN, eight_bit=True).ended().outcomes
        assert isinstance(outcome, PermanentFailure)
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced, outcome.scope), (554, "5.6.3", Scope.MESSAGE))

    def test_eight_bit_offered(self) -> None:
        """
        BODY=8BITMIME is said where a byte needs it.
        """
        driver = Driver().opened().begin(consignment(eight_bit=True))
        self.assertTrue(driver.written.startswith(b"MAIL FROM:<a@example.net> SIZE=23 BODY=8BITMIME\r\n"))

    def test_too_large(self) -> None:
        """
        A message larger than the announced SIZE fails for good: 552 5.3.4 (RFC 1870). One that fits is sent.
        """
        (outcome,) = self.settled(PIPELINING, size=1001).ended().outcomes
        assert isinstance(outcome, PermanentFailure)
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (552, "5.3.4"))
        self.assertIn(b"SIZE=1000", Driver().opened().begin(consignment(size=1000)).written)

    def test_no_limit(self) -> None:
        """
        SIZE without a number, with 0 or with nonsense is no limit.
        """
        for parameter in (b"", b" 0", b" x", b" -1", b" " + b"9" * 21):
            driver = Driver().opened(b"250-mx\r\n250 SIZE%s\r\n" % parameter).begin(consignment(size=10**9))
            self.assertIn(b"SIZE=1000000000", driver.written)

    def test_addresses_that_cannot_be_said(self) -> None:
        """
        Internationalized addresses need SMTPUTF8 (5.6.7); control characters would be commands (5.1.3).
        """
        driver = (
            Driver().opened().begin(consignment("b@example.org", "ü@example.org", "x\r\nDATA@example.org", "ü\n@x"))
        )
        self.assertEqual(driver.written, SAID)
        driver.say(b"250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
        self.assertEqual([o.reply.enhanced for o in driver.ended().outcomes], [None, "5.6.7", "5.1.3", "5.1.3"])

    def test_sender_that_cannot_be_said(self) -> None:
        """
        The same for the sender concerns the message; if it is all recipients, nothing is said either.
        """
        self.assertEqual(self.settled(PIPELINING, sender="ü@example.net").codes(), ["PermanentFailure 550"])
        driver = Driver().opened().begin(consignment("ü@example.org"))
        self.assertEqual((driver.written, driver.codes()), (b"", ["PermanentFailure 550"]))


TURNS = st.sampled_from(
    [
        b"220 hello\r\n",
        b"220-hello\r\n220 x\r\n",
        PIPELINING,
        PLAIN,
        b"250-x\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n",
        b"250-x\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250-DELIVERBY\r\n250 PIPELINING\r\n",
        b"250-x\r\n250-CHUNKING\r\n250-LIMITS MAILMAX=1\r\n250 SMTPUTF8\r\n",
        b"250 a\r\n250 b\r\n250 c\r\n",
        b"503 5.5.1 x\r\n",
        b"250 2.1.0 Ok\r\n",
        b"250 a\r\n250 b\r\n354 c\r\n",
        b"250 a\n550 b\n354 c\n",
        b"354 go\r\n",
        b"334 VXNlcm5hbWU6\r\n",
        b"235 in\r\n",
        b"421 bye\r\n",
        b"452 4.5.3 x\r\n",
        b"550 5.1.1 no\r\n",
        b"5",
        b"\r\n",
        b"\xff\x00",
    ]
)
TERMS_TRIED = st.sampled_from(
    [
        TERMS,
        Terms("c", "mx", tls_needed=True),
        Terms("c", "mx", starttls=False, credentials=Credentials("u", "p"), clear_auth=True),
        Terms("c", "mx", secured=True, credentials=Credentials("u", "p")),
    ]
)


class AnyBytesTests(SynchronousTestCase):
    """
    Whatever a server sends.
    """

    def run_session(self, terms: Terms, turns: list[bytes], *, bytewise: bool) -> Driver:
        """
        Feed all turns, with three transactions to be done.
        """
        driver = Driver(terms, bytewise=bytewise)
        driver.todo = [
            consignment("b@example.org", "c@example.org", chunked=True),
            consignment("ü@example.org", parameters={"ENVID": "x"}),
            consignment(sender=None, binary=True, deliver_by=(60, "R")),
        ]
        driver.say(*turns)
        driver.act(driver.session.connection_lost())
        return driver

    @settings(max_examples=200, deadline=None)
    @given(TERMS_TRIED, st.lists(st.one_of(TURNS, st.binary(max_size=20)), max_size=16))
    def test_whole_equals_bytewise(self, terms: Terms, turns: list[bytes]) -> None:
        """
        Fed whole or byte by byte: the same events and the same commands, never an exception, all outcomes complete,
        and the session's end told once.
        """
        whole = self.run_session(terms, turns, bytewise=False)
        pieces = self.run_session(terms, turns, bytewise=True)
        self.assertEqual(_without_broken_tls(whole.events), _without_broken_tls(pieces.events))
        self.assertEqual(whole.written, pieces.written)
        self.assertIs(whole.session.state, State.CLOSED)
        for event in whole.events:
            if isinstance(event, TransactionEnded):
                self.assertNotIn(None, event.outcomes)
        ends = [event for event in whole.events if isinstance(event, (SessionEnded, Goodbye))]
        self.assertIn(len(ends), (1, 2))


def _without_broken_tls(events: Sequence[object]) -> list[object]:
    """
    Leave out a StartTls that cleartext behind it made void: fed whole it is never told.
    """
    return [
        event
        for event, after in zip(events, [*events[1:], None], strict=True)
        if not (isinstance(event, StartTls) and isinstance(after, SessionEnded))
    ]


class ProbeTests(SynchronousTestCase):
    """
    Asking about recipients without sending anything.
    """

    def test_no_content_follows(self) -> None:
        """
        A probe ends with the answers to RCPT, with and without PIPELINING, and is undone before the next transaction.
        """
        for ehlo in (PIPELINING, PLAIN):
            driver = Driver().opened(ehlo)
            driver.begin(consignment("b@example.org", "c@example.org", sender=None, probe=True))
            driver.say(b"250 ok\r\n", b"251 2.1.5 b\r\n", b"550 5.1.1 c\r\n")
            ended = driver.events[-1]
            assert isinstance(ended, TransactionEnded)
            self.assertEqual([type(outcome).__name__ for outcome in ended.outcomes], ["Success", "PermanentFailure"])
            self.assertEqual(str(ended.outcomes[0].reply), "251 2.1.5 b")
            self.assertEqual(driver.session.state, State.READY)
            self.assertNotIn(b"DATA", driver.written)
            driver.begin(consignment())
            self.assertIn(b"RSET\r\n", driver.written)

    def test_sender_refused(self) -> None:
        """
        Where the null reverse-path is refused the recipient was not judged: the failure is that of the message.
        """
        driver = Driver().opened()
        driver.begin(consignment(sender=None, probe=True)).say(b"550 5.7.1 no\r\n503 5.5.1 no\r\n")
        ended = driver.events[-1]
        assert isinstance(ended, TransactionEnded)
        self.assertEqual(
            ended.outcomes, (PermanentFailure(Reply(550, "5.7.1", ("no",)), Scope.MESSAGE, "mx.example.org"),)
        )
