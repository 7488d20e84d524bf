"""
Requirements on the nouns that change while a session runs, and on those that say how it ended.
"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.attempt import Attempt
from empath.mail.decision import LONGEST, MOST, Decision
from empath.mail.envelope import Recipient
from empath.mail.life import ConnectionOpened
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


class ChangedTransactionTests(SynchronousTestCase):
    """
    What modules do to a transaction.
    """

    def setUp(self) -> None:
        self.transaction = Transaction("A", 0.0, None, {})
        self.plain = Recipient(parse_address("a@x.example"))
        self.asking = Recipient(parse_address("b@x.example"), {"NOTIFY": "NEVER", "ORCPT": "rfc822;first@y.example"})

    def addresses(self) -> list[str]:
        return [recipient.address.text for recipient in self.transaction.recipients]

    def test_held(self) -> None:
        """
        A reason is kept; there always is one.
        """
        self.assertEqual(self.transaction.held, "")
        self.transaction.hold("looks odd")
        self.assertEqual(self.transaction.held, "looks odd")
        self.transaction.hold("")
        self.assertEqual(self.transaction.held, "held by a module")

    def test_a_long_reason(self) -> None:
        """
        Is cut: it is stored with each delivery.
        """
        transaction = Transaction("A", 0.0, None, {})
        transaction.hold("x" * 10**6 + "\ud800")
        self.assertEqual(transaction.held, "x" * LONGEST)

    def test_redirected(self) -> None:
        """
        One recipient, or all others, to a name as a domain can have it.
        """
        self.transaction.redirect("Archive", self.plain)
        self.transaction.redirect("grün.example.")
        self.assertEqual(self.transaction.routes, {self.plain.address: "archive", None: "xn--grn-ioa.example"})
        self.transaction.redirect("other")
        self.assertEqual(self.transaction.routes, {self.plain.address: "archive", None: "other"})
        for garbage in ("", " ", "a b", "*", "*.example.org", "a\r\n", "-x", "a..b", "x" * 64, "a/b"):
            self.assertRaises(ValueError, self.transaction.redirect, garbage)

    def test_accepted_as_it_is(self) -> None:
        """
        A recipient that nobody rewrites becomes itself.
        """
        self.assertEqual(self.transaction.becomes(self.plain), (self.plain,))
        self.transaction.accept(self.plain)
        self.transaction.accept(self.plain)
        self.assertEqual((self.transaction.recipients, self.transaction.accepted), ([self.plain] * 2, 2))

    def test_rewritten_at_rcpt(self) -> None:
        """
        It joins as what it was rewritten to, once it is accepted; one that is rewritten to nothing is dropped.
        """
        self.transaction.rewrite(self.plain, parse_address("one@y.example"), parse_address("two@y.example"))
        self.assertEqual(self.addresses(), [])
        self.assertEqual(
            [str(each.address) for each in self.transaction.becomes(self.plain)], ["one@y.example", "two@y.example"]
        )
        self.assertEqual(self.transaction.becomes(self.asking), (self.asking,))
        self.transaction.accept(self.plain)
        self.assertEqual((self.addresses(), self.transaction.accepted), (["one@y.example", "two@y.example"], 1))
        self.transaction.accept(self.asking)
        self.transaction.rewrite(self.plain)
        self.assertEqual(self.transaction.becomes(self.plain), ())
        self.transaction.accept(self.plain)
        self.assertEqual((len(self.addresses()), self.transaction.accepted), (3, 3))

    def test_parameters_go_along(self) -> None:
        """
        The original recipient becomes the ORCPT, unless the client gave one (RFC 3461 §5.2.3).
        """
        for recipient in (self.plain, self.asking):
            self.transaction.rewrite(recipient, parse_address("one@y.example"))
        ((plain,), (asking,)) = (self.transaction.becomes(each) for each in (self.plain, self.asking))
        self.assertEqual(plain.parameters, {"ORCPT": "rfc822;a@x.example"})
        self.assertEqual(asking.parameters, self.asking.parameters)

    def test_rewritten_at_data(self) -> None:
        """
        It is replaced where it stands.
        """
        for recipient in (self.plain, self.asking):
            self.transaction.accept(recipient)
        self.transaction.rewrite(
            Recipient(self.plain.address), parse_address("c@x.example"), parse_address("d@x.example")
        )
        self.assertEqual(self.addresses(), ["c@x.example", "d@x.example", "b@x.example"])
        self.transaction.rewrite(self.asking)
        self.assertEqual(self.addresses(), ["c@x.example", "d@x.example"])
        self.assertEqual(self.transaction.accepted, 2)

    def test_nobody_gets_a_second_copy(self) -> None:
        """
        Who is in two lists, or in a list and named, or twice in a list, is one recipient.
        """
        one, two = parse_address("one@y.example"), parse_address("two@y.example")
        self.transaction.rewrite(self.plain, one, two, one)
        self.transaction.accept(self.plain)
        self.transaction.rewrite(self.asking, two)
        self.transaction.accept(self.asking)
        self.transaction.accept(Recipient(one))
        self.assertEqual(self.addresses(), ["one@y.example", "two@y.example"])
        self.transaction.rewrite(self.transaction.recipients[0], two, parse_address("c@x.example"))
        self.assertEqual(self.addresses(), ["c@x.example", "two@y.example"])

    def test_two_spellings_of_a_mailbox(self) -> None:
        """
        Are one: domains are told apart in any case, local parts are not.
        """
        transaction = Transaction("A", 0.0, None, {})
        listed = Recipient(parse_address("list@a.example"))
        targets = ("x@b.example", "x@B.Example", '"x"@b.example', "X@b.example")
        transaction.rewrite(listed, *map(parse_address, targets))
        transaction.accept(listed)
        self.assertEqual([str(each.address) for each in transaction.recipients], ["x@b.example", "X@b.example"])

    def test_a_list_that_others_change(self) -> None:
        """
        Whatever was done to the list of recipients counts for who has a place in it already.
        """
        transaction = Transaction("A", 0.0, None, {})
        a, b, c = (Recipient(parse_address(f"{name}@x.example")) for name in "abc")
        transaction.rewrite(a, b.address)
        transaction.accept(a)
        transaction.recipients[:] = [c]
        transaction.rewrite(a, b.address, c.address)
        transaction.accept(a)
        self.assertEqual([str(each.address) for each in transaction.recipients], ["c@x.example", "b@x.example"])
        like = Recipient(c.address)
        transaction.rewrite(like, b.address, a.address)
        self.assertEqual([str(each.address) for each in transaction.recipients], ["a@x.example", "b@x.example"])
        transaction.rewrite(Recipient(a.address, {"NOTIFY": "NEVER"}))
        self.assertEqual(len(transaction.recipients), 2)

    def test_many_recipients_take_little_time(self) -> None:
        """
        A look at each other one for each new one would take seconds.
        """
        transaction = Transaction("A", 0.0, None, {})
        for number in range(300):
            listed = Recipient(parse_address(f"list{number}@a.example"))
            transaction.rewrite(listed, *(parse_address(f"u{number}-{each}@b.example") for each in range(30)))
            transaction.accept(listed)
        began = time.thread_time()
        for each in list(transaction.recipients[:300]):
            transaction.rewrite(each, parse_address(f"z-{each.address}"))
        self.assertLess(time.thread_time() - began, 0.5)
        self.assertEqual(len(transaction.recipients), 9000)

    def test_recipients_are_bounded(self) -> None:
        """
        A list that would make too many of a message is not taken in, and nothing of it.
        """
        addresses = [parse_address(f"{number}@y.example") for number in range(3)]
        for most, taken in ((3, False), (4, True)):
            transaction = Transaction("A", 0.0, None, {})
            transaction.accept(self.asking, most)
            transaction.rewrite(self.plain, *addresses)
            self.assertEqual(transaction.accept(self.plain, most), taken)
            self.assertEqual((len(transaction.recipients), transaction.accepted), (4, 2) if taken else (1, 1))

    def test_a_list_that_holds_itself(self) -> None:
        """
        Named again, though with the parameters that it has by now, it changes nothing.
        """
        for _ in range(3):
            self.transaction.rewrite(self.asking, self.asking.address, parse_address("c@x.example"))
            self.transaction.accept(self.asking)
            self.assertEqual(self.addresses(), ["b@x.example", "c@x.example"])

    def test_the_route_goes_along(self) -> None:
        """
        Those in the place of a redirected recipient go its way, unless they have their own.
        """
        one, two, three = (parse_address(f"{name}@y.example") for name in ("one", "two", "three"))
        self.transaction.redirect("special", Recipient(two))
        self.transaction.redirect("archive", self.plain)
        self.transaction.rewrite(self.plain, one, two)
        self.transaction.accept(self.plain)
        self.transaction.rewrite(self.transaction.recipients[0], three)
        routes = self.transaction.routes or {}
        self.assertEqual((routes[one], routes[two], routes[three]), ("archive", "special", "archive"))

    def test_decisions_are_bounded(self) -> None:
        """
        The first hundred are kept; reply and reason are cut, and such that they can be stored.
        """
        for number in range(MOST + 5):
            self.transaction.note(Decision("data", str(number), "accept"))
        self.assertEqual(len(self.transaction.decisions), MOST)
        self.assertEqual(self.transaction.decisions[-1].module, str(MOST - 1))
        long = Decision("data", "m", "refuse", "550 " + "x" * 2000, "ü\ud800" + "y" * 2000)
        self.assertEqual((len(long.reply), len(long.why)), (LONGEST, LONGEST))
        self.assertEqual((long.why[:3], Decision("data", "m", "error", why=ValueError("x")).why), ("ü?y", "x"))


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
