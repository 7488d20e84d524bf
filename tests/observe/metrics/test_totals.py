from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life
from empath.mail.answer import Found
from empath.mail.message import Status
from empath.mail.reply import Reply
from empath.modules.builtin.core import TOO_MANY_RECIPIENTS
from empath.observe.life import LifeEvents
from empath.observe.metrics.exposition import Exposition, Gauges
from empath.observe.metrics.totals import Metrics
from empath.receive.connection import TOO_EARLY
from empath.receive.login import TOO_MANY_FAILURES
from empath.receive.replies import SPOOL_FULL, TOO_LARGE, TOO_MANY_HOPS
from empath.receive.sessions import TOO_FAST, TOO_MANY, TOO_MANY_OF_CLIENT
from empath.smtp.server_states import TOO_MANY_COMMANDS, TOO_MANY_ERRORS, TOO_MANY_MESSAGES
from tests.observe import made

CONTRACT = """
smtp_connections_total smtp_connections_active smtp_errors_total smtp_session_duration_seconds
smtp_command_duration_seconds smtp_messages_received_total smtp_message_size_bytes smtp_connection_error_rate
delivery_attempts_total delivery_duration_seconds delivery_messages_delivered_total delivery_messages_failed_total
delivery_messages_retrying_total delivery_error_rate delivery_success_rate delivery_retry_count
delivery_queue_age_seconds delivery_queue_size delivery_queue_oldest_seconds delivery_connections_active
delivery_domain_cardinality dns_lookup_duration_seconds dns_lookups_total dns_cache_hits_total dns_cache_misses_total
dns_errors_total dns_cache_evictions_total spool_commit_duration_seconds spool_batch_size
spool_deletion_failures_total spool_orphans module_duration_seconds module_errors_total module_verdicts_total
module_breaker_state module_events_total smtp_messages_discarded_total
delivery_rate_limited_total delivery_rate_limit_delay_seconds delivery_circuit_breaker_trips_total
delivery_circuit_breaker_recoveries_total delivery_circuit_breaker_state
""".split()  # noqa: SIM905 (the contract writes them so)


def gauges(**changes: object) -> Gauges:
    calls: dict[str, object] = {
        "connections_active": lambda: 3,
        "queue_size": lambda: {Status.PENDING: 5, Status.RETRY: 2},
        "queue_oldest": lambda: 12.5,
        "site_connections": lambda: {"mx.dst.test": 4},
        "dns_hits": lambda: 8,
        "dns_misses": lambda: 7,
        "dns_evictions": lambda: 6,
        "deletion_failures": lambda: 2,
        "frozen": tuple,
        "stopped_senders": lambda: 0,
        "orphans": lambda: 1,
        "strays": lambda: 2,
        "overdue_attempts": lambda: 3,
    }
    return Gauges(**{**calls, **changes})  # type: ignore[arg-type]  # callables of several types


class MetricsCase(SynchronousTestCase):
    section = schema.Metrics()

    def setUp(self) -> None:
        self.events = LifeEvents()
        self.metrics = Metrics(self.section)
        self.metrics.listen(self.events)
        self.gauges = gauges()

    def samples(self) -> Mapping[tuple[str, ...], float]:
        exposition = Exposition(self.section, self.metrics, self.gauges)
        _, page = exposition.page(exposition.read(), "")
        return {
            (sample.name.removeprefix("empath_"), *sorted(f"{k}={v}" for k, v in sample.labels.items())): sample.value
            for family in classic(page.decode())
            for sample in family.samples
        }


