"""
The client session: content in chunks (BDAT, RFC 3030).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import PermanentFailure, Scope, TransientFailure
from empath.smtp.client_chunks import CHUNK_SIZE
from empath.smtp.client_events import State, Trouble
from tests.smtp.client_driver import CONTENT, Driver, consignment

CHUNKING = b"250-mx.example.org\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n"
ONE_BY_ONE = b"250-mx.example.org\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
ENVELOPE = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
TAKEN = b"250 2.1.0 a\r\n250 2.1.5 b\r\n"
LARGE = b"x" * (3 * CHUNK_SIZE + 10)


def large(ehlo: bytes = CHUNKING) -> Driver:
    """
    Begin a transaction of four chunks, and let its recipient be accepted.
    """
    driver = Driver().opened(ehlo)
    driver.content = LARGE
    driver.begin(consignment(chunked=True, size=len(LARGE)))
    return driver.say(TAKEN) if ehlo == CHUNKING else driver.say(b"250 a\r\n", b"250 b\r\n")


def chunks(written: bytes) -> list[str]:
    """
    Name the BDAT commands, and check that each is followed by as many bytes as it says.
    """
    named = []
    while written:
        line, _, rest = written.partition(b"\r\n")
        size = int(line.split()[1])
        assert rest[:size] == b"x" * size, "a chunk is not whole"
        named.append(line.decode())
        written = rest[size:]
    return named


class ChunkTests(SynchronousTestCase):
    """
    Dialogues with servers that offer CHUNKING.
    """

    def test_one_chunk(self) -> None:
        """
        The envelope goes without DATA; once a recipient was accepted the content goes as it is, no dot is stuffed.
        """
        driver = Driver().opened(CHUNKING).begin(consignment(chunked=True))
        self.assertEqual(driver.written, ENVELOPE)
        driver.say(TAKEN)
        self.assertEqual(driver.written, ENVELOPE + b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT)
        self.assertIs(driver.session.state, State.LAST)
        driver.say(b"250 2.0.0 done\r\n")
        self.assertEqual(driver.codes(), ["Success 250"])

    def test_step_by_step(self) -> None:
        """
        Without PIPELINING each command waits, and each chunk.
        """
        driver = large(ONE_BY_ONE)
        full = f"BDAT {CHUNK_SIZE}"
        for expected in ([full], [full] * 2, [full] * 3, [full] * 3 + ["BDAT 10 LAST"]):
            self.assertEqual(chunks(driver.written.removeprefix(ENVELOPE)), expected)
            driver.say(b"250 2.0.0 chunk\r\n")
        self.assertEqual(driver.codes(), ["Success 250"])

    def test_binary(self) -> None:
        """
        Binary content says so, and always goes in chunks.
        """
        driver = Driver().opened(CHUNKING).begin(consignment(binary=True, eight_bit=True))
        self.assertEqual(driver.written, ENVELOPE.replace(b">\r\nRCPT", b"> BODY=BINARYMIME\r\nRCPT"))
        driver.say(TAKEN)
        self.assertIn(b"BDAT 23 LAST\r\n", driver.written)

    def test_not_offered(self) -> None:
        """
        Without CHUNKING content that prefers chunks goes by DATA; binary content does not go: 554 5.6.3.
        """
        without = b"250-mx\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 PIPELINING\r\n"
        driver = Driver().opened(without).begin(consignment(chunked=True))
        self.assertEqual(driver.written, ENVELOPE + b"DATA\r\n")
        driver = Driver().opened(without).begin(consignment(binary=True))
        self.assertEqual((driver.written, driver.codes()), (b"", ["PermanentFailure 554"]))

    def test_pipelined_chunks(self) -> None:
        """
        The second chunk waits for the answer to the first; from then on one is under way ahead of the answers.
        """
        driver = large()
        full = f"BDAT {CHUNK_SIZE}"
        expected = [full]
        for more in ([full, full], ["BDAT 10 LAST"], [], []):
            self.assertEqual(chunks(driver.written.removeprefix(ENVELOPE)), expected)
            driver.say(b"250 chunk\r\n")
            expected += more
        self.assertEqual(chunks(driver.written.removeprefix(ENVELOPE)), expected)
        self.assertEqual(driver.codes(), ["Success 250"])

    def test_pieces(self) -> None:
        """
        A chunk may be given in pieces; too much at once is our own fault.
        """
        driver = Driver().opened(CHUNKING)
        driver.session.begin(consignment(chunked=True))
        driver.session.receive(TAKEN)
        driver.session.take_output()
        self.assertTrue(driver.session.chunked)
        self.assertEqual((driver.session.room, driver.session.left), (23, 23))
        self.assertEqual(driver.session.content(CONTENT[:9]), b"BDAT 23 LAST\r\n" + CONTENT[:9])
        self.assertRaises(RuntimeError, driver.session.content, CONTENT)
        self.assertRaises(RuntimeError, driver.session.end_content)
        self.assertEqual((driver.session.room, driver.session.left, driver.session.state), (14, 14, State.BDAT))
        self.assertEqual(driver.session.content(CONTENT[9:]), CONTENT[9:])
        self.assertEqual(driver.session.room, 0)

    def test_nothing(self) -> None:
        """
        Even content of no bytes has its last chunk.
        """
        driver = Driver().opened(CHUNKING)
        driver.session.begin(consignment(chunked=True, size=0))
        driver.session.receive(TAKEN)
        self.assertEqual(driver.session.content(b""), b"BDAT 0 LAST\r\n")
        self.assertIs(driver.session.state, State.LAST)

    def test_no_recipient(self) -> None:
        """
        Where nobody was accepted, or MAIL was refused, no chunk is sent. RSET precedes the next MAIL.
        """
        for said, outcome in (
            (b"250 a\r\n550 b\r\n", "PermanentFailure 550"),
            (b"451 a\r\n503 b\r\n", "TransientFailure 451"),
        ):
            driver = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(said)
            self.assertEqual((driver.written, driver.codes()), (ENVELOPE, [outcome]))
            self.assertIs(driver.session.state, State.READY)
        driver = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(b"250 a\r\n550 b\r\n")
        driver.written = b""
        self.assertTrue(driver.begin(consignment()).written.startswith(b"RSET\r\nMAIL"))

    def test_reset_step_by_step(self) -> None:
        """
        Without PIPELINING, too, RSET comes first; then MAIL.
        """
        driver = Driver().opened(ONE_BY_ONE).begin(consignment(chunked=True)).say(b"250 a\r\n", b"550 b\r\n")
        driver.begin(consignment()).say(b"250 reset\r\n")
        self.assertTrue(driver.written.endswith(b"RSET\r\nMAIL FROM:<a@example.net>\r\n"))

    def test_only_chunk_refused(self) -> None:
        """
        The answer to the last chunk is the answer to the message; a refused one leaves the state unknown: RSET.
        """
        for said, kind, scope in (
            (b"552 5.3.4 too big\r\n", PermanentFailure, Scope.MESSAGE),
            (b"451 4.7.1 later\r\n", TransientFailure, Scope.MESSAGE),
            (b"452 4.3.1 full\r\n", TransientFailure, Scope.HOST),
        ):
            driver = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(TAKEN, said)
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, PermanentFailure | TransientFailure)
            self.assertEqual((type(outcome), outcome.scope), (kind, scope))
            driver.written = b""
            driver.begin(consignment())
            self.assertTrue(driver.written.startswith(b"RSET\r\nMAIL"))

    def test_first_of_many_refused(self) -> None:
        """
        Nothing goes after a first chunk that was refused, and the session stays.
        """
        driver = large()
        written = driver.written
        driver.say(b"552 5.3.4 too big\r\n")
        self.assertEqual((driver.codes(), driver.written), (["PermanentFailure 552"], written))
        self.assertIs(driver.session.state, State.READY)

    def test_refused_with_one_ahead(self) -> None:
        """
        The answers to the chunks behind a refused one are waited for, and count for nothing.
        """
        for said in (b"503 5.5.1 x\r\n", b"250 x\r\n", b"451 x\r\n"):
            driver = large().say(b"250 one\r\n", b"552 5.3.4 too big\r\n")
            self.assertIs(driver.session.state, State.SPOILED)
            driver.say(said)
            self.assertEqual(driver.codes(), ["PermanentFailure 552"])
            self.assertIs(driver.session.state, State.READY)

    def test_refused_before_the_last(self) -> None:
        """
        The same when the last chunk is among them: even its 250 takes nothing.
        """
        for said in (b"503 5.5.1 x\r\n", b"250 x\r\n"):
            driver = large().say(b"250 1\r\n", b"250 2\r\n")
            self.assertIs(driver.session.state, State.LAST)
            driver.say(b"452 4.3.1 full\r\n")
            self.assertIs(driver.session.state, State.SPOILED)
            driver.say(said)
            self.assertEqual(driver.codes(), ["TransientFailure 452"])

    def test_refused_in_the_middle_of_the_next(self) -> None:
        """
        A chunk that was begun cannot be taken back: the session ends, the refusal counts.
        """
        driver = Driver().opened(CHUNKING)
        session = driver.session
        session.begin(consignment(chunked=True, size=len(LARGE)))
        session.receive(TAKEN)
        session.content(LARGE[:CHUNK_SIZE])
        session.receive(b"250 one\r\n")
        session.content(LARGE[:CHUNK_SIZE])
        session.content(b"x")
        driver.say(b"552 5.3.4 too big\r\n")
        self.assertEqual(driver.codes(), ["PermanentFailure 552"])
        self.assertEqual((driver.over().trouble, session.state), (Trouble.OURS, State.CLOSED))

    def test_answered_early(self) -> None:
        """
        Before a chunk is whole a refusal is transient and ends the session; a success is a protocol error.
        """
        for said, status in ((b"552 5.3.4 x\r\n", "4.3.4"), (b"250 x\r\n", "4.5.0"), (b"354 x\r\n", "4.5.0")):
            driver = Driver().opened(CHUNKING)
            driver.session.begin(consignment(chunked=True))
            driver.session.receive(TAKEN)
            driver.session.content(b"x")
            driver.say(said)
            (outcome,) = driver.ended().outcomes
            self.assertEqual((type(outcome), outcome.reply.enhanced), (TransientFailure, status))
            self.assertIs(driver.session.state, State.CLOSED)

    def test_bdat_unknown(self) -> None:
        """
        A server that offers CHUNKING and does not know BDAT may have read content as commands: leave it at once. That
        is its host's trouble, and never permanent.
        """
        short = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(TAKEN)
        for driver in (large(), short):
            driver.say(b"502 5.5.1 what?\r\n")
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, TransientFailure)
            self.assertEqual((outcome.scope, outcome.reply.code), (Scope.HOST, 402))
            self.assertIs(driver.over().trouble, Trouble.CHUNKING)
            self.assertIs(driver.session.state, State.CLOSED)

    def test_lost(self) -> None:
        """
        Before the last chunk a lost connection changes nothing; after it the message may have arrived (RFC 1047).
        """
        driver = large()
        driver.act(driver.session.connection_lost())
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, TransientFailure)
        self.assertEqual((outcome.scope, str(outcome.reply)), (Scope.SESSION, "421 4.4.2 lost connection at BDAT"))
        driver = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(TAKEN)
        driver.act(driver.session.timed_out())
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, TransientFailure)
        self.assertEqual(outcome.scope, Scope.MESSAGE)
        self.assertIn("more than once", str(outcome.reply))

    def test_shutdown(self) -> None:
        """
        421 to the last chunk says that the mail was not taken.
        """
        driver = Driver().opened(CHUNKING).begin(consignment(chunked=True)).say(TAKEN, b"421 4.3.2 bye\r\n")
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, TransientFailure)
        self.assertEqual((outcome.scope, outcome.reply.code), (Scope.HOST, 421))
