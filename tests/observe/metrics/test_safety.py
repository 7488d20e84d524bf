"""
Failures for good, possible duplicates, stops and returns are counted and logged.
"""

from __future__ import annotations

import attrs
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life, life_safety
from empath.mail.message import Status
from empath.observe.life import LifeEvents
from empath.observe.logs.journal import Journal
from empath.observe.logs.lines import make_observer
from tests.observe import made
from tests.observe.metrics.test_totals import MetricsCase, gauges


class CountTests(MetricsCase):
    """
    Counters of what operators have to look after.
    """

    def test_failures_for_good_are_counted_by_recipient_and_category(self) -> None:
        """
        Failed or expired; one that nobody classified is "other", one that waits or arrived is none.
        """
        failed = [
            attrs.evolve(made.state(status=status), category=category)
            for status, category in (
                (Status.FAILED, "quota"),
                (Status.FAILED, "quota"),
                (Status.EXPIRED, "expired"),
                (Status.FAILED, ""),
                (Status.RETRY, "rate"),
                (Status.COMPLETED, ""),
            )
        ]
        self.events.emit(made.attempt_ended(*failed, status=Status.RETRY))
        told = {key[1]: value for key, value in self.samples().items() if key[0] == "delivery_bounces_total"}
        self.assertEqual(told, {"category=quota": 2, "category=expired": 1, "category=other": 1})

    def test_a_doubt_counts_once_and_its_duplicate_once(self) -> None:
        """
        The attempt that leaves a recipient in doubt, and the later one that has the mail taken.
        """
        doubted = attrs.evolve(made.state(status=Status.RETRY), doubtful=True)
        self.events.emit(made.attempt_ended(doubted, status=Status.RETRY, timing=made.attempt(doubtful=1)))
        self.events.emit(made.attempt_ended(doubted, status=Status.RETRY))
        told = self.samples()
        self.assertEqual(told["delivery_doubtful_total",], 1)
        self.assertEqual(told["delivery_possible_duplicates_total",], 0)
        self.events.emit(made.attempt_ended(attrs.evolve(doubted, status=Status.COMPLETED), made.state()))
        told = self.samples()
        self.assertEqual((told["delivery_doubtful_total",], told["delivery_possible_duplicates_total",]), (1, 1))

    def test_what_operators_and_breakers_do_is_counted(self) -> None:
        """
        Each change of a delivery by its verb; a sender when it is stopped, not when it is released.
        """
        for verb in ("held", "held", "deleted"):
            self.events.emit(life_safety.DeliveryManaged(made.QUEUE_ID, "dst.test", verb))
        for stopped in (True, False, True):
            self.events.emit(life_safety.SenderStopped("ann", stopped, "why"))
        self.events.emit(life_safety.CopyRefused(made.QUEUE_ID, (), made.session()))
        told = self.samples()
        self.assertEqual(told["delivery_managed_total", "verb=held"], 2)
        self.assertEqual(told["delivery_managed_total", "verb=deleted"], 1)
        self.assertEqual(told["delivery_senders_stopped_total",], 2)
        self.assertEqual(told["smtp_copies_refused_total",], 1)

    def test_what_stands_still_now_is_told(self) -> None:
        """
        All delivery, single domains, senders.
        """
        self.gauges = gauges(frozen=lambda: {"": 1.0, "dst.test": 2.0, "b.test": 3.0}, stopped_senders=lambda: 4)
        told = self.samples()
        self.assertEqual((told["delivery_frozen",], told["delivery_frozen_domains",]), (1, 2))
        self.assertEqual(told["delivery_stopped_senders",], 4)
        self.gauges = gauges(frozen=lambda: {"dst.test": 2.0})
        self.assertEqual(self.samples()["delivery_frozen",], 0)

    def test_no_words_of_peers_become_labels(self) -> None:
        """
        Complaints of unknown kinds are "other", addresses that an operator took off with his own words "operator".
        """
        for kind in ("abuse", "ABUSE", "x-anything", ""):
            self.events.emit(life_safety.ComplaintReceived(None, kind, "reporter"))
        for why in ("complaint", "quota", "asked by telephone"):
            self.events.emit(life_safety.AddressSuppressed("b@dst.test", True, why))
        self.events.emit(life_safety.AddressSuppressed("b@dst.test", False, "quota"))
        address = made.address("b@dst.test")
        self.events.emit(life_safety.BounceReceived(address, "failed", "5.1.1", "bad-mailbox", "unknown"))
        self.events.emit(life_safety.BounceReceived(address, "failed", "5.0.0", "", "unknown"))
        told = self.samples()
        self.assertEqual(told["delivery_complaints_received_total", "kind=abuse"], 2)
        self.assertEqual(told["delivery_complaints_received_total", "kind=other"], 2)
        for why in ("complaint", "quota", "operator"):
            self.assertEqual(told["delivery_addresses_suppressed_total", f"why={why}"], 1)
        self.assertEqual(told["delivery_bounces_received_total", "category=bad-mailbox"], 1)
        self.assertEqual(told["delivery_bounces_received_total", "category=other"], 1)