class CountingTests(MetricsCase):
    def test_connections_are_counted_and_those_that_ended_badly_make_the_error_rate(self) -> None:
        for reason in ("quit", "lost", "timeout", "errors", "tls", "limit", "refused", "shutdown"):
            self.events.emit(life.ConnectionOpened(made.session()))
            self.events.emit(life.ConnectionClosed(made.session(), 0.02, reason))
        told = self.samples()
        self.assertEqual(told["smtp_connections_total",], 8)
        self.assertEqual(told["smtp_connection_error_rate",], 0.75)
        self.assertEqual(told["smtp_session_duration_seconds_bucket", "le=0.01"], 0)
        self.assertEqual(told["smtp_session_duration_seconds_bucket", "le=0.025"], 8)

    def test_rates_are_zero_when_nothing_was_attempted(self) -> None:
        told = self.samples()
        for name in ("smtp_connection_error_rate", "delivery_error_rate", "delivery_success_rate"):
            self.assertEqual(told[name,], 0.0)

    def test_refusals_are_counted_by_code(self) -> None:
        for said in ("550 5.1.1 no", "550 5.7.1 no", "451 4.3.0 no"):
            self.events.emit(made.refused(said))
        told = self.samples()
        self.assertEqual(told["smtp_errors_total", "code=550"], 2)
        self.assertEqual(told["smtp_errors_total", "code=451"], 1)

    def test_commands_are_timed_by_verb(self) -> None:
        self.metrics.command_took("RCPT", 0.004)
        self.metrics.command_took("", 0.004)
        told = self.samples()
        self.assertEqual(told["smtp_command_duration_seconds_count", "command=RCPT"], 1)
        self.assertEqual(told["smtp_command_duration_seconds_bucket", "command=UNKNOWN", "le=0.005"], 1)

    def test_messages_are_counted_with_their_size_but_not_our_own_reports(self) -> None:
        self.events.emit(life.MessageReceived(made.message(), made.session(), 0.1))
        self.events.emit(life.MessageReceived(made.message(sender=None), None, 0.1))
        told = self.samples()
        self.assertEqual(told["smtp_messages_received_total",], 1)
        self.assertEqual(told["smtp_message_size_bytes_bucket", "le=4096.0"], 1)
        self.assertEqual(told["smtp_message_size_bytes_sum",], 4096)

    def test_a_delivery_counts_once_whatever_its_number_of_recipients(self) -> None:
        self.events.emit(made.attempt_ended(made.state("b@dst.test"), made.state("c@dst.test")))
        self.assertEqual(self.samples()["delivery_messages_delivered_total",], 1)

    def test_attempts_are_counted_by_status_and_domain(self) -> None:
        for status, times in ((Status.COMPLETED, 4), (Status.RETRY, 3), (Status.FAILED, 2), (Status.EXPIRED, 1)):
            for _ in range(times):
                self.events.emit(made.attempt_ended(made.state(), status=status))
        told = self.samples()
        counted = {status: told["delivery_attempts_total", "domain=dst.test", f"status={status}"]
                   for status in ("completed", "retry", "failed", "expired")}  # fmt: skip
        self.assertEqual(counted, {"completed": 4, "retry": 3, "failed": 2, "expired": 1})
        self.assertEqual(told["delivery_messages_failed_total",], 3)
        self.assertEqual(told["delivery_messages_retrying_total",], 3)
        self.assertEqual(told["delivery_error_rate",], 0.3)
        self.assertEqual(told["delivery_success_rate",], 0.4)

    def test_attempts_are_timed(self) -> None:
        self.events.emit(made.attempt_ended(made.state()))
        told = self.samples()
        self.assertEqual(told["delivery_duration_seconds_sum", "domain=dst.test"], 2.5)
        self.assertEqual(told["delivery_queue_age_seconds_bucket", "le=1.0"], 1)

    def test_the_age_counts_from_the_release_and_is_never_negative(self) -> None:
        self.events.emit(made.attempt_ended(made.state(), begun=1000.5))
        self.events.emit(made.attempt_ended(made.state(), begun=2000.0))
        self.assertEqual(self.samples()["delivery_queue_age_seconds_sum",], 0.5)

    def test_logins_are_counted_by_result(self) -> None:
        for said in ("535 5.7.8 no", "535 5.7.8 no", "454 4.7.0 later", "504 5.5.4 what"):
            self.events.emit(made.refused(said, verb="AUTH"))
        self.events.emit(made.refused("535 5.7.8 odd", verb="RCPT"))
        self.events.emit(life.ConnectionClosed(made.session(login="ann"), 1.0, "quit"))
        self.events.emit(life.ConnectionClosed(made.session(), 1.0, "quit"))
        told = self.samples()
        for result, number in (("failed", 2), ("unavailable", 1), ("refused", 1), ("accepted", 1)):
            self.assertEqual(told["smtp_auth_total", f"result={result}"], number)

    def test_tls_is_counted_by_version(self) -> None:
        self.events.emit(life.ConnectionClosed(made.session(tls="TLSv1.3"), 1.0, "quit"))
        self.events.emit(life.ConnectionClosed(made.session(), 1.0, "tls"))
        self.events.emit(life.ConnectionClosed(made.session(), 1.0, "quit"))
        told = self.samples()
        self.assertEqual(told["smtp_tls_total", "version=TLSv1.3"], 1)
        self.assertEqual(told["smtp_tls_total", "version=failed"], 1)

    def test_each_limit_has_a_name(self) -> None:
        for reply, limit in (
            (TOO_MANY, "connections"),
            (TOO_MANY_OF_CLIENT, "connections_of_client"),
            (TOO_FAST, "connection_rate"),
            (TOO_EARLY, "early_talker"),
            (TOO_MANY_FAILURES, "logins"),
            (TOO_MANY_ERRORS, "errors"),
            (TOO_MANY_COMMANDS, "commands"),
            (TOO_MANY_MESSAGES, "messages"),
            (TOO_LARGE, "size"),
            (TOO_MANY_HOPS, "hops"),
            (SPOOL_FULL, "disk"),
            (TOO_MANY_RECIPIENTS.reply, "recipients"),
            (Reply.of("421 4.4.2 mx.test timeout, closing connection"), "time"),
        ):
            assert reply is not None
            self.events.emit(made.refused(str(reply), verb=""))
            self.assertEqual(self.samples()["smtp_limits_total", f"limit={limit}"], 1)
        before = self.samples()
        self.events.emit(made.refused("550 5.7.1 relay access denied"))
        self.events.emit(made.refused("421 4.7.0 a module's own words"))
        event = made.refused("452 4.5.3 too many recipients of yours today")
        event.decided_by = "quota"
        self.events.emit(event)
        after = self.samples()
        self.assertEqual(
            {key: value for key, value in before.items() if key[0] == "smtp_limits_total"},
            {key: value for key, value in after.items() if key[0] == "smtp_limits_total"},
        )

    def test_what_counts_as_a_failed_connection(self) -> None:
        for number, reason in enumerate(("timeout", "tls", "limit", "errors"), 1):
            self.events.emit(life.ConnectionClosed(made.session(), 1.0, reason))
            self.events.emit(life.ConnectionClosed(made.session(), 1.0, "quit"))
            self.assertEqual(self.samples()["smtp_connection_error_rate",], number / (2 * number))

    def test_retries_are_counted_at_the_end_of_a_delivery(self) -> None:
        self.events.emit(made.attempt_ended(made.state(), status=Status.RETRY))
        self.events.emit(made.attempt_ended(made.state(), timing=made.attempt(number=3)))
        told = self.samples()
        self.assertEqual(told["delivery_retry_count_count", "domain=dst.test"], 1)
        self.assertEqual(told["delivery_retry_count_sum", "domain=dst.test"], 2)

    def test_an_attempt_that_was_broken_off_is_neither_success_nor_failure(self) -> None:
        self.events.emit(made.attempt_ended(made.state(), status=Status.PENDING))
        told = self.samples()
        self.assertEqual((told["delivery_error_rate",], told["delivery_success_rate",]), (0.0, 0.0))

    def test_look_ups_are_counted_by_type_and_cache(self) -> None:
        self.events.emit(made.looked_up(Found.RECORDS))
        self.events.emit(made.looked_up(Found.RECORDS, cached=True))
        self.events.emit(made.looked_up(Found.NO_NAME, rdtype="A"))
        self.events.emit(made.looked_up(Found.FAILED, rdtype="A", detail="timeout: no server"))
        self.events.emit(made.looked_up(Found.FAILED, rdtype="A"))
        told = self.samples()
        self.assertEqual(
            (told["dns_lookups_total", "query_type=MX"], told["dns_lookups_total", "query_type=A"]), (2, 3)
        )
        self.assertEqual(told["dns_lookup_duration_seconds_count", "query_type=MX"], 1)
        errors = {name: told["dns_errors_total", f"error_type={name}"] for name in ("nxdomain", "timeout", "failed")}
        self.assertEqual(errors, {"nxdomain": 1, "timeout": 1, "failed": 1})
        self.assertEqual(told["dns_security_total", "security=unchecked"], 2)  # of servers that answered

    def test_group_commits_are_timed_and_sized(self) -> None:
        self.events.emit(life.GroupCommitted(7, 0.002))
        told = self.samples()
        self.assertEqual(told["spool_commit_duration_seconds_bucket", "le=0.0025"], 1)
        self.assertEqual(
            (told["spool_batch_size_bucket", "le=5.0"], told["spool_batch_size_bucket", "le=10.0"]), (0, 1)
        )

    def test_files_that_were_given_up_on_are_counted(self) -> None:
        self.events.emit(life.CleanupGivenUp("x", 3, 1.0))
        self.assertEqual(self.samples()["spool_cleanups_given_up_total",], 1)

    def test_reports_are_counted(self) -> None:
        self.events.emit(life.ReportQueued(made.message(), made.message()))
        self.events.emit(life.ReportDropped(made.message(), "null"))
        told = self.samples()
        self.assertEqual(
            (told["delivery_reports_queued_total",], told["delivery_reports_dropped_total",]),
            (1, 1),
        )


