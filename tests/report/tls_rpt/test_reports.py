"""
Who gets which report, and when it is tried again.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.errors import SpoolError
from empath.mail.message import Message
from empath.policy.tls_rpt import Web
from empath.report.tls_rpt.ledger import SPREAD
from empath.report.tls_rpt.reports import TlsReports, submitter_of
from empath.report.tls_rpt.writing import Report
from tests.report.tls_rpt.support import DAY, MIDNIGHT, SENDER, SUBMITTER, FakeResolver, FakeStorage, tried

OVER = MIDNIGHT + DAY + SPREAD


class ReportsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(MIDNIGHT + DAY / 2)
        self.storage = FakeStorage()
        self.resolver = FakeResolver()
        self.mails: list[Message] = []
        self.mail_trouble: SpoolError | None = None
        self.posts: list[tuple[str, Report]] = []
        self.post_trouble = ""
        self.reports = self.made()

    def made(self) -> TlsReports:
        """
        Make the reports of a service that has just started.
        """
        made = TlsReports(SUBMITTER, self.clock, random.Random(1), self.storage, self.resolver, self.submit, self.post)
        self.successResultOf(Deferred.fromCoroutine(made.restore()))
        return made

    def submit(self, message: Message) -> Awaitable[None]:
        """
        Store a mail, or trouble.
        """
        if self.mail_trouble is not None:
            return fail(self.mail_trouble)
        self.mails.append(message)
        return succeed(None)

    def post(self, web: Web, report: Report) -> Awaitable[str]:
        """
        Take a report, or not.
        """
        self.posts.append((web.url, report))
        return succeed(self.post_trouble)

    def wants(self, rua: str, domain: str = "one.test") -> None:
        """
        Let a domain ask for reports.
        """
        self.resolver.texts[f"_smtp._tls.{domain}"] = (f"v=TLSRPTv1; rua={rua}",)

    def round(self, at: float = OVER) -> list[str]:
        """
        Let a round pass at a time; tells what was logged.
        """
        self.clock.advance(at - self.clock.seconds())
        with capturedLogs() as events:
            self.successResultOf(Deferred.fromCoroutine(self.reports.round()))
        return [event["log_format"].format(**event) for event in events]

    def test_nobody_reports(self) -> None:
        """
        While it is not said by whom, nothing goes out; what is still of use does when it is said again.
        """
        self.wants("mailto:tls@two.test")
        self.counted("one.test")
        self.reports.submitter = None
        self.assertEqual((self.round(), self.mails), ([], []))
        self.reports.submitter = SUBMITTER
        self.round(OVER + 60)
        self.assertEqual(len(self.mails), 1)

    def counted(self, *domains: str) -> None:
        """
        Count a session with each of these.
        """
        for domain in domains or ("one.test",):
            self.reports.collect(tried(domain))

    def test_by_mail(self) -> None:
        """
        One mail to all mailboxes, once the day is over, and no second one.
        """
        self.wants("mailto:a@one.test,mailto:b@two.test")
        self.counted()
        self.round(MIDNIGHT + DAY - 1)
        self.assertEqual((self.mails, self.resolver.asked), ([], []))
        self.round()
        self.round(OVER + 3600)
        [mail] = self.mails
        self.assertEqual(mail.envelope.reverse_path, SENDER)
        self.assertEqual([str(each.address) for each in mail.envelope.recipients], ["a@one.test", "b@two.test"])
        self.assertEqual(self.storage.kept, {})

    def test_by_https(self) -> None:
        """
        To each server.
        """
        self.wants("https://one.test/a,https://one.test/b")
        self.counted()
        self.round()
        self.assertEqual([url for url, _ in self.posts], ["https://one.test/a", "https://one.test/b"])
        self.assertEqual(self.posts[0][1].domain, "one.test")
        self.assertEqual((self.mails, self.storage.kept), ([], {}))

    def test_who_asks_for_nothing(self) -> None:
        """
        Gets nothing, and nothing of it is kept.
        """
        self.resolver.texts["_smtp._tls.two.test"] = ("v=spf1 -all",)
        self.counted("one.test", "two.test", "[192.0.2.1]")
        self.assertEqual(self.round(), [])
        self.assertEqual((self.mails, self.posts, self.storage.kept), ([], [], {}))
        self.assertEqual(len(self.resolver.asked), 2)

    def test_a_look_up_that_fails(self) -> None:
        """
        Is made again later.
        """
        self.resolver.later = True
        self.resolver.texts["_smtp._tls.one.test"] = None
        self.counted()
        [line] = self.round()
        self.assertIn("waits: look-up of _smtp._tls.one.test TXT failed", line)
        self.wants("mailto:a@one.test")
        self.round(OVER + 60)
        self.assertEqual(self.mails, [])
        self.round(OVER + 900)
        self.assertEqual(len(self.mails), 1)

    def test_only_those_who_have_not_got_it(self) -> None:
        """
        Get it again, also after a restart.
        """
        self.wants("mailto:a@one.test,https://one.test/a")
        self.post_trouble = "the answer is 503"
        self.counted()
        [_, line] = self.round()
        self.assertEqual(line, "TLS report about one.test waits: one.test: the answer is 503")
        self.reports = self.made()
        self.post_trouble = ""
        self.round(OVER + 900)
        self.assertEqual((len(self.mails), len(self.posts)), (1, 2))
        self.assertEqual(self.storage.kept, {})

    def test_who_has_it_is_not_asked_again(self) -> None:
        """
        Whatever went wrong with the mail.
        """
        self.wants("mailto:a@one.test,https://one.test/a")
        self.mail_trouble = SpoolError("the disk is full")
        self.counted()
        self.assertIn("not stored: the disk is full", self.round()[-1])
        self.mail_trouble = None
        self.round(OVER + 900)
        self.assertEqual((len(self.mails), len(self.posts)), (1, 1))

    def test_it_ends(self) -> None:
        """
        After a day nothing is tried any more (RFC 8460 §5.5).
        """
        self.wants("https://one.test/a")
        self.post_trouble = "the answer is 404"
        self.counted()
        lines = [line for nth in range(400) for line in self.round(OVER + 300 * nth)]
        self.assertTrue(lines[-1].startswith("TLS report about one.test given up"))
        self.assertTrue(5 < len(lines) < 15, len(lines))
        self.assertEqual(self.storage.kept, {})

    def test_many(self) -> None:
        """
        All domains have theirs, each about itself.
        """
        domains = [f"d{nth}.test" for nth in range(30)]
        for domain in domains:
            self.wants(f"mailto:tls@{domain}", domain)
        self.counted(*domains)
        self.round()
        told = sorted(mail.envelope.recipients[0].address.domain for mail in self.mails)
        self.assertEqual(told, sorted(domains))

    def test_a_stop(self) -> None:
        """
        Keeps what was counted for the next start.
        """
        self.wants("mailto:a@one.test")
        self.counted()
        self.successResultOf(Deferred.fromCoroutine(self.reports.stop()))
        self.reports = self.made()
        self.round()
        self.assertEqual(len(self.mails), 1)


class SubmitterTests(SynchronousTestCase):
    def test_off_until_all_is_set(self) -> None:
        """
        Who reports has to be known.
        """
        whole = {"organization": "Origin Inc.", "contact": "postmaster@origin.test", "sender": str(SENDER)}
        self.assertEqual(submitter_of(schema.TlsRpt(**whole)), SUBMITTER)
        for name in whole:
            self.assertIsNone(submitter_of(schema.TlsRpt(**{**whole, name: ""})))
