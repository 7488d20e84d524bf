"""
The case of a load whose every outcome is counted on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import trustme

from tests.e2e.counting import (
    CLIENTS,
    DOMAINS,
    OPENMETRICS,
    STRANGER,
    Client,
    Fates,
    Samples,
    Scraper,
    TlsDialogue,
    scraped,
)  # fmt: skip
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, smarthost
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath, merged
from tests.receive.certificates import write_pair


class CountingCase(EndToEndTestCase):
    """
    One empath, one peer that is the next hop of all domains, ten clients, and who reads the page all the time.
    """

    def reckon(self, messages: int, seconds: float) -> None:
        """
        Send so many, wait until nothing moves, and compare every counter.
        """
        self.prepare()
        before = scraped(self.mta.metrics_port)
        scrapers = [Scraper(self.mta.metrics_port, accept) for accept in ("", OPENMETRICS, "")]
        clients = [self.client(nth, messages // CLIENTS) for nth in range(CLIENTS)]
        for client in clients:
            client.thread.start()
        for client in clients:
            client.thread.join(seconds)
        self.assertEqual([client.trouble for client in clients], [None] * CLIENTS)
        wait_until("all at rest", partial(self.rests, clients, before), seconds)
        for scraper in scrapers:
            scraper.finish()
        self.assertEqual([fault for scraper in scrapers for fault in scraper.faults], [])
        self.assertGreater(min(scraper.pages for scraper in scrapers), 3)
        self.compare(clients, before)

    def prepare(self) -> None:
        """
        Start the peer and empath, which relays for all but one client.
        """
        self.server = self.peer("127.0.0.11")
        self.fates = self.server.script = Fates()
        self.folder.mkdir(parents=True, exist_ok=True)
        pair = write_pair(self.folder, "mine", trustme.CA(), HOSTNAME)
        settings = {"relay": {"networks": ["127.0.0.1/32"]}, "smtp": {"max_errors": 1000}}
        self.mta: Empath = self.empath(merged(smarthost(self.server), settings))
        secure = {"tls": "implicit", "certificate": str(pair.certificate), "private_key": str(pair.private_key)}
        self.secured = self.mta.listen(**secure)
        self.mta.start()
        wait_until("nobody is there", lambda: self.value("empath_smtp_connections_active") == 0)

    def client(self, nth: int, number: int) -> Client:
        """
        Make a client: the last but one may not relay, the last uses TLS.
        """
        if nth == CLIENTS - 1:
            return Client(nth, number, partial(TlsDialogue, self.secured), True)
        stranger = nth == CLIENTS - 2
        source = STRANGER if stranger else "127.0.0.1"
        return Client(nth, number, partial(Dialogue, self.mta.port, source=source), not stranger)

    def value(self, name: str, samples: Samples | None = None, **labels: str) -> float:
        """
        Find a sample, 0 where there is none.
        """
        found = scraped(self.mta.metrics_port) if samples is None else samples
        return found.get((name, frozenset(labels.items())), 0.0)

    def rests(self, clients: list[Client], before: Samples) -> bool:
        """
        Tell whether all that was taken has come to its end, reports and sessions included.
        """
        now = scraped(self.mta.metrics_port)
        taken = sum(client.accepted for client in clients)
        failed = sum(client.recipients["never", domain] for client in clients for domain in DOMAINS)
        ended = sum(self.value(f"empath_delivery_messages_{end}_total", now) for end in ("delivered", "failed"))
        here = self.value("empath_smtp_connections_active", now)
        return ended == taken + failed and not here  # each failure makes a report, which is delivered

    def compare(self, clients: list[Client], before: Samples) -> None:
        """
        Hold every counter to what clients and peer counted.
        """
        now = scraped(self.mta.metrics_port)
        expected = {**self.received(clients), **self.delivered(clients)}
        told = {key: self.value(key[0], now, **dict(key[1])) - before.get(key, 0.0) for key in expected}
        wrong = {key: (value, expected[key]) for key, value in told.items() if value != expected[key]}
        self.assertEqual(wrong, {}, "told, and counted by others")
        codes = {dict(labels)["code"] for name, labels in now if name == "empath_smtp_errors_total"}
        self.assertEqual(codes, set().union(*(client.heard for client in clients)))
        retries = sum(number for (_, code), number in self.fates.said.items() if code == 450)
        attempts = sum(value for (name, _), value in now.items() if name == "empath_delivery_attempts_total")
        self.assertEqual(
            self.value("empath_delivery_success_rate", now), (attempts - retries - self.failures) / attempts
        )
        self.assertEqual(self.value("empath_delivery_error_rate", now), self.failures / attempts)

    @property
    def failures(self) -> int:
        """
        How often the peer refused for good.
        """
        return sum(number for (_, code), number in self.fates.said.items() if code == 550)

    def received(self, clients: list[Client]) -> Samples:
        """
        Tell what the clients counted.
        """
        sessions = sum(client.sessions for client in clients)
        taken = sum(client.accepted for client in clients)
        heard = sum((client.heard for client in clients), Counter[str]())
        commands = sum((client.commands for client in clients), Counter[str]())
        return {
            **labelled("empath_smtp_errors_total", "code", heard),
            **labelled("empath_smtp_command_duration_seconds_count", "command", {".": commands["."]}),
            **plain("empath_smtp_connections_total", sessions),
            **plain("empath_smtp_session_duration_seconds_count", sessions),
            **plain("empath_smtp_messages_received_total", taken),
            **plain("empath_smtp_message_size_bytes_count", taken),
            **labelled("empath_smtp_tls_total", "version", {"TLSv1.3": clients[-1].sessions, "failed": 0}),
            **labelled("empath_smtp_limits_total", "limit", {"size": heard["552"]}),
        }

    def delivered(self, clients: list[Client]) -> Samples:
        """
        Tell what the peer counted; reports go to the domain of the sender.
        """
        arrived = Counter(each.recipients[0].partition("@")[2] for each in self.server.stored)
        said = self.fates.said
        attempts: Samples = {}
        for domain in (*DOMAINS, "origin.test"):
            ends = {"completed": arrived[domain], "retry": said[domain, 450], "failed": said[domain, 550], "expired": 0}
            for status, number in ends.items():
                key = frozenset({("status", status), ("domain", domain)})
                attempts["empath_delivery_attempts_total", key] = number
            count = labelled("empath_delivery_duration_seconds_count", "domain", {domain: sum(ends.values())})
            ended = labelled("empath_delivery_retry_count_count", "domain", {domain: arrived[domain] + ends["failed"]})
            attempts |= count | ended
        retries = sum(number for (_, code), number in said.items() if code == 450)
        total = sum(arrived.values()) + retries + self.failures
        return {
            **attempts,
            **plain("empath_delivery_messages_delivered_total", len(self.server.stored)),
            **plain("empath_delivery_messages_failed_total", self.failures),
            **plain("empath_delivery_messages_retrying_total", retries),
            **plain("empath_delivery_queue_age_seconds_count", total),
            **plain("empath_delivery_reports_queued_total", arrived["origin.test"]),
            **labelled("empath_delivery_bounces_total", "category", {"bad-mailbox": self.failures}),
            **labelled("empath_delivery_tls_total", "security", {"cleartext": len(self.server.stored)}),
            **plain("empath_delivery_doubtful_total", 0),
            **plain("empath_delivery_domain_cardinality", len(DOMAINS) + 1),
        }


def plain(name: str, value: float) -> Samples:
    """
    Make a sample without labels.
    """
    return {(name, frozenset()): value}


def labelled(name: str, label: str, values: Mapping[str, float]) -> Samples:
    """
    Make samples with one label.
    """
    return {(name, frozenset({(label, each)})): value for each, value in values.items()}