class CardinalityTests(MetricsCase):
    section = schema.Metrics(max_domain_cardinality=2, high_priority_domains=("vip.test",))

    def test_domains_past_the_limit_are_other(self) -> None:
        for domain in ("a.test", "b.test", "c.test", "vip.test", "d.test"):
            self.events.emit(made.attempt_ended(made.state(), domain=domain))
        told = self.samples()
        self.assertEqual(told["delivery_attempts_total", "domain=other", "status=completed"], 2)
        self.assertEqual(told["delivery_attempts_total", "domain=vip.test", "status=completed"], 1)
        self.assertNotIn(("delivery_attempts_total", "domain=c.test", "status=completed"), told)
        self.assertEqual(told["delivery_domain_cardinality",], 3)

    def test_a_new_section_lets_more_domains_in(self) -> None:
        for domain in ("a.test", "b.test"):
            self.events.emit(made.attempt_ended(made.state(), domain=domain))
        self.metrics.reconfigure(schema.Metrics())
        self.events.emit(made.attempt_ended(made.state(), domain="c.test"))
        self.assertIn(("delivery_attempts_total", "domain=c.test", "status=completed"), self.samples())

    def test_sites_past_the_limit_are_other(self) -> None:
        self.gauges = gauges(site_connections=lambda: {"a": 1, "b": 5, "c": 2, "d": 1})
        told = self.samples()
        sites = {key[1]: value for key, value in told.items() if key[0] == "delivery_connections_active"}
        self.assertEqual(sites, {"site=b": 5, "site=c": 2, "site=other": 2})