class LineTests(SynchronousTestCase):
    """
    What the log says of all this.
    """

    def lines(self, *happened: life.LifeEvent) -> list[str]:
        """
        Tell the lines of some events, without their times.
        """
        records: list[str] = []
        observer = make_observer(schema.Log(), records.append)
        events = LifeEvents()
        Journal(MemoryReactorClock(), observer, observer.shows).listen(events)
        for event in happened:
            events.emit(event)
        return [record.partition(" ")[2].rstrip("\n") for record in records]

    def test_an_attempts_line_tells_category_and_doubt(self) -> None:
        """
        Behind what Postfix's tools read.
        """
        failed = attrs.evolve(made.state(status=Status.FAILED, said="550 5.1.1 no"), category="bad-mailbox")
        sent = attrs.evolve(made.state(said="250 2.0.0 ok"), doubtful=True)
        both = attrs.evolve(failed, doubtful=True)
        plain = made.state(said="250 2.0.0 ok")
        told = [line.partition("status=")[2] for line in self.lines(made.attempt_ended(failed, sent, both, plain))]
        self.assertEqual(
            told,
            [
                "bounced (550 5.1.1 no) category=bad-mailbox",
                "sent (250 2.0.0 ok) possible duplicate",
                "bounced (550 5.1.1 no) category=bad-mailbox possible duplicate",
                "sent (250 2.0.0 ok)",
            ],
        )

    def test_stops_are_told(self) -> None:
        """
        What stops mail is a warning, what lets it go on is not.
        """
        self.assertEqual(
            self.lines(
                life_safety.DeliveryManaged(made.QUEUE_ID, "dst.test", "held", "ann is away"),
                life_safety.DeliveryManaged(made.QUEUE_ID, "dst.test", "released"),
                life_safety.DeliveryFrozen("dst.test", True),
                life_safety.DeliveryFrozen("", False),
                life_safety.SenderStopped("ann", True, "60 of 80 recipients failed"),
                life_safety.SenderStopped("ann", False, "by an operator"),
            ),
            [
                f"info queue: {made.QUEUE_ID}: held: domain=dst.test why=(ann is away)",
                f"info queue: {made.QUEUE_ID}: released: domain=dst.test",
                "warn queue: delivery to dst.test is frozen",
                "info queue: delivery to all domains goes on",
                "warn queue: sender <ann> is stopped: 60 of 80 recipients failed",
                "info queue: sender <ann> may send again: by an operator",
            ],
        )

    def test_returns_and_copies_are_told(self) -> None:
        """
        With the queue id of our mail first, where it is known.
        """
        address = made.address("b@dst.test")
        self.assertEqual(
            self.lines(
                life_safety.BounceReceived(address, "failed", "5.1.1", "bad-mailbox", "no such user", made.QUEUE_ID),
                life_safety.ComplaintReceived(None, "abuse", "Example FBL"),
                life_safety.AddressSuppressed("b@dst.test", True, "bad-mailbox"),
                life_safety.AddressSuppressed("b@dst.test", False, "by an operator"),
                life_safety.CopyRefused(made.QUEUE_ID, (address,), made.session(login="ann")),
                life_safety.CopyRefused(made.QUEUE_ID, (address,), made.session()),
            ),
            [
                f"info report: {made.QUEUE_ID}: bounce received: to=<b@dst.test>, action=failed, dsn=5.1.1, "
                "category=bad-mailbox (no such user)",
                "info report: NOQUEUE: complaint received: to=<>, kind=abuse, reporter=Example FBL",
                "info report: <b@dst.test> gets no more mail: bad-mailbox",
                "info report: <b@dst.test> gets mail again: by an operator",
                f"info receive: {made.QUEUE_ID}: known by its idempotency key: nrcpt=1, "
                "client=unknown[192.0.2.9]:40123, helo=<client.test>, login=<ann>",
                f"info receive: {made.QUEUE_ID}: known by its idempotency key: nrcpt=1, "
                "client=unknown[192.0.2.9]:40123, helo=<client.test>",
            ],
        )
