"""
The checks that every session passes.
"""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Smtp
from empath.config.units import Size
from empath.mail.address import Address, parse_address
from empath.mail.envelope import Recipient
from empath.mail.session import Session, Transaction
from empath.modules.builtin.core import NO_ROOM, STOPPED, TOO_LARGE, TOO_MANY_RECIPIENTS, CoreChecks
from empath.policy.relay import RELAY_DENIED, ROUTED, UNKNOWN_USER, relay_policy
from empath.policy.senders import NOT_OWNED, read_senders

SMTP = Smtp(max_message_size=Size(1000), max_recipients=2)
RELAY = relay_policy([], ["example.org"], [("user", "example.org")])


def session(trusted: bool = False) -> Session:
    """
    Make a session.
    """
    return Session("s", "192.0.2.1", 1, "tcp:25", "mta", 0.0, trusted=trusted)


def transaction(size: int = 0) -> Transaction:
    """
    Make a transaction that declared a size.
    """
    return Transaction("Q", 0.0, None, {}, declared_size=size)


class CoreTests(SynchronousTestCase):
    """
    Limits and relay control.
    """

    def setUp(self) -> None:
        self.asked: list[int] = []
        self.room = True

        def has_room(size: int) -> bool:
            self.asked.append(size)
            return self.room

        self.core = CoreChecks(SMTP, RELAY, has_room)

    def test_declared_size(self) -> None:
        """
        A message announced as larger than allowed is refused for good; 0 allows any.
        """
        self.assertIsNone(self.core.mail_from(session(), transaction(1000)))
        self.assertIs(self.core.mail_from(session(), transaction(1001)), TOO_LARGE)
        self.core.reconfigure(Smtp(max_message_size=Size(0)), RELAY)
        self.assertIsNone(self.core.mail_from(session(), transaction(10**9)))

    def test_backscatter(self) -> None:
        """
        Who takes mail for anybody of a domain is warned, unless somebody else knows its recipients.
        """
        for domains, known, verified, warned in (
            (["example.org"], None, False, 1),
            (["example.org"], None, True, 0),
            (["example.org"], [], False, 0),
            ([], None, False, 0),
        ):
            with capturedLogs() as events:
                self.core.reconfigure(SMTP, relay_policy([], domains, known, verified))
            self.assertEqual(len([event for event in events if "domains" in event]), warned)

    def test_senders(self) -> None:
        """
        Who logged in sends as its own addresses only; nobody else is asked.
        """
        self.core.reconfigure(SMTP, RELAY, read_senders("tim: tim@example.org"))
        begun = transaction()
        begun.reverse_path = parse_address("eve@example.org")
        self.assertIsNone(self.core.mail_from(session(), begun))
        logged_in = session(trusted=True)
        logged_in.login = "tim"
        self.assertIs(self.core.mail_from(logged_in, begun), NOT_OWNED)
        begun.reverse_path = parse_address("tim@example.org")
        self.assertIsNone(self.core.mail_from(logged_in, begun))

    def test_who_is_stopped(self) -> None:
        """
        A sender's mail is not taken, for now; those whom nobody vouches for are no senders of ours.
        """
        asked = []

        def stopped(login: str, reverse_path: Address | None) -> bool:
            asked.append((login, reverse_path))
            return login == "tim"

        self.core = CoreChecks(SMTP, RELAY, lambda size: True, stopped=stopped)
        self.assertIsNone(self.core.mail_from(session(), transaction()))
        self.assertIsNone(self.core.mail_from(session(trusted=True), transaction()))
        logged_in = session(trusted=True)
        logged_in.login = "tim"
        self.assertIs(self.core.mail_from(logged_in, transaction()), STOPPED)
        self.assertEqual(asked, [("", None), ("tim", None)])

    def test_room(self) -> None:
        """
        Without room in the spool the client is asked to come back.
        """
        self.room = False
        self.assertIs(self.core.mail_from(session(), transaction(7)), NO_ROOM)
        self.assertEqual(self.asked, [7])

    def test_recipients(self) -> None:
        """
        One recipient too many is deferred, whoever asks.
        """
        recipient = Recipient(parse_address("user@example.org"))
        begun = transaction()
        for _ in range(2):
            self.assertIsNone(self.core.rcpt_to(session(), begun, recipient))
            begun.accept(recipient)
        self.assertIs(self.core.rcpt_to(session(trusted=True), begun, recipient), TOO_MANY_RECIPIENTS)

    def test_relay(self) -> None:
        """
        Strangers do not relay, trusted sessions do.
        """
        recipient = Recipient(parse_address("user@elsewhere.example"))
        self.assertIs(self.core.rcpt_to(session(), transaction(), recipient), RELAY_DENIED)
        self.assertIsNone(self.core.rcpt_to(session(trusted=True), transaction(), recipient))

    def test_addresses_that_another_check_judges(self) -> None:
        """
        What is not ours to relay passes where another check answers for the address, and there only; source routes,
        unknown users and one recipient too many never do.
        """
        core = CoreChecks(SMTP, RELAY, lambda _: True, answers=lambda address: address.domain == "srs.example.org")

        def judged(text: str, begun: Transaction) -> object:
            return core.rcpt_to(session(), begun, Recipient(parse_address(text)))

        self.assertIsNone(judged("SRS0=x@srs.example.org", transaction()))
        self.assertIs(judged("x@example.net", transaction()), RELAY_DENIED)
        self.assertIs(judged("x%example.net@srs.example.org", transaction()), ROUTED)
        self.assertIs(judged("nobody@example.org", transaction()), UNKNOWN_USER)
        full = transaction()
        full.accepted = 2
        self.assertIs(judged("SRS0=x@srs.example.org", full), TOO_MANY_RECIPIENTS)
