"""
Requirements on the nouns that change while a session runs, and on those that say how it ended.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.life import Attempt, ConnectionOpened
from empath.mail.message import Delivery
from empath.mail.session import Session, Transaction
from empath.mail.settlement import Settlement


def session() -> Session:
    """
    Make the session of a client that has just connected.
    """
    return Session("s1", "192.0.2.1", 4711, "tcp:25", "mta", 1000.0)


class SessionTests(SynchronousTestCase):
    """
    Sessions and transactions.
    """

    def test_a_client_is_not_trusted_unless_it_is_said(self) -> None:
        """
        A new session may relay nothing: no trust, no login, no TLS, no name.
        """
        new = session()
        self.assertEqual((new.trusted, new.login, new.tls, new.name), (False, "", "", ""))

    def test_two_sessions_are_never_the_same(self) -> None:
        """
        However alike two clients are, each is itself, and can be counted as such.
        """
        one, other = session(), session()
        self.assertEqual(len({one, other}), 2)
        self.assertNotEqual(ConnectionOpened(one), ConnectionOpened(one))

    def test_nothing_is_shared_between_transactions(self) -> None:
        """
        Metadata and recipients of one transaction do not show up in another.
        """
        one, other = Transaction("A", 0.0, None, {}), Transaction("B", 0.0, None, {})
        one.metadata["seen"] = "here"
        self.assertEqual((other.metadata, other.recipients), ({}, []))
        self.assertIsNot(one.recipients, other.recipients)


class EndTests(SynchronousTestCase):
    """
    Attempts and settlements.
    """

    def test_a_step_that_did_not_happen_has_no_time(self) -> None:
        """
        An attempt that has only begun tells zero for every later step.
        """
        attempt = Attempt(1, 1000.0)
        self.assertEqual({attempt.resolved, attempt.connected, attempt.secured, attempt.sent, attempt.ended}, {0.0})

    def test_a_settlement_owes_no_report_and_keeps_nothing_unless_it_is_said(self) -> None:
        """
        Mail that was delivered is deleted, and nobody is told.
        """
        settlement = Settlement(Delivery("A", "example.org", 0.0, ()))
        self.assertEqual((settlement.report, settlement.report_deliveries, settlement.keep_until), (None, (), None))
