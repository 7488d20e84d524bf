"""
The chain asks its checks in order, and never fails.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.interfaces import IDecisions, MaybeVerdict
from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.session import Session, Transaction
from empath.modules.chain import CHANGED, FAULT, Chain
from empath.policy.verdict import ACCEPTED, Verdict, discard, refuse

NO = refuse("550 5.7.1 no")
SESSION = Session("s", "192.0.2.1", 1, "tcp:25", "mta", 0.0)
TRANSACTION = Transaction("Q", 0.0, None, {})
RECIPIENT = Recipient(parse_address("a@b.example"))


class Check:
    """
    Judges MAIL, and RCPT as it does MAIL; records that it was asked.
    """

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked = 0

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict:
        """
        Give the answer, or raise it.
        """
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # tests give Awaitables too

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        The same.
        """
        return self.mail_from(session, transaction)


class ChainTests(SynchronousTestCase):
    """
    Order, first refusal, waiting, faults.
    """

    def ask(self, *checks: Check) -> object:
        """
        Ask a chain of these about MAIL.
        """
        return Chain(checks).mail_from(SESSION, TRANSACTION)

    def test_provides_the_seam(self) -> None:
        """
        The chain is what reception asks.
        """
        verifyObject(IDecisions, Chain([]))

    def test_no_opinion(self) -> None:
        """
        Stages without checks, and checks without opinion, let everything pass at once.
        """
        chain = Chain([Check(None), Check(ACCEPTED)])
        self.assertIsNone(chain.connect(SESSION))
        self.assertIsNone(chain.ehlo(SESSION, "c"))
        self.assertIsNone(chain.mail_from(SESSION, TRANSACTION))
        self.assertIsNone(chain.rcpt_to(SESSION, TRANSACTION, RECIPIENT))
        self.assertIsNone(Chain([]).rcpt_to(SESSION, TRANSACTION, RECIPIENT))
        self.assertIsNone(Chain([]).mail_from(SESSION, TRANSACTION))

    def test_every_stage(self) -> None:
        """
        Each stage asks the method of its name.
        """

        class All:
            def __getattr__(self, name: str) -> object:
                return lambda *subject: refuse(f"550 5.7.1 {name} {len(subject)}")

        chain = Chain([All()])
        told = [
            chain.connect(SESSION),
            chain.ehlo(SESSION, "c"),
            chain.mail_from(SESSION, TRANSACTION),
            chain.rcpt_to(SESSION, TRANSACTION, RECIPIENT),
            chain.data(SESSION, TRANSACTION, None),  # type: ignore[arg-type]  # nobody looks at it
        ]
        texts = [str(verdict.reply)[10:] for verdict in told if isinstance(verdict, Verdict)]
        self.assertEqual(texts, ["connect 1", "ehlo 2", "mail_from 2", "rcpt_to 3", "data 3"])

    def test_first_refusal_wins(self) -> None:
        """
        After a refusal nobody is asked; acceptance ends nothing; to discard is a decision too.
        """
        last = Check(refuse("550 5.7.1 never heard"))
        self.assertIs(self.ask(Check(None), Check(ACCEPTED), Check(NO), last), NO)
        self.assertEqual(self.ask(Check(discard()), last), discard())
        self.assertEqual(last.asked, 0)

    def test_waits(self) -> None:
        """
        A check that has to wait is waited for before the next is asked.
        """
        for first, expected in ((None, NO), (ACCEPTED, NO), (discard(), discard())):
            waiting: Deferred[MaybeVerdict] = Deferred()
            second = Check(NO)
            answer = self.ask(Check(waiting), second)
            assert isinstance(answer, Deferred)
            self.assertNoResult(answer)
            self.assertEqual(second.asked, 0)
            waiting.callback(first)
            self.assertEqual(self.successResultOf(answer), expected)

    def test_waits_again(self) -> None:
        """
        One that waits may follow another.
        """

        async def no() -> MaybeVerdict:
            return NO

        answer = self.ask(Check(succeed(None)), Check(None), Check(no()))
        assert isinstance(answer, Deferred)
        self.assertIs(self.successResultOf(answer), NO)
        answer = self.ask(Check(succeed(None)), Check(None))
        assert isinstance(answer, Deferred)
        self.assertIsNone(self.successResultOf(answer))

    def test_faults(self) -> None:
        """
        A check that raises or fails is logged as a bug and answers 451.
        """
        self.assertIs(self.ask(Check(ZeroDivisionError())), FAULT)
        waiting: Deferred[MaybeVerdict] = Deferred()
        answer = self.ask(Check(waiting))
        assert isinstance(answer, Deferred)
        waiting.errback(ZeroDivisionError())
        self.assertIs(self.successResultOf(answer), FAULT)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_cancelled(self) -> None:
        """
        Who no longer needs the answer cancels what is waited for.
        """
        waiting: Deferred[MaybeVerdict] = Deferred()
        answer = self.ask(Check(waiting))
        assert isinstance(answer, Deferred)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertTrue(waiting.called)


class PassingOnTests(SynchronousTestCase):
    """
    Checks that are replaced, and those who connect before there are any.
    """

    def setUp(self) -> None:
        self.old, self.new = Check(NO), Check(None)
        self.chain = Chain([self.old])

    def test_a_transaction_goes_on_as_it_began(self) -> None:
        """
        New ones are judged by the new checks, at every step; more than one set may be on its way out.
        """
        before, between, after = (
            Transaction(name, started, None, {}) for name, started in (("a", 1.0), ("b", 3.0), ("c", 5.0))
        )
        self.chain.use([self.new], 2.0)
        third = Check(discard())
        self.chain.use([third], 4.0)
        for transaction, answer in ((before, NO), (between, None), (after, discard())):
            self.assertEqual(self.chain.mail_from(SESSION, transaction), answer)
            self.assertEqual(self.chain.rcpt_to(SESSION, transaction, RECIPIENT), answer)
        self.assertIsNone(self.chain.data(SESSION, before, None))  # type: ignore[arg-type]  # nobody looks at it
        self.assertTrue(self.chain.judges_data)

    def test_a_transaction_that_lasts_too_long_is_tried_again(self) -> None:
        """
        Its checks have gone: 451. Once there are no such transactions any more, nothing is remembered of them.
        """
        transaction = Transaction("a", 1.0, None, {})
        first, second = self.chain.use([self.new], 2.0), self.chain.use([], 3.0)
        self.chain.refuse_before(first)
        self.assertIs(self.chain.rcpt_to(SESSION, transaction, RECIPIENT), CHANGED)
        self.assertIs(self.chain.data(SESSION, transaction, None), CHANGED)  # type: ignore[arg-type]  # as above
        self.assertIsNone(self.chain.rcpt_to(SESSION, Transaction("b", 2.5, None, {}), RECIPIENT))
        self.chain.forget(first)
        self.assertIsNone(self.chain.rcpt_to(SESSION, transaction, RECIPIENT))
        self.assertEqual(self.new.asked, 2)
        self.chain.forget(second)
        self.assertFalse(self.chain.judges_data)

    def test_who_connects_too_early_waits(self) -> None:
        """
        Until the modules are there; who goes away meanwhile is forgotten.
        """

        class AtConnect:
            def connect(self, session: Session) -> MaybeVerdict:
                return NO

        chain = Chain([AtConnect()])
        chain.hold()
        chain.hold()
        first, second = chain.connect(SESSION), chain.connect(SESSION)
        assert isinstance(first, Deferred)
        assert isinstance(second, Deferred)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        chain.open()
        self.assertIs(self.successResultOf(second), NO)
        self.assertIs(chain.connect(SESSION), NO)
        chain.open()
