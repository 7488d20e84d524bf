from __future__ import annotations

import re

import attrs
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life
from empath.mail.answer import Answer, Found, Security
from empath.mail.message import Message, Status
from empath.mail.notice import Action
from empath.mail.session import Transaction
from empath.mail.trace_context import TraceContext, span_id_of
from empath.observe.life import LifeEvents
from empath.observe.logs.journal import Journal
from empath.observe.logs.lines import MAX_REPLY, make_observer
from tests.observe import made

PFLOGSUMM_TO = re.compile(
    r"^\w+: to=<([^>]*)>, (?:orig_to=<[^>]*>, )?relay=([^,]+), (?:conn_use=[^,]+, )?"
    r"delay=([^,]+), (?:delays=[^,]+, )?(?:dsn=[^,]+, )?status=(\S+)(.*)$"
)


class JournalTests(SynchronousTestCase):
    level = "info"

    def setUp(self) -> None:
        self.lines: list[str] = []
        observer = make_observer(schema.Log(), lambda line: self.lines.append(line.partition("Z ")[2].rstrip("\n")))
        observer.set_level(self.level)
        clock = MemoryReactorClock()
        clock.advance(1795255200)
        self.events = LifeEvents()
        Journal(clock, observer, observer.shows).listen(self.events)

    def told(self, event: life.LifeEvent) -> list[str]:
        self.lines.clear()
        self.events.emit(event)
        return self.lines


class ReceivedTests(JournalTests):
    def test_a_message_that_came_makes_one_line(self) -> None:
        self.assertEqual(
            self.told(life.MessageReceived(made.message(to=("b@dst.test", "c@dst.test")), made.session(), 0.1)),
            [
                f"info receive: {made.QUEUE_ID}: from=<a@src.test>, size=4096, nrcpt=2, "
                "client=unknown[192.0.2.9]:40123, helo=<client.test>, proto=ESMTP"
            ],
        )

    def test_the_null_reverse_path_and_our_own_reports_are_told(self) -> None:
        self.assertEqual(
            self.told(life.MessageReceived(made.message(sender=None), None, 0.0)),
            [f"info receive: {made.QUEUE_ID}: from=<>, size=4096, nrcpt=1, client=local, helo=<>, proto=internal"],
        )

    def test_a_unix_client_has_no_port(self) -> None:
        [line] = self.told(life.MessageReceived(made.message(), made.session(peer="unix", port=0), 0.0))
        self.assertIn("client=unknown[unix],", line)

    def test_login_and_tls_are_told_where_there_are_some(self) -> None:
        for session, told in (
            (made.session(protocol="ESMTPS", tls="TLSv1.3"), "proto=ESMTPS, tls=TLSv1.3"),
            (made.session(protocol="ESMTPA", login="ann"), "proto=ESMTPA, login=<ann>"),
            (
                made.session(protocol="ESMTPSA", login="ann", tls="TLSv1.3"),
                "proto=ESMTPSA, login=<ann>, tls=TLSv1.3",
            ),
        ):
            [line] = self.told(life.MessageReceived(made.message(), session, 0.0))
            self.assertTrue(line.endswith(told), line)


