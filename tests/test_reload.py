"""
Requirements on a configuration that is read again while the service runs.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import (
    CircuitBreaker,
    Config,
    DeliveryTls,
    Dns,
    Domain,
    Dsn,
    Module,
    RateLimits,
    SenderBreaker,
    Shaping,
    TlsRpt,
)
from empath.config.units import File, Rate, seconds
from empath.errors import ConfigError
from empath.testing import Client, MockSmtpServer, Mta

CONTENT = b"Subject: hello\r\n\r\nworld\r\n"
CONFIG = """
relay = { networks = ["192.0.2.0/24"] }
delivery = { retry_jitter_factor = 0.0 }
"""


class ReloadTests(SynchronousTestCase):
    """
    An MTA in memory, which gets another [delivery].
    """

    def setUp(self) -> None:
        self.mta = Mta(config=CONFIG)
        self.addCleanup(self.mta.stop)
        self.mta.peer("example.net")

    @property
    def config(self) -> Config:
        return self.mta.service.config

    def use(self, config: Config) -> list[str]:
        """
        Use another configuration; tells the keys that need a restart.
        """
        outcome = self.mta.service.reconfigure(config)
        self.mta.settle()
        return list(outcome.restart)

    def change(self, **changes: object) -> list[str]:
        """
        Use another [delivery].
        """
        return self.use(attrs.evolve(self.config, delivery=attrs.evolve(self.config.delivery, **changes)))  # type: ignore[arg-type]  # as the test says

    def send(self, count: int = 1, recipient: str = "ann@example.net") -> Client:
        """
        Send messages.
        """
        client = self.mta.client()
        for _ in range(count):
            client.send("bob@example.com", [recipient], CONTENT)
        return client

    def arrived(self, domain: str = "example.net") -> int:
        """
        Count what has come to a domain's peer.
        """
        return len(self.mta.peer(domain).messages)

    def test_limits(self) -> None:
        """
        Hold from now on, and what waits for one goes when it is lifted.
        """
        self.change(rate_limits=RateLimits(default=Rate(1, 3600.0), burst=1))
        self.send(3)
        self.mta.advance(60)
        self.assertEqual(self.arrived(), 1)
        self.assertEqual(self.change(rate_limits=RateLimits()), [])
        self.mta.advance(60)
        self.assertEqual(self.arrived(), 3)

    def test_safety(self) -> None:
        """
        Keys count, or not, from now on; a sender is stopped by the limits of now, and stays so across a restart.
        """
        keyed = b"Idempotency-Key: k\r\n" + CONTENT
        self.assertEqual(self.change(idempotency_window=seconds(0)), [])
        for window in (0, 0, 60, 60):
            self.change(idempotency_window=seconds(window))
            self.mta.client().send("bob@example.com", ["ann@example.net"], keyed)
            self.mta.settle()
        self.assertEqual(self.arrived(), 3)
        self.change(sender_breaker=SenderBreaker(enabled=True, max_recipients=2))
        self.send(3)
        self.mta.settle()
        self.mta.restart()
        refused = self.mta.client().send("bob@example.com", ["ann@example.net"], CONTENT)
        self.assertEqual(refused, "450 4.7.1 mail of this sender is stopped for now")
        self.assertEqual(self.mta.client().send("eve@example.com", ["ann@example.net"], CONTENT)[:3], "250")
        released = Deferred.fromCoroutine(self.mta.service.safety.senders.release("bob@example.com"))
        self.mta.settle()
        self.assertTrue(self.successResultOf(released))
        self.send()
        self.mta.settle()
        self.assertEqual(self.arrived(), 8)

    def test_routes(self) -> None:
        """
        Mail that waits for a dead host goes to the one that it is given, by the file or by an operator, whatever was
        known of the dead one.
        """
        overrides = self.mta.service.outgoing.overrides
        for name in ("one.example", "two.example"):
            self.mta.peer(name, MockSmtpServer().with_greeting(421, "no"))
        self.change(circuit_breaker=CircuitBreaker(failure_threshold=1), shaping=Shaping(enabled=False))
        self.send(3, "ann@one.example")
        self.send(3, "ann@two.example")
        self.mta.advance(1)
        self.change(domains={"one.example": Domain(mx_override=("example.net",))})
        self.mta.advance(130)
        self.assertEqual(self.arrived(), 3, self.mta.story())
        self.successResultOf(Deferred.fromCoroutine(overrides.set_override("two.example", ["example.net"])))
        self.mta.settle()
        self.assertEqual(self.arrived(), 6, self.mta.story())

    def test_what_is_under_way_is_not_disturbed(self) -> None:
        """
        Neither a session nor a delivery.
        """
        self.mta.peer("slow.example", MockSmtpServer().with_slow_response("MAIL", 30))
        client = self.send(1, "ann@slow.example")
        self.change(
            max_parallel_deliveries=1,
            connection_pool=attrs.evolve(self.config.delivery.connection_pool, max_per_server=1),
        )
        client.send("bob@example.com", ["ann@example.net"], CONTENT)
        self.mta.advance(60)
        self.assertEqual((self.arrived("slow.example"), self.arrived()), (1, 1))

    def test_times(self) -> None:
        """
        Rounds, retries, and the bound of the stop.
        """
        self.change(base_retry_delay=seconds(7), process_interval=seconds(3), shutdown_timeout=seconds(4))
        self.assertEqual(self.mta.service.reception.shutdown_timeout, 4.0)
        self.mta.dns.fail("example.net")
        self.send()
        self.mta.advance(1)
        [waiting] = self.mta.queue()
        self.assertAlmostEqual(waiting.next_attempt or 0.0, self.mta.seconds() + 6, delta=1.0)

    def test_reports_about_tls(self) -> None:
        """
        Begin when it is said by whom, and end when it is not.
        """
        reporting = self.mta.service.outgoing.tls_reporting
        self.assertIsNone(reporting.hears)
        self.change(tls_rpt=TlsRpt("Example", "a@example.org", "a@example.org"))
        self.assertEqual(reporting.hears, reporting.tell)
        for section, warnings in ((TlsRpt(), []), (TlsRpt("Example", sender="a@example.org"), ["contact"])):
            with capturedLogs() as events:
                self.change(tls_rpt=section)
            self.assertIsNone(reporting.hears)
            self.assertEqual([event["keys"] for event in events if event["log_level"] is LogLevel.warn], warnings)

    def test_policies_that_nobody_goes_by(self) -> None:
        """
        Are not fetched again, until somebody does.
        """
        outgoing, rounds = self.mta.service.outgoing, []

        async def refresh() -> None:
            rounds.append(self.config.delivery.tls.mta_sts)

        self.patch(outgoing.sts, "refresh", refresh)
        for follows in (False, True):
            self.change(tls=DeliveryTls(mta_sts=follows))
            self.mta.advance(hours=1)
        self.assertEqual(rounds, [True])

    def test_what_needs_a_restart_is_told(self) -> None:
        """
        By its keys, each time; what was used at once is told in the log.
        """
        dsn = Dsn(postmaster="p@example.org", reporting_mta="mx2.example.org", enabled=False)
        delivery = attrs.evolve(self.config.delivery, max_cleanup_attempts=9, max_attempts=9, dsn=dsn)
        with capturedLogs() as events:
            for _ in range(2):
                self.assertEqual(
                    self.use(attrs.evolve(self.config, hostname="mx2.example.org", delivery=delivery)),
                    [
                        "hostname",
                        "delivery.max_cleanup_attempts",
                        "delivery.dsn.reporting_mta",
                        "delivery.dsn.postmaster",
                    ],
                )
        told = [event["keys"] for event in events if "in use" in event.get("log_format", "")]
        self.assertEqual(told, ["delivery.max_attempts, delivery.dsn.enabled"])

    def test_whole_or_not_at_all(self) -> None:
        """
        Whatever cannot be used keeps all else from being used, too; mail goes on as before.
        """
        before = self.config
        wrong: list[Config] = [
            attrs.evolve(before, modules=(Module("nope"),)),
            *[
                attrs.evolve(before, delivery=attrs.evolve(before.delivery, **change))
                for change in (
                    {"dns": Dns(dnssec="validate", trust_anchor=File("/nowhere"))},
                    {"tls": DeliveryTls(certificate=File("/nowhere"), private_key=File("/nowhere"))},
                    {"domains": {"example.net": Domain(mx_override=("a:b",))}},
                )
            ],
        ]
        for config in wrong:
            limited = attrs.evolve(config.delivery, rate_limits=RateLimits(default=Rate(1, 3600.0), burst=1), port=26)
            self.assertRaises(ConfigError, self.use, attrs.evolve(config, delivery=limited))
            self.assertEqual(self.config, before)
        self.send(3)
        self.mta.advance(1)
        self.assertEqual(self.arrived(), 3)

    def test_overrides_last(self) -> None:
        """
        What an operator set while we ran is above the file, also after it was read again.
        """
        self.mta.peer("other.example")
        overrides = self.mta.service.outgoing.overrides
        self.successResultOf(Deferred.fromCoroutine(overrides.set_override("example.net", ["other.example"])))
        self.change(max_attempts=9, domains={"example.net": Domain(mx_override=("nowhere.example",))})
        self.send()
        self.mta.advance(1)
        self.assertEqual(self.arrived("other.example"), 1)
