"""
A module in shadow mode is asked and told as any other, and changes nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.decision import MOST, Decision
from empath.mail.session import Session, Transaction
from empath.modules.row import guard_of
from empath.modules.shadow import ShadowGuard, Shadows
from empath.observe.metrics.modules import ModulesCounts
from empath.policy.verdict import Verdict, accept, discard, refuse
from tests.modules.hosting import watch
from tests.modules.support import recipient, session, transaction

NO = refuse("550 5.7.1 no", "because")


def _said(verdict: Verdict, *subject: object) -> Verdict:
    return verdict


class Content:
    """
    Tells copies from itself.
    """

    def __init__(self, of: Content | None = None) -> None:
        self.of = of

    def shadow(self) -> Content:
        """
        Copy.
        """
        return Content(self)

    def mark(self) -> None:
        """
        There is nothing to remember.
        """


class ShadowTests(SynchronousTestCase):
    """
    One module in shadow mode, asked at every step.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = ModulesCounts().of("test")
        self.watch = watch(self.clock, self.counts, shadow=True, timeout=5.0)
        self.shadows = Shadows()
        self.session = session(metadata={"service": "smtp"})
        self.transaction = transaction(metadata={"service": "smtp"})

    def ask(self, hook: str, ask: Callable[..., Any], *subject: Any) -> Any:
        """
        Ask it at one step.
        """
        return ShadowGuard("test", guard_of(self.watch, hook, ask), self.shadows)(*subject)

    def ask_of_mail(self, ask: Callable[[Any, Any], Any]) -> Any:
        """
        Ask it at MAIL.
        """
        return self.ask("mail_from", ask, self.session, self.transaction)

    def test_what_it_decides_is_told_and_not_done(self) -> None:
        """
        A record with the transaction, a count of its own, a line in the log.
        """
        with capturedLogs() as events:
            for verdict in (NO, discard("spam"), accept("fine")):
                self.assertIsNone(self.ask_of_mail(partial(_said, verdict)))
        self.assertEqual(
            [(each.verdict, each.reply, each.why, each.shadow) for each in self.transaction.decisions],
            [("refuse", "550 5.7.1 no", "because", True), ("discard", "", "spam", True), ("accept", "", "fine", True)],
        )
        self.assertEqual(
            self.counts.hook("mail_from").verdicts, {"shadow-refuse": 1, "shadow-discard": 1, "shadow-accept": 1}
        )
        self.assertEqual([(event["log_level"], event["queue_id"]) for event in events], [(LogLevel.info, "Q1")] * 2)

    def test_of_a_session_too(self) -> None:
        """
        The record goes to the session, up to the bound.
        """
        self.assertIsNone(self.ask("connect", lambda session: NO, self.session))
        self.assertIsNone(self.ask("ehlo", lambda session, name: NO, self.session, "client"))
        self.assertEqual(
            [(each.hook, each.shadow) for each in self.session.decisions], [("connect", True), ("ehlo", True)]
        )
        self.session.decisions = (Decision("x", "x", "accept"),) * MOST
        self.ask("connect", lambda session: NO, self.session)
        self.assertEqual(len(self.session.decisions), MOST)

    def test_a_failure_is_recorded_and_harms_nobody(self) -> None:
        """
        At once, or late.
        """
        self.assertIsNone(self.ask_of_mail(lambda session, mail: 5))
        late = self.ask_of_mail(lambda session, mail: Deferred())
        self.clock.advance(5)
        self.assertIsNone(self.successResultOf(late))
        self.assertEqual([(each.verdict, each.shadow) for each in self.transaction.decisions], [("error", True)] * 2)
        self.assertEqual(self.counts.hook("mail_from").errors, 2)

    def test_what_it_awaits(self) -> None:
        """
        Its opinion comes later, and is none; a session that goes away cancels the wait.
        """
        waiting: Deferred[Verdict] = Deferred()
        answer = self.ask_of_mail(lambda session, mail: waiting)
        self.assertNoResult(answer)
        waiting.callback(NO)
        self.assertIsNone(self.successResultOf(answer))
        self.assertEqual(len(self.transaction.decisions), 1)
        answer = self.ask_of_mail(lambda session, mail: Deferred())
        answer.cancel()
        self.failureResultOf(answer, CancelledError)

    def test_what_it_changes_is_its_own(self) -> None:
        """
        Nothing of it is in the session, the transaction or the content; it finds it again itself.
        """
        seen: list[Any] = []

        def mail_from(session: Session, mail: Transaction) -> None:
            session.metadata["client"] = mail.metadata["id"] = "x"
            mail.reverse_path, mail.priority = None, 5
            mail.parameters["SIZE"] = "1"
            mail.hold("look")

        def rcpt_to(session: Session, mail: Transaction, to: Any) -> None:
            mail.rewrite(to, parse_address("other@example.net"))

        def data(session: Session, mail: Transaction, content: Content) -> None:
            seen.extend((session.metadata, mail.metadata, mail.reverse_path, mail.held, mail.recipients, content.of))
            mail.recipients.clear()

        before = repr(self.transaction), repr(self.session)
        self.ask_of_mail(mail_from)
        self.assertEqual((repr(self.transaction), repr(self.session)), before)
        to = recipient("user@example.org")
        self.ask("rcpt_to", rcpt_to, self.session, self.transaction, to)
        self.transaction.accept(to)
        content = Content()
        self.ask("data", data, self.session, self.transaction, content)
        self.assertEqual(self.transaction.recipients, [to])
        marked = {"service": "smtp", "client": "x"}, {"service": "smtp", "id": "x"}
        self.assertEqual((*seen[:4], seen[5]), (*marked, None, "look", content))

    def test_it_sees_what_happens(self) -> None:
        """
        Later steps of the session, recipients and what other modules change.
        """
        self.ask("connect", lambda session: session.metadata.update(mine="1", gone="2"), self.session)
        self.ask_of_mail(lambda session, mail: mail.metadata.update(own="x"))
        self.session.name, self.session.tls = "client.example", "TLSv1.3"
        self.session.metadata.update(service="other", new="n")
        self.transaction.metadata.pop("service")
        self.transaction.reverse_path, self.transaction.priority = None, 3
        for name in ("a", "b"):
            self.transaction.accept(recipient(f"{name}@example.org"))
        seen: list[Any] = []
        self.ask_of_mail(lambda session, mail: seen.extend((session, mail)))
        ours, theirs = seen
        self.assertEqual((ours.name, ours.tls), ("client.example", "TLSv1.3"))
        self.assertEqual(ours.metadata, {"service": "other", "mine": "1", "gone": "2", "new": "n"})
        self.assertEqual((theirs.metadata, theirs.reverse_path, theirs.priority), ({"own": "x"}, None, 3))
        self.assertEqual((theirs.recipients, theirs.accepted), (self.transaction.recipients, 2))
        self.transaction.recipients.pop(0)
        self.ask_of_mail(lambda session, mail: None)
        self.assertEqual(theirs.recipients, self.transaction.recipients)

    def test_recipients_come_as_it_rewrote_them(self) -> None:
        """
        For itself only.
        """
        to = recipient("user@example.org")
        other = parse_address("other@example.net")
        self.ask("rcpt_to", lambda session, mail, to: mail.rewrite(to, other), self.session, self.transaction, to)
        self.transaction.accept(to)
        seen: list[Any] = []
        self.ask_of_mail(lambda session, mail: seen.extend(mail.recipients))
        self.assertEqual([each.address for each in seen], [other])

    def test_whatever_it_makes_of_a_copy(self) -> None:
        """
        At once or when nobody looks: nobody notices, and the next step has another copy.
        """
        kept: list[Any] = []
        for name in ("metadata", "recipients", "decisions", "queue_id", "accepted"):
            for spoil in (partial(_delete, name), partial(_spoil, name)):
                self.setUp()
                self.assertIsNone(self.ask_of_mail(lambda session, mail: kept.extend([mail])))
                spoil(kept.pop())
                self.transaction.metadata["more"] = name
                self.assertIsNone(self.ask_of_mail(lambda session, mail: None))
                self.assertIsNone(self.ask_of_mail(lambda session, mail: spoil(mail)))  # noqa: B023 called at once
                self.assertIsNone(self.ask_of_mail(lambda session, mail: NO))
                self.assertEqual(self.transaction.decisions[-1].verdict, "refuse")
                waiting: Deferred[None] = Deferred()
                self.assertIsNone(self.ask_of_mail(lambda session, mail: kept.extend([mail])))
                answer = self.ask_of_mail(lambda session, mail: waiting)  # noqa: B023 called at once
                spoil(kept.pop())
                waiting.callback(None)
                self.assertIsNone(self.successResultOf(answer))
        self.flushLoggedErrors(AttributeError, ArithmeticError, TypeError)

    def test_the_parameters_of_a_recipient_are_its_own(self) -> None:
        """
        As all that it is asked about.
        """
        to = recipient()
        self.ask(
            "rcpt_to",
            lambda session, mail, to: to.parameters.update(NOTIFY="NEVER"),
            self.session,
            self.transaction,
            to,
        )
        self.assertEqual(to.parameters, {})

    def test_copies_end_with_what_they_are_of(self) -> None:
        """
        A session that is over leaves nothing behind.
        """
        self.ask_of_mail(lambda session, mail: None)
        self.assertEqual(len(self.shadows._copies), 2)
        self.session, self.transaction = session(), transaction()
        gc.collect()
        self.assertEqual(len(self.shadows._copies), 0)


class _Bomb:
    """
    Does not let itself be compared.
    """

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    __hash__ = None  # type: ignore[assignment]


def _delete(name: str, subject: Any) -> None:
    delattr(subject, name)


def _spoil(name: str, subject: Any) -> None:
    setattr(subject, name, _Bomb())