class AttemptTests(JournalTests):
    def test_each_recipient_has_its_line(self) -> None:
        event = made.attempt_ended(
            made.state("b@dst.test", Status.COMPLETED, "250 2.0.0 Ok: queued as 77", "mx.dst.test"),
            made.state("c@dst.test", Status.RETRY, "451 4.7.1 later", "mx.dst.test"),
            made.state("d@dst.test", Status.FAILED, "550 5.1.1 no such user", "mx.dst.test"),
            made.state("e@dst.test", Status.EXPIRED, "451 4.4.1 no answer from host"),
        )
        common = "relay=mx.dst.test[192.0.2.1]:25, delay=3.5, delays=1.00/0.25/0.75/1.50"
        self.assertEqual(
            self.told(event),
            [
                f"info deliver: {made.QUEUE_ID}: to=<b@dst.test>, {common}, dsn=2.0.0, status=sent "
                "(250 2.0.0 Ok: queued as 77)",
                f"info deliver: {made.QUEUE_ID}: to=<c@dst.test>, {common}, dsn=4.7.1, status=deferred "
                "(host mx.dst.test said: 451 4.7.1 later)",
                f"info deliver: {made.QUEUE_ID}: to=<d@dst.test>, {common}, dsn=5.1.1, status=bounced "
                "(host mx.dst.test said: 550 5.1.1 no such user)",
                f"info deliver: {made.QUEUE_ID}: to=<e@dst.test>, {common}, dsn=4.4.1, status=expired "
                "(451 4.4.1 no answer from host)",
            ],
        )

    def test_log_tools_for_postfix_can_read_them(self) -> None:
        for status in (Status.COMPLETED, Status.RETRY, Status.FAILED, Status.EXPIRED):
            [line] = self.told(made.attempt_ended(made.state("b@dst.test", status, "450 4.1.1 (odd) reply")))
            self.assertRegex(line.partition("deliver: ")[2], PFLOGSUMM_TO)

    def test_an_attempt_that_reached_no_host_has_no_relay(self) -> None:
        timing = made.attempt(host="", address="", port=0, resolved=0.0, connected=0.0, sent=0.0, ended=1001.5)
        [line] = self.told(made.attempt_ended(made.state(status=Status.RETRY, said="451 4.4.3 no DNS"), timing=timing))
        self.assertIn("relay=none, delay=1.5, delays=1.00/0.00/0.00/0.50,", line)

    def test_a_socket_has_no_port(self) -> None:
        timing = made.attempt(host="localhost", address="/run/lmtp", port=0)
        [line] = self.told(made.attempt_ended(made.state(said="250 2.0.0 kept"), timing=timing))
        self.assertIn("relay=localhost[/run/lmtp], ", line)

    def test_a_delivery_on_this_machine_is_local(self) -> None:
        [line] = self.told(made.attempt_ended(made.state(said="250 2.0.0 kept"), timing=made.attempt(host="")))
        self.assertIn("relay=local,", line)

    def test_the_time_until_tls_is_up_counts_as_connecting(self) -> None:
        [line] = self.told(made.attempt_ended(made.state(said="250 ok"), timing=made.attempt(secured=1002.5)))
        self.assertIn("delays=1.00/0.25/1.25/1.00, dsn=2.0.0,", line)

    def test_a_clock_set_back_makes_no_negative_delay(self) -> None:
        timing = made.attempt(started=900.0, resolved=0.0, connected=0.0, ended=900.5)
        [line] = self.told(made.attempt_ended(made.state(said="250 ok"), timing=timing))
        self.assertIn("delay=0.0, delays=0.00/0.00/0.00/0.50,", line)

    def test_a_message_that_was_released_later_is_no_older_than_its_release(self) -> None:
        [line] = self.told(made.attempt_ended(made.state(said="250 ok"), begun=1000.75))
        self.assertIn("delay=2.75, delays=0.25/0.25/0.75/1.50,", line)

    def test_a_recipient_that_was_never_tried_is_told_too(self) -> None:
        [line] = self.told(made.attempt_ended(made.state(status=Status.EXPIRED)))
        self.assertTrue(line.endswith("dsn=4.0.0, status=expired (no attempt was made)"), line)

    def test_a_talkative_peer_is_cut_short(self) -> None:
        [line] = self.told(made.attempt_ended(made.state(said="250 " + "x" * 5000)))
        self.assertLess(len(line), MAX_REPLY + 300)
        self.assertTrue(line.endswith("…)"))


class RefusalTests(JournalTests):
    def test_a_refusal_tells_client_verb_and_reply(self) -> None:
        self.assertEqual(
            self.told(made.refused("550 5.5.2 what?", verb="")),
            ["info receive: NOQUEUE: reject: UNKNOWN from unknown[192.0.2.9]:40123: 550 5.5.2 what?; "
             "proto=ESMTP helo=<client.test>"],
        )  # fmt: skip

    def test_within_a_transaction_it_has_queue_id_sender_and_recipient(self) -> None:
        transaction = Transaction(made.QUEUE_ID, 1.0, made.address("a@src.test"), {})
        self.assertEqual(
            self.told(made.refused("550 5.7.1 relay refused", transaction, "x@else.test")),
            [f"info receive: {made.QUEUE_ID}: reject: RCPT from unknown[192.0.2.9]:40123: 550 5.7.1 relay refused; "
             "from=<a@src.test> to=<x@else.test> proto=ESMTP helo=<client.test>"],
        )  # fmt: skip

    def test_trouble_of_our_own_system_is_a_warning(self) -> None:
        for said in ("452 4.3.1 disk full", "451 4.3.0 spool"):
            [line] = self.told(made.refused(said))
            self.assertTrue(line.startswith("warn receive: NOQUEUE: reject:"), line)


