"""
What modules write for reports, and what becomes of those that write nonsense.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.errors import ConfigError, ModuleError
from empath.modules import Draft, IModule, ReportText, blocking
from empath.testing import MockSmtpServer, Mta

RELAY = '[relay]\nnetworks = ["192.0.2.0/24"]\n'


@implementer(IModule)
class Author:
    """
    Answers as it is told, and records what it was asked.
    """

    def __init__(self, answer: Any, name: str = "author") -> None:
        self.name = name
        self.answer = answer
        self.asked: list[Draft] = []

    def report_text(self, report: Draft) -> Any:
        self.asked.append(report)
        report.message.metadata["mine"] = "now"
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@implementer(IModule)
class Waiting:
    name = "waiting"

    async def report_text(self, report: Draft) -> str:
        return "later"


@implementer(IModule)
class Threaded:
    name = "threaded"

    @blocking
    def report_text(self, report: Draft) -> str:
        return "later"


class WritingTests(SynchronousTestCase):
    """
    Tests for `Authors`, in a service.
    """

    def bounced(self, *modules: object) -> bytes:
        """
        Have a message refused; gives the report that its sender gets.
        """
        self.mta = mta = Mta(list(modules), config=RELAY)
        self.addCleanup(mta.stop)
        home = mta.peer("sender.example")
        mta.peer("away.example", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown"))
        mta.client().send("ann@sender.example", ["bob@away.example"], b"Subject: x\r\n\r\nx\r\n")
        mta.advance(2)
        (report,) = home.messages
        return report.content

    def test_the_first_answer_counts(self) -> None:
        """
        Who has none is followed by the next; who comes after is not asked.
        """
        silent, speaks, late = Author(None, "a"), Author(ReportText("Hallo", "Nein"), "b"), Author("No", "c")
        report = self.bounced(silent, speaks, late)
        self.assertIn(b"\r\nHallo\r\n", report)
        self.assertIn(b"Subject: Nein\r\n", report)
        self.assertEqual([len(each.asked) for each in (silent, speaks, late)], [1, 1, 0])
        self.assertIsNot(silent.asked[0].message.metadata, speaks.asked[0].message.metadata)

    def test_what_fails_breaks_no_report(self) -> None:
        """
        Whatever a module raises or gives, it is logged, and the report is made in our words.
        """
        for answer, error in (
            (ZeroDivisionError("oh"), ZeroDivisionError),
            (SystemExit(3), SystemExit),
            (5, ModuleError),
            (b"bytes", ModuleError),
            ("", ValueError),
            (Deferred(), ModuleError),
        ):
            report = self.bounced(Author(answer))
            self.assertIn(b"This is the mail system at", report)
            self.assertEqual([fault.type for fault in self.mta.faults], [error], str(answer))
            self.assertEqual(len(self.flushLoggedErrors(error)), 1)

    def test_it_answers_at_once(self) -> None:
        """
        A coroutine, or what blocks, is refused at the start.
        """
        for module in (Waiting(), Threaded()):
            self.assertRaises(ConfigError, Mta, [module])
