"""
What limits, circuit breakers, shaping and transport security do can be seen in the metrics.
"""

from __future__ import annotations

import attrs

from empath.config import schema
from empath.mail import life
from empath.mail.answer import Answer, Found, Security
from tests.observe import made
from tests.observe.metrics.test_totals import MetricsCase, gauges


@attrs.frozen
class Circuit:
    """
    How a site fares.
    """

    site: str
    domains: tuple[str, ...] = ()
    state: str = "closed"
    connections: int | None = None
    rate: float | None = None


class LimitTests(MetricsCase):
    """
    Counters by what limits did.
    """

    def test_what_a_rate_held_back_is_counted_by_domain(self) -> None:
        """
        And for how long; what only waited for a connection is counted by what held it.
        """
        for why, seconds in (("rate", 0.5), ("global-rate", 2.0), ("shaped", 30.0), ("connections", 9.0)):
            self.events.emit(life.DeliveryLimited("dst.test", seconds, why))
        told = self.samples()
        domain = "domain=dst.test"
        self.assertEqual(told["delivery_rate_limited_total", domain], 3)
        self.assertEqual(told["delivery_rate_limit_delay_seconds_count", domain], 3)
        self.assertEqual(told["delivery_rate_limit_delay_seconds_sum", domain], 32.5)
        self.assertEqual(told["delivery_rate_limit_delay_seconds_bucket", domain, "le=10.0"], 2)
        self.assertEqual(told["delivery_held_total", "why=connections"], 1)
        self.assertEqual(told["delivery_held_total", "why=rate"], 1)

    def test_trips_and_recoveries_are_counted_for_the_domain_that_caused_them(self) -> None:
        """
        A try in between is neither.
        """
        for state in ("open", "half-open", "open", "half-open", "closed"):
            self.events.emit(life.BreakerMoved("mx.dst.test", "dst.test", ("dst.test", "other.test"), state, "why"))
        told = self.samples()
        self.assertEqual(told["delivery_circuit_breaker_trips_total", "domain=dst.test"], 2)
        self.assertEqual(told["delivery_circuit_breaker_recoveries_total", "domain=dst.test"], 1)
        self.assertEqual(told["delivery_circuit_breaker_state", "domain=dst.test"], 0)
        self.assertNotIn(("delivery_circuit_breaker_trips_total", "domain=other.test"), told)

    def test_steps_of_shaping_are_counted(self) -> None:
        """
        Each of them.
        """
        self.events.emit(life.SiteShaped("mx.dst.test", "dst.test", 3, 2.0, "why"))
        self.events.emit(life.SiteShaped("mx.dst.test", "dst.test", None, None, "why"))
        self.assertEqual(self.samples()["delivery_shaping_changes_total",], 2)

    def test_attempts_are_counted_by_what_vouched_for_the_host(self) -> None:
        """
        Those that sent something to a host: not deliveries on this machine, nor what reached nobody.
        """
        for changes in ({"security": "dane"}, {}, {}, {"sent": 0.0}, {"host": ""}):
            self.events.emit(made.attempt_ended(timing=made.attempt(**changes)))
        told = self.samples()
        self.assertEqual(told["delivery_tls_total", "security=dane"], 1)
        self.assertEqual(told["delivery_tls_total", "security=cleartext"], 2)

    def test_failures_of_tls_are_counted_by_type(self) -> None:
        """
        As far as they are collected.
        """
        for result in ("", "starttls-not-supported", "starttls-not-supported"):
            self.events.emit(life.TlsTried("dst.test", "sts", (), (), "mx", "192.0.2.1", "", result))
        told = self.samples()
        self.assertEqual(told["delivery_tls_failures_total", "result=starttls-not-supported"], 2)
        self.assertNotIn(("delivery_tls_failures_total", "result="), told)


class CircuitTests(MetricsCase):
    """
    Gauges of how sites fare.
    """

    def test_the_state_of_a_breaker_is_that_of_its_domains(self) -> None:
        """
        As far as they have a label; the others share one, and tell the worst. A site that fares well is not told.
        """
        self.metrics.domains.of("a.test")
        self.metrics.domains.of("b.test")
        self.gauges = gauges(
            circuits=lambda: [
                Circuit("mx.a.test", ("a.test", "x.test", "y.test"), "open"),
                Circuit("mx.b.test", ("b.test", "w.test"), "half-open"),
                Circuit("mx.c.test", ("c.test",)),
                Circuit("mx.d.test", ("z.test",), connections=2),
            ]
        )
        told = {key[1]: value for key, value in self.samples().items() if key[0] == "delivery_circuit_breaker_state"}
        self.assertEqual(told, {"domain=a.test": 1, "domain=b.test": 2, "domain=other": 1})

    def test_shaped_sites_tell_what_they_get(self) -> None:
        """
        By their names; nothing of a site that is not shaped.
        """
        sites = [Circuit("mx.a.test", connections=3, rate=2.5), Circuit("mx.b.test", connections=1), Circuit("c")]
        self.gauges = gauges(circuits=lambda: sites)
        told = self.samples()
        self.assertEqual(told["delivery_shaped_rate", "site=mx.a.test"], 2.5)
        self.assertEqual(told["delivery_shaped_connections", "site=mx.a.test"], 3)
        self.assertEqual(told["delivery_shaped_connections", "site=mx.b.test"], 1)
        self.assertEqual(len([key for key in told if key[0].startswith("delivery_shaped")]), 3)

    def test_the_page_is_told_without_circuits(self) -> None:
        """
        A gauge that breaks takes nothing else with it.
        """
        self.gauges = gauges(circuits=lambda: 1 / 0)
        self.assertIn(("delivery_messages_delivered_total",), self.samples())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CrowdedTests(MetricsCase):
    """
    A page does not grow without end.
    """

    section = schema.Metrics(max_domain_cardinality=2)

    def test_sites_and_domains_are_bounded(self) -> None:
        """
        Beyond the limit, domains are counted together and sites left out.
        """
        self.gauges = gauges(circuits=lambda: [Circuit(f"mx{n}", (f"d{n}",), "open", 1, 1.0) for n in range(9)])
        for n in range(9):
            self.events.emit(life.DeliveryLimited(f"d{n}", 1.0, "rate"))
        told = self.samples()
        self.assertEqual(len([key for key in told if key[0] == "delivery_shaped_rate"]), 2)
        self.assertEqual(told["delivery_rate_limited_total", "domain=other"], 7)
        self.assertEqual(len([key for key in told if key[0] == "delivery_circuit_breaker_state"]), 3)


class DnsTests(MetricsCase):
    """
    DNSSEC, and answers beyond their time.
    """

    def test_answers_are_counted_by_what_dnssec_says(self) -> None:
        """
        Those of servers; what comes from the cache was counted when it came.
        """
        for security, cached in ((Security.SECURE, False), (Security.SECURE, True), (Security.BOGUS, False)):
            answer = Answer("dst.test", "MX", Found.RECORDS, security=security)
            self.events.emit(life.LookedUp(answer, 0.1, cached))
        told = self.samples()
        self.assertEqual(told["dns_security_total", "security=secure"], 1)
        self.assertEqual(told["dns_security_total", "security=bogus"], 1)

    def test_stale_answers_are_counted(self) -> None:
        """
        Each time that one is used.
        """
        answer = Answer("dst.test", "MX", Found.RECORDS, stale=True)
        for _ in range(2):
            self.events.emit(life.LookedUp(answer, 0.0, True))
        self.assertEqual(self.samples()["dns_stale_answers_total",], 2)