class OtherEventsTests(JournalTests):
    def test_connections_are_silent(self) -> None:
        self.assertEqual(self.told(life.ConnectionOpened(made.session())), [])
        self.assertEqual(self.told(life.ConnectionClosed(made.session(), 1.0, "timeout")), [])

    def test_a_report_names_both_messages(self) -> None:
        report = made.message(sender=None)
        self.assertEqual(
            self.told(life.ReportQueued(made.message(), report)),
            [f"info report: {made.QUEUE_ID}: sender non-delivery notification: {report.queue_id}"],
        )

    def test_a_report_says_what_it_is_about(self) -> None:
        for action, words in (
            (Action.DELAYED, "sender delay notification"),
            (Action.RELAYED, "sender delivery status notification"),
            (Action.DELIVERED, "sender delivery status notification"),
        ):
            [line] = self.told(life.ReportQueued(made.message(), made.message(sender=None), action))
            self.assertIn(f": {words}: ", line)

    def test_a_report_that_has_nowhere_to_go_is_a_warning(self) -> None:
        self.assertEqual(
            self.told(life.ReportDropped(made.message(sender=None), "the reverse-path is null")),
            [f"warn report: {made.QUEUE_ID}: no report to <>: the reverse-path is null"],
        )

    def test_a_failed_look_up_is_a_warning_once(self) -> None:
        self.assertEqual(
            self.told(made.looked_up(Found.FAILED, detail="timeout: no server answered")),
            ["warn dns: look-up of dst.test MX failed after 0.02 s: timeout: no server answered"],
        )
        self.assertEqual(self.told(made.looked_up(Found.FAILED, cached=True)), [])
        self.assertEqual(self.told(made.looked_up(Found.RECORDS)), [])

    def test_an_answer_that_does_not_validate_is_a_warning_once(self) -> None:
        """
        Where it is used all the same; where it is not, the look-up has failed.
        """
        answer = Answer("dst.test", "MX", Found.RECORDS, security=Security.BOGUS, detail="bogus: a signature expired")
        self.assertEqual(
            self.told(life.LookedUp(answer, 0.02, False)),
            ["warn dns: dst.test MX does not validate: bogus: a signature expired"],
        )
        self.assertEqual(self.told(life.LookedUp(answer, 0.0, True)), [])

    def test_a_failed_commit_is_an_error(self) -> None:
        self.assertEqual(
            self.told(life.GroupCommitted(3, 0.1, "disk I/O error")),
            ["error spool: a group of 3 changes could not be stored: disk I/O error"],
        )
        self.assertEqual(self.told(life.GroupCommitted(3, 0.1)), [])

    def test_a_cleanup_given_up_is_critical(self) -> None:
        self.assertEqual(
            self.told(life.CleanupGivenUp("01X.body", 3, 1795255200.0, "[Errno 1] no")),
            ["critical spool: 01X.body: content file could not be deleted in 3 attempts since "
             "2026-11-21T10:00:00.000Z, given up: [Errno 1] no"],
        )  # fmt: skip


