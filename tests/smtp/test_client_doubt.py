"""
The client session when nobody knows whose the message is (RFC 1047).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import State
from empath.smtp.client_findings import MAYBE_TWICE, doubtful, without_doubt
from tests.smtp.client_driver import Driver, consignment

CHUNKING = b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
ENVELOPE = b"250 a\r\n250 b\r\n550 5.1.1 c\r\n"
TURNS = (b"220 hello\r\n", CHUNKING, ENVELOPE, b"354 go\r\n", b"250 done\r\n")
ENDS = ("connection_lost", "timed_out", "garbled")


def cut(driver: Driver, end: str) -> None:
    """
    End a session before its time.
    """
    if end == "garbled":
        driver.say(b"what\r\n")
    else:
        driver.act(getattr(driver.session, end)())


class DoubtTests(SynchronousTestCase):
    """
    From the last byte of the content to the answer, the server may have taken it.
    """

    def test_after_the_content(self) -> None:
        """
        However the session ends once all content was given, those who have no outcome are in doubt; nobody is before.
        """
        for binary in (False, True):
            for turns in range(2, 5):
                for end in ENDS:
                    driver = Driver().opened(CHUNKING).begin(consignment("b@x.org", "c@x.org", binary=binary))
                    driver.say(*[turn for turn in TURNS[2:turns] if not (binary and turn.startswith(b"354"))])
                    doubt = driver.session.in_doubt
                    self.assertEqual(doubt, turns == 4 or (binary and turns == 3))
                    cut(driver, end)
                    told = [isinstance(o, TransientFailure) and o.doubtful for o in driver.ended().outcomes]
                    self.assertEqual(told, [doubt, False], (binary, turns, end))

    def test_an_answer_is_no_doubt(self) -> None:
        """
        A server that says no, 421 included, has not taken the mail.
        """
        for answer in (b"421 4.3.2 closing\r\n", b"451 4.3.0 later\r\n", b"554 5.6.0 no\r\n"):
            driver = Driver().opened().begin(consignment()).say(b"250 a\r\n250 b\r\n354 c\r\n", answer)
            (outcome,) = driver.ended().outcomes
            self.assertFalse(isinstance(outcome, TransientFailure) and outcome.doubtful)

    def test_half_given(self) -> None:
        """
        Half a message is no message: no doubt while content is still to come.
        """
        driver = Driver().opened()
        driver.session.begin(consignment())
        driver.session.receive(b"250 a\r\n250 b\r\n354 c\r\n")
        driver.session.content(b"x")
        self.assertIs(driver.session.state, State.CONTENT)
        driver.act(driver.session.connection_lost())
        (outcome,) = driver.ended().outcomes
        self.assertFalse(isinstance(outcome, TransientFailure) and outcome.doubtful)

    def test_whose_content_never_went(self) -> None:
        """
        The same failure for others has neither the doubt nor the warning.
        """
        failure = doubtful(Reply(421, "4.4.2", ("lost connection",)))
        self.assertEqual((failure.doubtful, failure.scope), (True, Scope.MESSAGE))
        self.assertTrue(failure.reply.lines[0].endswith(MAYBE_TWICE))
        sure = without_doubt(failure)
        self.assertEqual(sure, TransientFailure(Reply(421, "4.4.2", ("lost connection",)), Scope.MESSAGE))
        self.assertIs(without_doubt(sure), sure)
