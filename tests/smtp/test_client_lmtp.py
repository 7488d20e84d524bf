"""
The client session in LMTP (RFC 2033).
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import Custody, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.mail.wish import REQUIRE_TLS
from empath.smtp.client_events import Goodbye, State, Terms, Trouble
from empath.smtp.client_lmtp import LmtpSession
from empath.smtp.sasl import Credentials
from tests.smtp.client_driver import PIPELINING, PLAIN, SENT, TERMS, Driver, consignment

THREE = ("b@example.org", "c@example.org", "d@example.org")
CHUNKING = b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
GO = b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n354 go\r\n"


def driver(*, bytewise: bool = False, terms: Terms = TERMS) -> Driver:
    """
    Make a driver of an LMTP session.
    """
    made = Driver(bytewise=bytewise)
    made.session = LmtpSession(terms)
    return made


class OpeningTests(SynchronousTestCase):
    """
    LHLO is all there is.
    """

    def test_lhlo(self) -> None:
        """
        The session begins with LHLO, whose keywords count as those of EHLO do.
        """
        made = driver().say(b"220 hello\r\n")
        self.assertEqual(made.written, b"LHLO client.example.net\r\n")
        made.say(PIPELINING)
        self.assertIs(made.session.state, State.READY)
        self.assertTrue(made.session.offer.pipelining)

    def test_no_lhlo(self) -> None:
        """
        A server that knows no LHLO is in trouble for now; there is no HELO in LMTP (RFC 2033 §4.1).
        """
        for said in (b"500 5.5.2 what\r\n", b"502 5.5.1 no\r\n", b"450 4.3.2 later\r\n"):
            made = driver().say(b"220 hello\r\n", said)
            self.assertEqual(made.written, b"LHLO client.example.net\r\nQUIT\r\n")
            failure = made.over().failure
            self.assertEqual((made.over().trouble, failure.scope), (Trouble.REFUSED, Scope.HOST))
            self.assertEqual(failure.reply.code // 100, 4)

    def test_again_after_tls(self) -> None:
        """
        Once TLS has begun LHLO is said again.
        """
        made = driver().say(b"220 hello\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n")
        self.assertTrue(made.written.endswith(b"STARTTLS\r\nLHLO client.example.net\r\n"))

    def test_login(self) -> None:
        """
        A login works as in SMTP.
        """
        terms = Terms("client.example.net", "mx", credentials=Credentials("me", "secret"), clear_auth=True)
        made = driver(terms=terms).say(b"220 hello\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"235 2.7.0 in\r\n")
        self.assertIs(made.session.state, State.READY)


class VerdictTests(SynchronousTestCase):
    """
    One answer for each recipient that was accepted (RFC 2033 §4.2).
    """

    def test_each(self) -> None:
        """
        Recipients have their own verdicts, in the order in which they were accepted.
        """
        made = driver().opened().begin(consignment(*THREE)).say(GO)
        made.say(b"250 2.1.5 b has it\r\n552 5.2.2 c is full\r\n", b"450 4.2.1 d is busy\r\n")
        host = "mx.example.org"
        self.assertEqual(
            made.ended().outcomes,
            (
                Success(Reply(250, "2.1.5", ("b has it",)), host, Custody.DELIVERED),
                PermanentFailure(Reply(552, "5.2.2", ("c is full",)), Scope.RECIPIENT, host),
                TransientFailure(Reply(450, "4.2.1", ("d is busy",)), Scope.RECIPIENT, host),
            ),
        )
        self.assertIs(made.session.state, State.READY)
        self.assertTrue(made.written.endswith(SENT))

    def test_who_was_refused_has_no_answer(self) -> None:
        """
        Those who were refused at RCPT are skipped.
        """
        made = driver().opened().begin(consignment(*THREE))
        made.say(b"250 a\r\n550 5.1.1 no\r\n250 c\r\n550 5.1.1 no\r\n354 go\r\n", b"250 2.0.0 c\r\n")
        self.assertEqual(made.codes(), ["PermanentFailure 550", "Success 250", "PermanentFailure 550"])

    def test_step_by_step(self) -> None:
        """
        Without PIPELINING it is the same.
        """
        made = driver().opened(PLAIN).begin(consignment(*THREE))
        made.say(b"250 a\r\n", b"250 b\r\n", b"250 c\r\n", b"250 d\r\n", b"354 go\r\n")
        made.say(b"250 b\r\n", b"250 c\r\n", b"452 4.2.2 d\r\n")
        self.assertEqual(made.codes(), ["Success 250", "Success 250", "TransientFailure 452"])

    def test_next_transaction(self) -> None:
        """
        The next transaction begins without RSET once all have answered.
        """
        made = driver().opened()
        made.todo = [consignment()]
        made.begin(consignment(*THREE)).say(GO, b"250 b\r\n250 c\r\n")
        self.assertFalse(made.session.state is State.READY)
        made.written = b""
        made.say(b"250 d\r\n")
        self.assertEqual(made.written[:10], b"MAIL FROM:")

    def test_last(self) -> None:
        """
        The QUIT that went with the final dot is answered after all recipients.
        """
        made = driver().opened().begin(consignment(*THREE), last=True).say(GO)
        self.assertTrue(made.written.endswith(b"\r\n.\r\nQUIT\r\n"))
        made.say(b"250 b\r\n250 c\r\n250 d\r\n221 bye\r\n")
        self.assertEqual(made.codes(), ["Success 250"] * 3)
        self.assertIsInstance(made.events[-1], Goodbye)

    def test_nobody(self) -> None:
        """
        Nobody accepted: DATA fails, and the session goes on; a server that wants content all the same is left, as no
        dot would be answered.
        """
        refused = b"250 a\r\n550 5.1.1 no\r\n"
        made = driver().opened().begin(consignment()).say(refused + b"503 5.5.1 no recipients\r\n")
        self.assertEqual((made.codes(), made.session.state), (["PermanentFailure 550"], State.READY))
        made = driver().opened().begin(consignment()).say(refused + b"354 go\r\n")
        self.assertEqual((made.codes(), made.session.state), (["PermanentFailure 550"], State.CLOSED))
        self.assertEqual(made.over().trouble, Trouble.GARBLED)
        self.assertFalse(made.written.endswith(b".\r\n.\r\n"))

    def test_shutting_down(self) -> None:
        """
        421 for one recipient leaves the others theirs; after the last one's the session is over.
        """
        made = driver().opened().begin(consignment(*THREE)).say(GO, b"250 b\r\n421 4.3.2 c\r\n250 d\r\n")
        self.assertEqual(made.codes(), ["Success 250", "TransientFailure 421", "Success 250"])
        self.assertIs(made.session.state, State.READY)
        made = driver().opened().begin(consignment(*THREE)).say(GO, b"250 b\r\n250 c\r\n421 4.3.2 d\r\n")
        self.assertEqual(made.codes(), ["Success 250", "Success 250", "TransientFailure 421"])
        self.assertEqual(made.over().trouble, Trouble.SHUTDOWN)

    def test_lost_among_the_answers(self) -> None:
        """
        Only those whose answer did not come before the connection was lost are in doubt.
        """
        made = driver().opened().begin(consignment(*THREE)).say(GO, b"250 b\r\n550 5.7.1 c\r\n")
        made.act(made.session.connection_lost())
        outcomes = made.ended().outcomes
        self.assertEqual(made.codes(), ["Success 250", "PermanentFailure 550", "TransientFailure 421"])
        self.assertEqual([isinstance(o, TransientFailure) and o.doubtful for o in outcomes], [False, False, True])
        self.assertEqual(made.over().trouble, Trouble.LOST)

    def test_too_few_answers_before_goodbye(self) -> None:
        """
        What answers the QUIT that went with the dot is nobody's verdict: who has none is in doubt.
        """
        for said in (b"250 b\r\n221 2.0.0 bye\r\n", b"250 b\r\n", b"250 b\r\n450 4.2.1 c\r\n221 bye\r\n"):
            made = driver().opened().begin(consignment(*THREE), last=True).say(GO, said)
            made.act(made.session.connection_lost())
            outcomes = made.ended().outcomes
            self.assertEqual((made.codes()[0], made.codes()[2]), ("Success 250", "TransientFailure 421"), said)
            self.assertTrue(isinstance(outcomes[2], TransientFailure) and outcomes[2].doubtful, said)

    def test_too_many_answers(self) -> None:
        """
        An answer too many ends the session, and changes nothing of the verdicts.
        """
        made = driver().opened().begin(consignment()).say(b"250 a\r\n250 b\r\n354 go\r\n", b"250 b\r\n550 5.0.0 x\r\n")
        self.assertEqual(made.codes(), ["Success 250"])
        self.assertEqual(made.over().trouble, Trouble.GARBLED)

    def test_chunks(self) -> None:
        """
        The last chunk is answered for each recipient, too.
        """
        made = driver().opened(CHUNKING).begin(consignment(*THREE, binary=True))
        made.say(b"250 a\r\n250 b\r\n250 c\r\n550 5.1.1 d\r\n")
        self.assertIn(b"BDAT 23 LAST\r\n", made.written)
        made.say(b"250 b\r\n", b"503 5.5.1 c\r\n")
        self.assertEqual(made.codes(), ["Success 250", "PermanentFailure 503", "PermanentFailure 550"])
        self.assertIs(made.session.state, State.READY)

    def test_last_chunk_refused(self) -> None:
        """
        A recipient's refusal of the last chunk is theirs alone; only if the very first answer knows no BDAT another
        connection does without.
        """
        made = driver().opened(CHUNKING).begin(consignment(*THREE, binary=True))
        made.say(b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n", b"552 5.2.2 b\r\n250 c\r\n451 4.3.0 d\r\n")
        self.assertEqual(made.codes(), ["PermanentFailure 552", "Success 250", "TransientFailure 451"])
        made = driver().opened(CHUNKING).begin(consignment(*THREE, binary=True))
        made.say(b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n", b"500 5.5.2 what\r\n")
        self.assertEqual(made.over().trouble, Trouble.CHUNKING)
        self.assertEqual(made.codes(), ["TransientFailure 400"] * 3)

    def test_one_chunk_at_a_time(self) -> None:
        """
        No chunk goes ahead of an answer, whatever the server pipelines.
        """
        made = driver().opened(CHUNKING)
        made.content = b"x" * (3 * 1024 * 1024)
        made.begin(consignment(chunked=True, size=len(made.content)))
        made.say(b"250 a\r\n250 b\r\n")
        for sent in (1, 2):
            self.assertEqual(made.written.count(b"BDAT"), sent)
            made.say(b"250 chunk\r\n")
        self.assertEqual(made.written.count(b"BDAT"), 3)
        made.say(b"250 2.0.0 all\r\n")
        self.assertEqual(made.codes(), ["Success 250"])

    def test_chunk_refused(self) -> None:
        """
        A chunk that is not the last is answered once, and its refusal is everybody's.
        """
        made = driver().opened(CHUNKING)
        made.content = b"x" * (3 * 1024 * 1024)
        made.begin(consignment(*THREE, chunked=True, size=len(made.content)))
        made.say(b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n", b"552 5.3.4 too large\r\n")
        self.assertEqual((made.codes(), made.session.state), (["PermanentFailure 552"] * 3, State.READY))

    @given(st.lists(st.sampled_from(["250 2.0.0", "450 4.2.1", "550 5.7.1", "421 4.3.2"]), min_size=1, max_size=8))
    @settings(max_examples=100, deadline=None)
    def test_any_verdicts(self, verdicts: list[str]) -> None:
        """
        However the answers come, whole or byte by byte, each recipient has the one at their place.
        """
        names = tuple(f"{n}@example.org" for n in range(len(verdicts)))
        accepted = b"250 a\r\n" + b"250 b\r\n" * len(names) + b"354 go\r\n"
        said = "".join(f"{verdict} {n}\r\n" for n, verdict in enumerate(verdicts)).encode()
        for bytewise in (False, True):
            made = driver(bytewise=bytewise).opened().begin(consignment(*names)).say(accepted, said)
            told = [f"{o.reply.code} {o.reply.status} {o.reply.lines[0]}" for o in made.ended().outcomes]
            self.assertEqual(told, [f"{verdict} {n}" for n, verdict in enumerate(verdicts)])


class FinalTests(SynchronousTestCase):
    """
    Nobody comes after an LMTP server.
    """

    def test_dsn(self) -> None:
        """
        A server that knows DSN has the parameters, and tells of success itself; for another one we tell that the mail
        was delivered.
        """
        for ehlo, custody in ((PLAIN, Custody.DELIVERED), (b"250-mx\r\n250 DSN\r\n", Custody.PASSED_ON)):
            made = driver().opened(ehlo).begin(consignment())
            made.say(b"250 a\r\n", b"250 b\r\n", b"354 c\r\n", b"250 d\r\n")
            (outcome,) = made.ended().outcomes
            assert isinstance(outcome, Success)
            self.assertIs(outcome.custody, custody)

    def test_deadline(self) -> None:
        """
        It delivers now, so that it need not know DELIVERBY; once the time is over mail that is to come back does.
        """
        for deliver_by, codes in (
            ((60, "R"), ["Success 250"]),
            ((60, "N"), ["Success 250"]),
            ((-1, "N"), ["Success 250"]),
            ((0, "R"), ["PermanentFailure 554"]),
        ):
            made = driver().opened().begin(consignment(deliver_by=deliver_by))
            made.say(b"250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
            self.assertEqual(made.codes(), codes, deliver_by)

    def test_require_tls(self) -> None:
        """
        REQUIRETLS asks nothing of the server itself: it passes the mail to nobody (RFC 8689).
        """
        made = driver().opened().begin(consignment(parameters={REQUIRE_TLS: ""}))
        made.say(b"250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
        self.assertEqual(made.codes(), ["Success 250"])
        self.assertNotIn(b"REQUIRETLS", made.written)

    def test_what_it_cannot_take(self) -> None:
        """
        What the server cannot take bounces as anywhere.
        """
        made = driver().opened().begin(consignment(size=2000))
        self.assertEqual(made.codes(), ["PermanentFailure 552"])

    def test_probe(self) -> None:
        """
        A probe ends with the answer to RCPT.
        """
        made = driver().opened().begin(consignment(probe=True)).say(b"250 a\r\n250 2.1.5 b\r\n")
        self.assertEqual(made.codes(), ["Success 250"])