class SiteTests(JournalTests):
    def test_each_move_of_a_breaker_is_told(self) -> None:
        """
        That mail stops is a warning.
        """
        moves = [("open", "421 4.4.1 cannot connect"), ("half-open", "its time is over"), ("closed", "it accepts mail")]
        lines = [
            self.told(life.BreakerMoved("mx.dst.test", "dst.test", ("dst.test",), state, why))[0]
            for state, why in moves
        ]
        self.assertEqual(
            lines,
            [
                "warn queue: site mx.dst.test: circuit breaker is open: 421 4.4.1 cannot connect",
                "info queue: site mx.dst.test: circuit breaker is half-open: its time is over",
                "info queue: site mx.dst.test: circuit breaker is closed: it accepts mail",
            ],
        )

    def test_each_step_of_shaping_is_told(self) -> None:
        """
        What is left, and why; a peer's words are bounded.
        """
        steps = ((7, 12.345, "mx said: 421 too fast"), (4, None, "lost"), (None, None, "it takes all there is"))
        lines = [self.told(life.SiteShaped("mx.dst.test", "dst.test", *step))[0] for step in steps]
        self.assertEqual(
            lines,
            [
                "info queue: site mx.dst.test: shaped to 7 at a time, 12.3 a second: mx said: 421 too fast",
                "info queue: site mx.dst.test: shaped to 4 at a time, any number a second: lost",
                "info queue: site mx.dst.test: shaped no more: it takes all there is",
            ],
        )
        [line] = self.told(life.SiteShaped("mx.dst.test", "dst.test", 1, 1.0, "x" * 5000))
        self.assertLess(len(line), MAX_REPLY + 100)

    def test_tls_that_failed_is_told(self) -> None:
        """
        With the type of RFC 8460; what went well is not.
        """
        where = ("dst.test", "sts", (), (), "mx.dst.test", "192.0.2.1", "")
        self.assertEqual(
            self.told(life.TlsTried(*where, "certificate-expired", "expired on Sunday")),
            [
                "info deliver: dst.test: TLS failed (certificate-expired) with mx.dst.test[192.0.2.1], policy sts: "
                "expired on Sunday"
            ],
        )
        self.assertEqual(
            self.told(life.TlsTried("dst.test", "sts", (), (), "", "", "", "sts-webpki-invalid", "no route")),
            ["info deliver: dst.test: TLS failed (sts-webpki-invalid) with no host, policy sts: no route"],
        )
        self.assertEqual(self.told(life.TlsTried(*where)), [])

    def test_a_delivery_that_began_late_makes_no_line(self) -> None:
        """
        There may be thousands a second: they are counted.
        """
        self.assertEqual(self.told(life.DeliveryLimited("dst.test", 1.0, "rate")), [])


class DebugTests(JournalTests):
    level = "debug"

    def test_tls_that_failed_where_nobody_asked_for_it_is_told_at_debug(self) -> None:
        where = ("dst.test", "no-policy-found", (), (), "", "", "")
        self.assertEqual(
            self.told(life.TlsTried(*where, "starttls-not-supported", "not offered")),
            [
                "debug deliver: dst.test: TLS failed (starttls-not-supported) with no host, policy no-policy-found: "
                "not offered"
            ],
        )

    def test_connections_are_told_at_debug(self) -> None:
        self.assertEqual(
            self.told(life.ConnectionOpened(made.session())),
            ["debug receive: connect from unknown[192.0.2.9]:40123: session s1 on tcp:25"],
        )
        self.assertEqual(
            self.told(life.ConnectionClosed(made.session(), 1.5, "timeout")),
            ["debug receive: disconnect from unknown[192.0.2.9]:40123: session s1 ended by timeout after 1.50 s"],
        )


class TraceTests(JournalTests):
    """
    Lines of messages that are traced.
    """

    CONTEXT = TraceContext("ab" * 16, "cd" * 8)
    ROOT = f" trace_id={'ab' * 16} span_id={'cd' * 8}"

    def message(self) -> Message:
        return attrs.evolve(made.message(), trace=str(self.CONTEXT))

    def test_all_of_them_name_the_trace(self) -> None:
        """
        And the span in it that they belong to: the attempt's own, else the first of all.
        """
        message, ended = self.message(), made.attempt_ended(made.state(said="250 ok"))
        attempted = life.AttemptEnded(message, ended.delivery, ended.attempt, ended.results)
        own = f" trace_id={'ab' * 16} span_id={span_id_of(made.QUEUE_ID, 'dst.test', 1)}"
        for event, ids in (
            (life.MessageReceived(message, made.session(), 0.0), self.ROOT),
            (attempted, own),
            (life.ReportQueued(message, made.message(), Action.FAILED), self.ROOT),
            (life.ReportDropped(message, "why"), self.ROOT),
            (life.MessageDiscarded(message, made.session(), "module", "why"), self.ROOT),
        ):
            [line] = self.told(event)
            self.assertTrue(line.endswith(ids), line)

    def test_tools_for_postfix_can_still_read_them(self) -> None:
        """
        The ids stand behind what they know.
        """
        ended = made.attempt_ended(made.state(said="250 ok"))
        [line] = self.told(life.AttemptEnded(self.message(), ended.delivery, ended.attempt, ended.results))
        self.assertRegex(line.partition("deliver: ")[2], PFLOGSUMM_TO)