class ExpositionTests(MetricsCase):
    def test_every_name_of_the_contract_is_there_from_the_start(self) -> None:
        exposition = Exposition(self.section, self.metrics, self.gauges)
        _, page = exposition.page(exposition.read(), "")
        typed = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE ")}
        self.assertEqual([name for name in CONTRACT if f"empath_{name}" not in typed], [])

    def test_gauges_are_looked_at(self) -> None:
        told = self.samples()
        self.assertEqual(told["smtp_connections_active",], 3)
        self.assertEqual(told["delivery_queue_size", "status=pending"], 5)
        self.assertEqual(told["delivery_queue_size", "status=held"], 0)
        self.assertEqual(told["delivery_queue_oldest_seconds",], 12.5)
        self.assertEqual(told["delivery_connections_active", "site=mx.dst.test"], 4)
        self.assertEqual((told["dns_cache_hits_total",], told["dns_cache_misses_total",]), (8, 7))
        self.assertEqual(told["dns_cache_evictions_total",], 6)
        self.assertEqual(told["spool_deletion_failures_total",], 2)
        self.assertEqual(told["spool_orphans",], 1)
        self.assertEqual(told["delivery_strays_total",], 2)
        self.assertEqual(told["delivery_overdue_attempts_total",], 3)

    def test_gauges_that_raise_are_logged_and_the_rest_is_told(self) -> None:
        def broken() -> int:
            raise ZeroDivisionError

        self.gauges = Gauges(*[broken] * 13)  # type: ignore[arg-type]  # each raises before its type matters
        told = self.samples()
        self.assertEqual(told["smtp_connections_total",], 0)
        self.assertNotIn(("smtp_connections_active",), told)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 13)

    def test_openmetrics_is_spoken_when_asked_for(self) -> None:
        self.events.emit(made.attempt_ended(made.state()))
        exposition = Exposition(self.section, self.metrics, self.gauges)
        content_type, page = exposition.page(exposition.read(), "application/openmetrics-text; version=1.0.0")
        self.assertTrue(content_type.startswith("application/openmetrics-text"))
        self.assertGreater(len(list(openmetrics(page.decode()))), 20)

    def test_two_instances_do_not_share_counts(self) -> None:
        self.events.emit(life.ConnectionOpened(made.session()))
        self.metrics = Metrics(self.section)
        self.assertEqual(self.samples()["smtp_connections_total",], 0)

    def test_a_new_section_bounds_the_sites(self) -> None:
        self.gauges = gauges(site_connections=lambda: {"a": 1, "b": 5})
        exposition = Exposition(self.section, self.metrics, self.gauges)
        exposition.reconfigure(schema.Metrics(max_domain_cardinality=1))
        _, page = exposition.page(exposition.read(), "")
        self.assertIn(b'connections_active{site="other"} 1.0', page)
